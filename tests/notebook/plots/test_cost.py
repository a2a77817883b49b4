"""Cost, per 1,000 trials."""

from __future__ import annotations

import math

import numpy as np
import pytest

import promptlab as pl
from promptlab.notebook.plots import plot_cost
from tests.notebook.plots.tables import axes_of, points, texts, trials


def test_means_and_totals_are_those_of_the_table() -> None:
    figure = plot_cost(trials(cost_usd=[0.001, 0.003, 0.01, 0.02], billed_usd=0.001))

    table = figure.table
    assert table["mean_usd_per_1000"].tolist() == pytest.approx([2, 15])
    assert table["total_usd"].tolist() == pytest.approx([0.004, 0.03])
    assert table["billed_usd"].tolist() == pytest.approx([0.002, 0.002])
    diamonds = axes_of(figure).lines[0]
    assert list(diamonds.get_xdata()) == pytest.approx([2, 15])
    assert list(diamonds.get_ydata()) == [0, 1]


def test_each_trial_is_a_point() -> None:
    ax = axes_of(plot_cost(trials(cost_usd=[0.001, 0.003, 0.01, 0.02])))

    assert points(ax) == pytest.approx([1, 3, 10, 20])


def test_an_unknown_price_is_left_out_and_noted() -> None:
    figure = plot_cost(trials(cost_usd=[0.001, None, 0.003, 0.003]))

    assert figure.table["n"].tolist() == [1, 2]
    assert figure.table["unknown"].tolist() == [1, 0]
    assert figure.table["mean_usd_per_1000"].tolist() == pytest.approx([1, 3])
    assert "Price unknown: 1 of 4 trials, left out" in texts(axes_of(figure))


def test_a_group_without_prices_is_blank_not_free() -> None:
    figure = plot_cost(trials(cost_usd=[None, None, 0.003, 0.003]))

    assert "price unknown" in texts(axes_of(figure))
    assert math.isnan(figure.table["total_usd"].iloc[0])


def test_no_price_at_all_is_noted() -> None:
    figure = plot_cost(trials(cost_usd=np.nan))

    assert "The price of no trial is known" in texts(axes_of(figure))


def test_a_table_without_costs_is_refused() -> None:
    with pytest.raises(pl.SpecError, match=r"no column 'cost_usd'; run .* again"):
        plot_cost(trials().drop(columns="cost_usd"))


def test_what_a_failed_trial_was_billed_counts_as_billed() -> None:
    failed = [None, "timeout", None, None]

    figure = plot_cost(trials(error=failed, billed_usd=0.01))

    assert figure.table["billed_usd"].tolist() == pytest.approx([0.02, 0.02])


def test_far_apart_costs_get_a_logarithmic_axis_that_says_so() -> None:
    ax = axes_of(plot_cost(trials(cost_usd=[0.0001, 0.0002, 0.1, 0.2])))

    assert ax.get_xscale() == "log"
    assert ax.get_xlabel().endswith("log scale")


def test_an_answer_for_nothing_keeps_the_axis_linear() -> None:
    ax = axes_of(plot_cost(trials(cost_usd=[0, 0.0001, 0.1, 0.2])))

    assert ax.get_xscale() == "linear"
    assert ax.get_xlim()[0] == 0


def test_of_many_trials_some_are_drawn_and_the_plot_says_so() -> None:
    figure = plot_cost(trials(["a"] * 2000, cost_usd=np.linspace(0, 1, 2000)), "prompt")

    ax = axes_of(figure)
    drawn = points(ax)
    assert len(drawn) == 400
    assert (drawn[0], drawn[-1]) == (0, pytest.approx(1000))
    assert any(text.startswith("At most 400 points") for text in texts(ax))
    assert figure.table["n"].tolist() == [2000]
