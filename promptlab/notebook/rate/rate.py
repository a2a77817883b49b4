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
"""The name of votes on a table without an experiment."""


def rate(
    results: Results | pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    name: str | None = None,
    rater: str = "",
    seed: int | None = None,
) -> Rating:
    """Shows pairs of outputs without names, to vote which of two is better.

    For each case, repeat, and value of every other parameter, each two values of `by`
    are a pair. Order and sides are random, and balanced wherever one stops. Each vote
    is kept in the project at once, so that rating continues where it was, after
    a restart too. A vote is for the two outputs that were seen: new outputs are new
    pairs. Identical outputs are ties without a vote, failed trials are left out.

    Args:
        results: Results, or a DataFrame with the columns of `Results.table`.
        by: The parameter whose values are compared, or several: two to six values;
            default: the first that varies.
        name: The name that votes are kept under; default: the experiment's.
        rater: The name of the person who votes, where several people rate.
        seed: The seed of order and sides; default: that of the rater's last vote, else
            a random one.

    Raises:
        SpecError: `by` is not a parameter, or does not have two to six values.
        CacheError: the votes cannot be read.

    Example:
        >>> import pandas as pd
        >>> answers = {"plain": "Paris", "steps": "It is Paris."}
        >>> rows = [(i, p, 1, a) for i, (p, a) in enumerate(answers.items())]
        >>> table = pd.DataFrame(rows, columns=["trial", "prompt", "case", "output"])
        >>> rate(table, by="prompt", name="an example", seed=1)
        Rating(0 of 1 pairs voted)
    """
    trials = TrialTable.of(results)
    if name is None:
        name = trials.experiment.name if trials.experiment else UNNAMED
    if not name:
        raise SpecError("rate: expected a name to keep votes under, got ''")
    session = RatingSession.of(trials, by, VoteStore(name), rater=rater, seed=seed)
    try:
        from promptlab.notebook.rate.widget import Rating
    except ImportError as error:
        raise SpecError(
            "rate needs anywidget: pip install 'promptlab-notebook[notebook]'"
        ) from error
    return Rating(session)
