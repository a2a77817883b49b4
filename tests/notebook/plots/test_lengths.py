"""Lengths of outputs, and what was cut short."""

from __future__ import annotations

import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from promptlab.notebook.colormap import WHITE
from promptlab.notebook.plots import plot_lengths
from tests.notebook.plots.tables import axes_of, points, texts, trials

CUT = ["length", "stop", "stop", "stop"]


def test_each_output_is_a_point() -> None:
    ax = axes_of(plot_lengths(trials(output_tokens=[5, 7, 11, 13])))

    assert points(ax) == [5, 7, 11, 13]
    assert ax.get_xlabel() == "tokens per output"


def test_the_box_spans_the_middle_half() -> None:
    figure = plot_lengths(
        trials(["a"] * 5, output_tokens=[0, 10, 20, 30, 40]), "prompt"
    )

    (box,) = axes_of(figure).containers[0]
    assert (box.get_x(), box.get_width()) == (10, 20)
    assert figure.table.loc["a", ["p25", "p50", "p75"]].tolist() == [10, 20, 30]


def test_the_share_cut_short_is_drawn_and_written() -> None:
    figure = plot_lengths(trials(finish_reason=CUT))

    assert figure.table["truncated"].tolist() == [1, 0]
    assert figure.table["truncated_share"].tolist() == [0.5, 0]
    assert {"cut short", "50%", "0%"} <= set(texts(axes_of(figure)))


def test_points_of_what_was_cut_short_are_rings() -> None:
    ax = axes_of(plot_lengths(trials(finish_reason=CUT, output_tokens=[5, 7, 11, 13])))

    (strip, _) = [part for part in ax.collections if isinstance(part, PathCollection)]
    offsets, faces = strip.get_offsets(), strip.get_facecolor()
    rings = [x for (x, _), f in zip(offsets, faces, strict=True) if to_hex(f) == WHITE]
    assert rings == [5]


def test_without_counted_tokens_lengths_are_characters() -> None:
    outputs = ["abc", "", "é", "日本"]

    figure = plot_lengths(trials(output=outputs, output_tokens=None))

    assert figure.table["unit"].tolist() == ["characters", "characters"]
    assert figure.table["longest"].tolist() == [3, 2]
    ax = axes_of(figure)
    assert ax.get_xlabel() == "characters per output"
    assert "In characters: the server counted no tokens" in texts(ax)


def test_a_length_that_was_not_counted_is_left_out_and_noted() -> None:
    figure = plot_lengths(trials(output_tokens=[None, 5, 6, 7]))

    assert figure.table["n"].tolist() == [1, 2]
    assert "Length unknown: 1 of 4 trials, left out" in texts(axes_of(figure))


def test_a_table_without_finish_reasons_has_no_share() -> None:
    figure = plot_lengths(trials().drop(columns="finish_reason"))

    assert figure.table["truncated"].isna().all()
    assert "cut short" not in texts(axes_of(figure))


def test_failed_trials_are_not_in_the_share() -> None:
    failed = [None, "timeout", None, None]

    figure = plot_lengths(
        trials(error=failed, finish_reason=["length", None, *CUT[2:]])
    )

    assert figure.table["truncated_share"].tolist() == pytest.approx([1, 0])


def test_where_no_reason_is_known_no_share_is_claimed() -> None:
    figure = plot_lengths(trials(finish_reason=[None, None, "length", None]))

    assert figure.table["truncated_share"].isna().tolist() == [True, False]
    assert figure.table["truncated_share"].iloc[1] == 1
