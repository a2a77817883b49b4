"""Rating: the widget of a blind comparison, of one script and one style sheet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from promptlab.notebook.rate.rating_session import RatingSession
from promptlab.notebook.rate.votes import votes_table
from promptlab.notebook.widgets.view_widget import ViewWidget, script
from promptlab.render.markup import escaped

HERE = Path(__file__).parent


class Rating(ViewWidget):
    """A blind comparison in a notebook; shows itself as a cell's last value."""

    _esm = script(HERE / "rate.js")
    _css = HERE / "rate.css"

    def __init__(self, session: RatingSession) -> None:
        self._session = session
        super().__init__()

    @property
    def votes(self) -> pd.DataFrame:
        """The votes of this rater on these pairs, one row for each."""
        return votes_table(self._session.votes)

    @property
    def tally(self) -> pd.DataFrame:
        """The pairs, wins, ties and losses of each variant.

        `identical` counts the ties without a vote; `share` is the share of pairs won,
        from 0 to 1.
        """
        return self._session.tally()

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return self._session.answer(message)

    def __repr__(self) -> str:
        return f"Rating({self._progress})"

    @property
    def _progress(self) -> str:
        session = self._session
        voted = session.settled - session.skipped
        skipped = f", {session.skipped:,} skipped" if session.skipped else ""
        return f"{voted:,} of {session.queue.to_rate:,} pairs voted{skipped}"

    def _repr_html_(self) -> str:
        """Progress, and the tally once the names are revealed."""
        head = f"<p><b>Blind comparison</b> · {escaped(self._progress)}</p>"
        if not self._session.revealed:
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
