"""Compare: outputs side by side, as a widget that reads rows from the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

import pandas as pd

from promptlab.errors import SpecError, did_you_mean
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.row_filter import EXPECTED, MOST_SHOWN, RowFilter
from promptlab.notebook.compare.runs import RUN, run_names, side_by_side
from promptlab.notebook.trial_table import TrialTable
from promptlab.results.results import Results

if TYPE_CHECKING:
    from promptlab.notebook.compare.pager import ComparisonPager
    from promptlab.notebook.compare.widget import ComparisonWidget

Engine = Literal["anywidget", "ipywidgets"]
ENGINES: tuple[Engine, ...] = ("anywidget", "ipywidgets")


def compare(
    results: Results | pd.DataFrame | Mapping[str, Results | pd.DataFrame],
    by: str | Sequence[str] | Results | pd.DataFrame | None = None,
    *,
    baseline: Any = None,
    columns: Sequence[Any] | None = None,
    score: str | None = None,
    threshold: float | None = None,
    engine: Engine = "anywidget",
    name: str | None = None,
) -> ComparisonWidget | ComparisonPager:
    """Shows outputs side by side: a column for each value of `by`, a row for each case.

    Each column's heading has its score with the 95 % interval, clustered by case, the
    difference to the baseline, and how many cases it won, lost and tied; a click on
    one shows these. All of it follows the filter. A failed trial scores 0, as in
    `leaderboard`.

    Repeats of a case are one row, with what each answered ("3 × billing, 1 × sales")
    and their mean score; `o` opens it.

    Rows are read from the kernel page by page, so that a table of 100,000 is shown as
    fast as one of 10. `.table` is what is shown, as a DataFrame; `.marks` the rows that
    were pinned, marked or noted. A saved notebook keeps the first rows as plain HTML.

    Args:
        results: Results, or a DataFrame with the columns of `Results.table`; or
            several runs by the names to show, `{"today": today, "before": before}`.
        by: The parameter whose values are compared, or several; default: the first
            that varies. `compare(today, last_week)` sets two runs side by side, the
            second being the baseline.
        baseline: The label of the column that the others are compared with word by
            word; `"expected"` for the expected outputs; default: the first column.
        columns: The labels of the columns to show first, at most six.
        score: The column of scores that decides which outputs are right, and that
            headings show first; default: the column `right` if there is one, else the
            first whose scorer has a threshold, else `expected` decides. All other
            scores are shown under their own names, without a verdict.
        threshold: The least value of `score` that counts as right; default: its
            scorer's, or 0.5 for scores from 0 to 1. Scores of true and false have none.
        engine: `"ipywidgets"` for a plain pager, where anywidget does not run.
        name: The name that marks are kept under; default: the experiment's.

    Raises:
        SpecError: there is no such column, two trials have the same row and column, or
            the score has values beyond 0 and 1 and no threshold.

    Example:
        >>> import pandas as pd
        >>> answers = {"plain": "Paris", "steps": "It is Paris."}
        >>> rows = [(i, p, 1, a) for i, (p, a) in enumerate(answers.items())]
        >>> table = pd.DataFrame(rows, columns=["trial", "prompt", "case", "output"])
        >>> compare(table, by="prompt").table
           case  plain         steps
        0     1  Paris  It is Paris.
    """
    if engine not in ENGINES:
        raise SpecError(
            f"engine: expected 'anywidget' or 'ipywidgets', got {engine!r}"
            + did_you_mean(str(engine), ENGINES)
        )
    if isinstance(by, (Results, pd.DataFrame)):
        runs = [cast("Results | pd.DataFrame", results), by]
        results, by = dict(zip(run_names(runs), runs, strict=True)), None
    if isinstance(results, Mapping):
        trials, by = side_by_side(results), RUN if by is None else by
        if baseline is None and columns is None and by == RUN:
            baseline = list(results)[-1]
    else:
        trials = TrialTable.of(results)
    comparison = Comparison.of(trials, by, score, threshold)
    view = _first_view(comparison, baseline, columns)
    session = ComparisonSession(comparison, view, name)
    if engine == "ipywidgets":
        session.view = replace(view, folded=False)
        from promptlab.notebook.compare.pager import ComparisonPager

        return ComparisonPager(session)
    try:
        from promptlab.notebook.compare.widget import ComparisonWidget
    except ImportError as error:
        raise SpecError(
            "compare needs anywidget: pip install 'promptlab-notebook[notebook]', "
            "or use engine='ipywidgets'"
        ) from error
    return ComparisonWidget(session)


def _first_view(
    comparison: Comparison, baseline: Any, columns: Sequence[Any] | None
) -> RowFilter:
    shown = list(range(len(comparison.columns)))[:MOST_SHOWN]
    if columns is not None:
        if isinstance(columns, str):
            raise SpecError(f"columns: expected a list of labels, got {columns!r}")
        shown = list(dict.fromkeys(comparison.column(label) for label in columns))
        if not 1 <= len(shown) <= MOST_SHOWN:
            raise SpecError(f"columns: expected at most {MOST_SHOWN}, got {len(shown)}")
    return RowFilter(
        columns=tuple(shown),
        baseline=_baseline(comparison, baseline, shown),
        folded=comparison.folds is not None,
    )


def _baseline(comparison: Comparison, given: Any, shown: Sequence[int]) -> int | None:
    if given is None:
        return shown[0] if len(shown) > 1 else None
    names = [column.name for column in comparison.columns]
    if given == "expected" and "expected" not in names:
        if comparison.expected is None:
            raise SpecError("baseline: the table has no expected outputs")
        return EXPECTED
    return comparison.column(given)
