"""Rate: a blind comparison, pairs of outputs without names and votes that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from promptlab.errors import SpecError
from promptlab.notebook.rate.rating_session import RatingSession
from promptlab.notebook.rate.votes import VoteStore
from promptlab.notebook.trial_table import TrialTable
from promptlab.results.results import Results

if TYPE_CHECKING:
    from promptlab.notebook.rate.widget import Rating

UNNAMED = "table"
"""The name of votes on a table, which does not say what it is of."""


def rate(
    results: Results | pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    name: str | None = None,
    rater: str = "",
    seed: int | None = None,
) -> Rating:
    """Two answers side by side, without names: which is better?

    For each case, repeat, and value of every other parameter, each two values of `by`
    (the first parameter that varies, if not given) are a pair; up to six values are
    compared. Order and sides are random, and balanced wherever one stops. Each vote is
    kept in `.promptlab/votes` at once, so the queue goes on where it was, after a
    restart too. A vote is for the two outputs that were seen: new outputs are new
    pairs. Identical outputs are ties without a vote, failed trials are left out.

    Args:
        name: What the votes are kept under; the experiment's name if not given.
        rater: Whose votes they are, where several people rate.
        seed: What order and sides follow from; that of the rater's last vote, else
            a new one, if not given.

    Raises:
        SpecError: `by` is no parameter, or there are not two to six values of it.
        CacheError: the votes cannot be read.
    """
    source = TrialTable.of(results)
    if name is None:
        name = source.experiment.name if source.experiment else UNNAMED
    if not name:
        raise SpecError("rate: name is empty; votes are kept under it")
    session = RatingSession.of(source, by, VoteStore.of(name), rater=rater, seed=seed)
    try:
        from promptlab.notebook.rate.widget import Rating
    except ImportError as error:
        raise SpecError(
            "rate needs anywidget: pip install 'promptlab-notebook[notebook]'"
        ) from error
    return Rating(session)
