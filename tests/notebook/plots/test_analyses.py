"""Plots of analyses: leaderboard, effects, score against cost."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

import promptlab as pl
from tests.analysis.tables import drawn
from tests.notebook.plots.tables import HOSTILE, axes_of, own_axes, texts

NAMES = ("prompt", "model")
GRID = {
    (prompt, model): chance
    for prompt, chance in {"plain": 0.3, "steps": 0.9}.items()
    for model in ("a", "b")
}

Draw = Callable[..., Any]
ANALYSES: list[tuple[Draw, Draw]] = [
    (pl.plot_leaderboard, pl.leaderboard),
    (pl.plot_effects, pl.effects),
    (pl.plot_pareto, pl.pareto),
]
every = pytest.mark.parametrize(
    ("draw", "analyse"), ANALYSES, ids=["leaderboard", "effects", "pareto"]
)


def table(cases: int = 60) -> pd.DataFrame:
    trials = drawn(GRID, cases, names=NAMES)
    return trials.assign(cost_usd=trials["model"].map({"a": 0.001, "b": 0.002}))


def lines(figure: Any) -> list[Any]:
    return [line for line in axes_of(figure).lines if len(line.get_xdata()) == 2]


@every
def test_a_table_and_its_analysis_are_drawn_alike(draw: Draw, analyse: Draw) -> None:
    figure, again = draw(table()), draw(analyse(table()))

    pd.testing.assert_frame_equal(figure.table, again.table)
    assert "n" in figure.table
    assert texts(axes_of(figure)) == texts(axes_of(again))


@every
def test_given_axes_are_drawn_on_and_returned(draw: Draw, analyse: Draw) -> None:
    ax = own_axes()

    assert draw(analyse(table()), ax=ax) is ax
    assert ax.has_data()


@every
def test_hostile_values_are_written_as_they_are(draw: Draw, analyse: Draw) -> None:
    names = [name for name in HOSTILE if name]
    trials = drawn(dict.fromkeys(names, 0.5), 8)

    figure = draw(trials)

    figure.savefig(io.BytesIO())  # a warning would be an error
    assert not any(
        text.get_parse_math() for text in figure.findobj(Text) if "x^2" in str(text)
    )


def test_dots_and_whiskers_are_those_of_the_leaderboard() -> None:
    board = pl.leaderboard(table(), baseline="plain")

    figure = pl.plot_leaderboard(board)

    ends = [tuple(line.get_xdata()) for line in lines(figure)]
    assert ends == list(zip(board.table["ci_low"], board.table["ci_high"], strict=True))
    dots = [line for line in axes_of(figure).lines if len(line.get_xdata()) == 1]
    assert [dot.get_xdata()[0] for dot in dots] == board.table["score"].tolist()
    filled = [
        to_hex(dot.get_markerfacecolor()) == to_hex(dot.get_color()) for dot in dots
    ]
    assert filled == board.table["could_be_best"].tolist()
    labels = [tick.get_text() for tick in axes_of(figure).get_yticklabels()]
    assert labels[-1].startswith("plain")
    assert "better  n 60" in labels[0]


def test_whiskers_of_effects_are_those_of_the_levels() -> None:
    found = pl.effects(table())

    figure = pl.plot_effects(found)

    ends = [tuple(line.get_xdata()) for line in lines(figure)]
    assert ends == list(
        zip(found.levels["ci_low"], found.levels["ci_high"], strict=True)
    )
    labels = [tick.get_text() for tick in axes_of(figure).get_yticklabels()]
    assert labels == [
        *("prompt: plain  n 60", "prompt: steps  n 60"),
        *("model: a  n 60", "model: b  n 60"),
    ]


def test_the_front_is_named_with_how_sure_it_is() -> None:
    figure = pl.plot_pareto(table())

    assert figure.table["on_front"].any()
    named = [text for text in axes_of(figure).texts if "steps · a (" in str(text)]
    assert len(named) == 1


def test_of_many_variants_the_first_are_drawn() -> None:
    trials = drawn({str(n): 0.5 for n in range(65)}, 6)

    figure = pl.plot_leaderboard(trials)

    assert len(axes_of(figure).get_yticklabels()) == 60
    assert len(figure.table) == 65
    assert "The first 60 of 65 are drawn; .table has all" in texts(axes_of(figure))
