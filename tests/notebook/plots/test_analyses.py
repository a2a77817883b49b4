"""Plots of analyses: leaderboard, effects, interactions, flips, stability, pareto."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

import promptlab as pl
from tests.analysis.tables import drawn, scored
from tests.notebook.plots.tables import HOSTILE, axes_of, bars, own_axes, texts

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
    (pl.plot_interaction, pl.effects),
    (pl.plot_stability, pl.stability),
]
every = pytest.mark.parametrize(
    ("draw", "analyse"), ANALYSES, ids=lambda function: function.__name__
)


def table(cases: int = 60) -> pd.DataFrame:
    trials = drawn(GRID, cases, 2, names=NAMES)
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
    trials = drawn({(name, m): 0.5 for name in names for m in "ab"}, 8, 2, names=NAMES)

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


def test_the_lines_of_an_interaction_are_those_of_its_table() -> None:
    figure = pl.plot_interaction(table())

    of_models = axes_of(figure).lines
    assert [line.get_ydata().tolist() for line in of_models] == [
        figure.table.query(f"model == '{model}'")["score"].tolist() for model in "ab"
    ]
    legend = axes_of(figure).get_legend()
    assert legend is not None
    assert "a  n 60" in [text.get_text() for text in legend.get_texts()]
    assert any(text.startswith("Cannot tell") for text in texts(axes_of(figure)))


def test_a_sure_interaction_is_told_as_one() -> None:
    chances = {("plain", "a"): 0.3, ("plain", "b"): 0.8}
    chances |= {("steps", "a"): 0.8, ("steps", "b"): 0.3}

    figure = pl.plot_interaction(drawn(chances, 80, names=NAMES))

    assert any(text.startswith("It depends") for text in texts(axes_of(figure)))


def test_an_interaction_is_of_two_parameters_that_are_named() -> None:
    trials = table().assign(language="en")
    with pytest.raises(pl.SpecError, match="of two parameters, and this is of 1"):
        pl.plot_interaction(trials, "exact", by="prompt")

    figure = pl.plot_interaction(trials, "exact", by=("language", "prompt"))

    assert any(text.startswith("One value of") for text in texts(axes_of(figure)))


def test_of_an_interaction_with_many_values_the_first_are_drawn() -> None:
    many = {(f"{n:02}", str(m)): 0.5 for n in range(14) for m in range(14)}

    figure = pl.plot_interaction(drawn(many, 4, names=NAMES))

    assert len(axes_of(figure).lines) == 12
    assert len(axes_of(figure).get_xticks()) == 12
    assert len(figure.table) == 14 * 14


def test_bars_of_flips_go_from_won_to_lost() -> None:
    trials = scored({"a": [0, 1, 1, 0, 0], "b": [1, 0, 1, 1, np.nan]})

    figure = pl.plot_flips(trials, "a", "b")

    assert figure.table["difference"].tolist() == [1, 1, 0, -1]
    won, lost = (part.get_data().values.tolist() for part in axes_of(figure).patches)
    assert won == [1, 1, 0, 0]
    assert lost == [0, 0, 0, -1]
    drawn_texts = texts(axes_of(figure))
    assert {"b better: 2", "a better: 1"} <= set(drawn_texts)
    assert any("n 4; cannot tell" in text for text in drawn_texts)


def test_where_lower_is_better_bars_down_are_won() -> None:
    trials = scored({"a": [5.0, 1.0], "b": [2.0, 4.0]})

    figure = pl.plot_flips(trials, "a", "b", lower_is_better=True)

    assert figure.table["difference"].tolist() == [-3, 3]
    assert "b better: 1" in texts(axes_of(figure))


def test_flips_are_drawn_of_a_pair_on_given_axes_and_of_hostile_names() -> None:
    names = [name for name in HOSTILE if name][:2]
    pair = pl.compare_pair(drawn(dict.fromkeys(names, 0.5), 20), *names)
    ax = own_axes()

    assert pl.plot_flips(pair, ax=ax) is ax
    pl.plot_flips(pair).savefig(io.BytesIO())


def test_a_pair_that_never_differs_says_so() -> None:
    same = pl.plot_flips(scored({"a": [1, 0], "b": [1, 0]}), "a", "b")
    apart = pl.plot_flips(scored({"a": [1, np.nan], "b": [np.nan, 0]}), "a", "b")

    assert "The same score on 2 cases" in texts(axes_of(same))
    assert "No case has a score of both" in texts(axes_of(apart))


def test_bars_of_stability_add_up_to_all_cases() -> None:
    figure = pl.plot_stability(table())

    parts = [bars(axes_of(figure), name) for name in ("always", "sometimes", "never")]
    for part, name in zip(parts, ("always", "sometimes", "never"), strict=True):
        widths = [bar.get_width() for bar in part]
        assert widths == pytest.approx(figure.table[name].tolist())
    sums = [sum(bar.get_width() for bar in row) for row in zip(*parts, strict=True)]
    assert sums == pytest.approx([1] * 4)
    assert "60" in texts(axes_of(figure))


def test_plots_of_scores_that_are_all_missing_say_so() -> None:
    missing = table(4).assign(exact=np.nan)

    for draw in (pl.plot_interaction, pl.plot_stability):
        assert "No scores" in texts(axes_of(draw(missing)))
