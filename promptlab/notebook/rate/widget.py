"""Rating: the widget of a blind comparison, of one script and one style sheet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

from promptlab.notebook.rate.rating_session import RatingSession
from promptlab.notebook.rate.votes import votes_table
from promptlab.notebook.widgets.scripts import script
from promptlab.notebook.widgets.static_output import hidden_class, show_both
from promptlab.render.markup import escaped

HERE = Path(__file__).parent


class Rating(anywidget.AnyWidget):  # type: ignore[misc]
    """A blind comparison in a notebook; shows itself as a cell's last value."""

    _esm = script(HERE / "rate.js")
    _css = HERE / "rate.css"

    hides = traitlets.Unicode(read_only=True).tag(sync=True)
    """The class of what a saved notebook shows in place of this."""

    def __init__(self, ratings: RatingSession) -> None:
        self._ratings = ratings
        self.set_trait("hides", hidden_class())
        super().__init__()
        self.on_msg(lambda _, message, __: self.send(self.answer(message)))

    @property
    def votes(self) -> pd.DataFrame:
        """This rater's votes on these pairs, with the names."""
        return votes_table(self._ratings.votes)

    @property
    def tally(self) -> pd.DataFrame:
        """For each variant the pairs it was in, its wins, ties and losses.

        `identical` are those of the ties that nobody had to see; `share` is that of
        the pairs won.
        """
        return self._ratings.tally()

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a message of the front end, see `rating_session`."""
        return self._ratings.answer(message)

    def __repr__(self) -> str:
        return f"Rating({self._progress})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/html": self._static()}, metadata

    def _ipython_display_(self) -> None:
        data, metadata = super()._repr_mimebundle_()
        static = f"<div class='{self.hides}'>{self._static()}</div>"
        show_both(data, static, metadata)

    @property
    def _progress(self) -> str:
        ratings = self._ratings
        voted = ratings.settled - ratings.skipped
        skipped = f", {ratings.skipped:,} skipped" if ratings.skipped else ""
        return f"{voted:,} of {ratings.queue.to_rate:,} pairs voted{skipped}"

    def _static(self) -> str:
        """What is seen where no widget can be; no names before the reveal."""
        head = f"<p><b>Blind comparison</b> · {escaped(self._progress)}</p>"
        if not self._ratings.revealed:
            return head + "<p>To vote, run this cell in a notebook.</p>"
        table = self.tally.drop(columns="share").reset_index()
        return head + "".join(
            (
                "<table><thead>",
                _row("th", table.columns),
                "</thead><tbody>",
                *(_row("td", row) for row in table.itertuples(index=False)),
                "</tbody></table>",
            )
        )


def _row(tag: str, values: Any) -> str:
    style = "text-align:left;vertical-align:top;white-space:pre-wrap"
    cells = (
        f"<{tag} style='{style}'>{escaped(str(value))}</{tag}>" for value in values
    )
    return f"<tr>{''.join(cells)}</tr>"
