"""Tokens, stacked."""

from __future__ import annotations

import pytest

from promptlab.notebook.plots import plot_tokens
from tests.notebook.plots.tables import (
    axes_of,
    bars,
    row_labels,
    stacks,
    texts,
    trials,
)


def test_bars_are_as_wide_as_the_means() -> None:
    figure = plot_tokens(
        trials(
            input_tokens=[100, 200, 300, 500],
            cached_input_tokens=[0, 100, 50, 50],
            output_tokens=[10, 30, 60, 80],
            reasoning_tokens=[0, 10, 20, 40],
        )
    )

    ax = axes_of(figure)
    expected = {
        "input": [100, 350],
        "cached input": [50, 50],
        "output": [15, 40],
        "reasoning": [5, 30],
    }
    for part, widths in expected.items():
        assert [bar.get_width() for bar in bars(ax, part)] == widths
    assert figure.table["uncached_input_tokens"].tolist() == expected["input"]
    assert figure.table["cached_input_tokens"].tolist() == expected["cached input"]
    assert figure.table["visible_output_tokens"].tolist() == expected["output"]
    assert figure.table["reasoning_tokens"].tolist() == expected["reasoning"]
    assert figure.table["total_tokens"].tolist() == [170, 470]


def test_each_part_begins_where_the_one_before_ends() -> None:
    ax = axes_of(plot_tokens(trials(cached_input_tokens=40)))

    assert [bar.get_x() for bar in bars(ax, "input")] == [0, 0]
    assert [bar.get_x() for bar in bars(ax, "cached input")] == [60, 60]
    assert [bar.get_x() for bar in bars(ax, "output")] == [100, 100]


def test_the_line_spans_most_of_the_totals() -> None:
    totals = list(range(0, 110, 10))
    figure = plot_tokens(
        trials(["a"] * 11, input_tokens=totals, output_tokens=0), "model"
    )

    spans = [line.get_segments() for line in axes_of(figure).collections]

    assert [[10, 0], [90, 0]] in [s.tolist() for segments in spans for s in segments]
    assert figure.table["p10_total_tokens"].tolist() == [10]
    assert figure.table["p90_total_tokens"].tolist() == [90]


def test_rows_are_named_with_their_number_of_trials_beside() -> None:
    ax = axes_of(plot_tokens(trials(["a", "a", "b"])))

    assert row_labels(ax) == ["a", "b"]
    assert [text for text in texts(ax) if text in ("1", "2")] == ["2", "1"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first is on top"


def test_a_part_that_is_always_zero_is_not_drawn() -> None:
    figure = plot_tokens(trials())

    drawn = [stack.get_label() for stack in stacks(axes_of(figure))]
    assert drawn == ["input", "output"]
    assert figure.table["reasoning_tokens"].tolist() == [0, 0], "known to be none"


def test_what_the_server_never_counted_is_no_zero() -> None:
    figure = plot_tokens(trials(cached_input_tokens=None, reasoning_tokens=None))

    ax = axes_of(figure)
    assert "The server did not count: cached input, reasoning" in texts(ax)
    assert [bar.get_width() for bar in bars(ax, "input")] == [100, 100]
    assert figure.table["reasoning_tokens"].isna().all()
    assert figure.table["total_tokens"].tolist() == [110, 110]


def test_what_it_counted_at_times_is_the_mean_of_those() -> None:
    figure = plot_tokens(trials(reasoning_tokens=[4, None, None, 8]))

    assert figure.table["reasoning_tokens"].tolist() == [4, 8]
    assert figure.table["visible_output_tokens"].tolist() == [6, 2]
    note = "Reasoning: known for 2 of 4 trials, the mean is over those"
    assert note in texts(axes_of(figure))


def test_a_group_without_any_count_says_so() -> None:
    unknown = [None, None, 5, 5]
    figure = plot_tokens(trials(input_tokens=unknown, output_tokens=unknown))

    assert "tokens unknown" in texts(axes_of(figure))


def test_no_count_at_all_is_noted() -> None:
    nothing = dict.fromkeys(
        ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
    )

    figure = plot_tokens(trials(**nothing))

    assert "The server counted none" in texts(axes_of(figure))


def test_a_table_without_the_columns_is_taken() -> None:
    figure = plot_tokens(trials().drop(columns=["cached_input_tokens"]))

    assert "The server did not count: cached input" in texts(axes_of(figure))


@pytest.mark.parametrize("part", ["cached_input_tokens", "reasoning_tokens"])
def test_a_part_larger_than_the_whole_leaves_nothing_negative(part: str) -> None:
    ax = axes_of(plot_tokens(trials(**{part: 999})))

    assert all(bar.get_width() >= 0 for stack in stacks(ax) for bar in stack)
