"""Pivots: means and counts by the values of columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab.notebook.colormap import BLACK, DARK, LIGHT, WHITE, contrast, heat
from promptlab.notebook.explore.pivot import Pivot, Pivots
from promptlab.notebook.explore.pivot_view import pivot_html
from promptlab.notebook.trial_table import TrialTable

from ..tables import table

OUTPUTS = {
    ("c1", "plain"): "Yes",
    ("c1", "steps"): "no",
    ("c2", "plain"): "no",
    ("c2", "steps"): None,
}


SCORES = {"brief": [True, True, False, False], "fit": [0.1, 0.2, 0.3, 0.4]}


def pivots(made: pd.DataFrame | None = None, *, scores: bool = True) -> Pivots:
    if made is None:
        made = table(
            OUTPUTS,
            expected={"c1": "yes", "c2": "no"},
            in_lang=["en", "en", "de", "de"],
            output_tokens=[1, 3, 5, None],
            latency_s=[0.5, 1.5, 2.5, np.nan],
            error=[None, None, None, "429"],
            finish_reason=["stop", "length", "stop", None],
            **(SCORES if scores else {}),
        )
    return Pivots(TrialTable.of(made))


def said(pivot: Pivot) -> list[list[str]]:
    rows, columns = pivot.values.shape
    return [[pivot.text(r, c) for c in range(columns)] for r in range(rows)]


def test_it_lists_dimensions_and_measures() -> None:
    made = pivots()

    assert made.dimensions[:2] == ("prompt", "case")
    assert {"lang", "expected", "finish_reason", "brief", "model"} <= set(
        made.dimensions
    )
    assert made.measures == (
        "share brief",
        "fit",
        "share as expected",
        "output_tokens",
        "latency_s",
        "share failed",
        "share truncated",
        "trials",
    )
    assert made.first_choice == ("prompt", None, "share brief")
    assert pivots(scores=False).measures[0] == "share as expected"


def test_means_leave_out_what_is_not_known_and_counts_do_not() -> None:
    made = pivots().pivot("prompt", "case", "output_tokens")

    assert said(made) == [["1", "5", "3"], ["3", "", "3"], ["2", "5", "3"]]
    assert made.counts.tolist() == [[1, 1, 2], [1, 1, 2], [2, 2, 4]]
    assert made.known.tolist() == [[1, 1, 2], [1, 0, 1], [2, 1, 3]]


@pytest.mark.parametrize(
    ("measure", "shown"),
    [
        ("share as expected", [["100%"], ["0%"], ["50%"]]),
        ("share failed", [["0%"], ["50%"], ["25%"]]),
        ("share truncated", [["0%"], ["50%"], ["25%"]]),
        ("share brief", [["50%"], ["50%"], ["50%"]]),
        ("latency_s", [["1.5 s"], ["1.5 s"], ["1.5 s"]]),
        ("trials", [["2"], ["2"], ["4"]]),
    ],
)
def test_measures_are_read_in_their_units(measure: str, shown: list[list[str]]) -> None:
    made = pivots(scores=measure != "share as expected").pivot("prompt", None, measure)

    assert [row[:1] for row in said(made)] == shown


def test_missing_combinations_are_blank() -> None:
    outputs = {key: text for key, text in OUTPUTS.items() if key != ("c1", "steps")}

    made = pivots(table(outputs)).pivot("prompt", "case", "trials")

    assert said(made)[1] == ["", "1", "1"]
    assert np.isnan(made.heat[1, 0])


def test_numbers_are_sorted_and_strings_are_in_order_of_appearance() -> None:
    made = table(OUTPUTS)
    made.insert(2, "temperature", [1.0, 0.0, 0.7, np.nan])

    pivot = pivots(made).pivot("temperature", "prompt", "trials")

    assert pivot.rows.labels == ("0", "0.7", "1", "not sent")
    assert pivot.columns.labels == ("plain", "steps")


def test_the_trials_of_a_cell_are_found_again() -> None:
    made = pivots().pivot("prompt", "case", "trials")

    assert made.positions(0, 1).tolist() == [2]
    assert made.positions(1, -1).tolist() == [1, 3]
    assert made.positions(-1, -1).tolist() == [0, 1, 2, 3]
    part = pivots().trials.part(made.positions(1, -1))
    assert part.table["output"].isna().tolist() == [False, True]


def test_a_pivot_is_a_table_too() -> None:
    made = pivots().pivot("prompt", "case", "output_tokens").table

    assert made.loc["plain", "c2"] == 5
    assert made.index.name == "prompt"
    assert made.columns.name == "case"


def test_lists_and_objects_are_values_as_well() -> None:
    made = table(OUTPUTS, in_tags=[["a"], ["a"], {"b": 1}, None])

    pivot = pivots(made).pivot("tags", None, "trials")

    assert said(pivot)[:2] == [["2", "2"], ["1", "1"]]


def test_heat_is_between_the_least_and_the_most() -> None:
    assert pivots().pivot("prompt", "case", "fit").heat.min() == 0
    assert pivots().pivot("prompt", "case", "fit").heat.max() == 1
    assert not pivots().pivot("prompt", "case", "trials").heat.any()


def test_a_trial_that_is_in_the_table_twice_is_measured_but_not_judged() -> None:
    twice = pd.concat([table(OUTPUTS, expected={"c1": "yes", "c2": "no"})] * 2)

    made = pivots(twice)

    assert made.measures[0] == "share failed"
    assert said(made.pivot("prompt", None, "trials"))[0][0] == "4"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("promt", None, "trials"), "rows: the table has no column 'promt'; did you"),
        (("prompt", "x", "trials"), "columns: the table has no column 'x'; valid"),
        (("prompt", None, "costs"), "unknown measure 'costs'"),
        (("prompt", "prompt", "trials"), "rows and columns are both 'prompt'"),
    ],
)
def test_unknown_columns_and_measures_are_errors(
    given: tuple[str, str, str], said: str
) -> None:
    with pytest.raises(pl.SpecError, match=said):
        pivots().pivot(*given)


def test_a_pivot_of_too_many_cells_is_refused() -> None:
    rows = 2_000
    made = table({(f"c{n}", "p"): f"output {n}" for n in range(rows)})

    with pytest.raises(pl.SpecError, match=r"2,000 × 2,000 groups"):
        pivots(made).pivot("case", "output", "trials")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_is_legible_at_any_heat(dark: bool) -> None:
    seen = [heat(step / 200, dark=dark) for step in range(201)]

    assert min(contrast(ink, back) for back, ink in seen) >= 4.5
    assert {ink for _, ink in seen} == {BLACK, WHITE}
    ends = DARK if dark else LIGHT
    assert (seen[0][0], seen[-1][0]) == (ends[0], ends[-1])


def test_a_score_has_an_interval_by_cases_and_other_measures_have_none() -> None:
    outputs = {(f"c{i}", p): "text" for i in range(5) for p in ("plain", "steps")}
    made = table(outputs, repeats=2)
    made["fit"] = [1.0, 1.0, 0.0, 0.0] * 5
    made["latency_s"] = 1.0

    scored = pivots(made).pivot("prompt", None, "fit")
    timed = pivots(made).pivot("prompt", None, "latency_s")
    board = pl.leaderboard(made, "fit", by="prompt").table

    assert (scored.text(0, 0), scored.interval(0, 0)) == ("100%", "[57, 100]")
    assert scored.low[0, 0] == pytest.approx(board["ci_low"].iloc[0])
    assert (timed.text(0, 0), timed.interval(0, 0)) == ("1.0 s", "")
    assert "[57, 100]" in pivot_html(scored)
    assert "interval" not in pivot_html(timed)


def test_a_failed_trial_scores_0_and_a_missing_score_is_left_out() -> None:
    made = table(OUTPUTS, fit=[1.0, 1.0, None, None], error=[None] * 3 + ["429"])

    pivot = pivots(made).pivot("prompt", None, "fit")

    assert pivot.values[:2, 0].tolist() == [1.0, 0.5]
    assert pivot.known[:2, 0].tolist() == [1, 2]


def test_scores_beyond_0_and_1_are_no_shares() -> None:
    made = table(OUTPUTS, stars=[1.0, 5.0, 3.0, 4.0])

    pivot = pivots(made).pivot("prompt", "case", "stars")

    assert pivot.text(0, 0) == "1"
    assert pivot.text(2, 2) == "3.25"
