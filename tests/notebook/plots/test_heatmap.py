"""Two parameters against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import promptlab as pl
from promptlab.notebook.plots import plot_heatmap
from tests.notebook.plots.tables import axes_of, own_axes, row_labels, texts, trials

TEMPERATURES = [0, 1, 0, 1]


def tiles(figure: Any) -> np.ma.MaskedArray:
    (mesh,) = [c for c in axes_of(figure).collections if hasattr(c, "get_coordinates")]
    return mesh.get_array()


def test_tiles_hold_the_means() -> None:
    figure = plot_heatmap(
        trials(
            ["a", "a", "a", "b"], temperature=[0, 0, 1, 0], output_tokens=[2, 4, 7, 9]
        )
    )

    assert tiles(figure).tolist() == [[3, 7], [9, None]]
    assert figure.table["output_tokens"].tolist()[:3] == [3, 7, 9]
    assert figure.table["n"].tolist() == [2, 1, 1, 0]


def test_rows_and_columns_are_the_first_two_that_vary() -> None:
    figure = plot_heatmap(trials(temperature=TEMPERATURES, top_p=[1, 1, 1, 0.5]))

    ax = axes_of(figure)
    assert figure.table.index.names == ["prompt", "temperature"]
    assert row_labels(ax) == ["plain", "steps"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1"]


def test_either_can_be_named_alone() -> None:
    table = trials(temperature=TEMPERATURES)

    assert plot_heatmap(table, columns="prompt").table.index.names == [
        "temperature",
        "prompt",
    ]
    assert plot_heatmap(table, rows="temperature").table.index.names == [
        "temperature",
        "prompt",
    ]


def test_a_combination_that_was_not_asked_is_hatched_and_not_zero() -> None:
    figure = plot_heatmap(trials(temperature=[0, 1, 0, 0]))

    ax = axes_of(figure)
    assert "not asked" in texts(ax)
    assert [patch.get_hatch() for patch in ax.patches] == ["////"]
    assert np.isnan(figure.table["output_tokens"].iloc[-1])


def test_a_combination_that_failed_says_so() -> None:
    failed = [None, None, None, "timeout"]

    figure = plot_heatmap(trials(temperature=TEMPERATURES, error=failed))

    assert "failed" in texts(axes_of(figure))
    assert figure.table["asked"].tolist() == [1, 1, 1, 1]


def test_a_tile_tells_number_spread_and_trials() -> None:
    table = trials(["a", "a"], output_tokens=[10, 20])

    written = texts(axes_of(plot_heatmap(table, "prompt", "model")))

    assert "15" in written
    assert "±7.07  n=2" in written


def test_a_score_is_shown_before_tokens() -> None:
    table = trials(
        temperature=TEMPERATURES, scores={"right": [True, False, True, True]}
    )

    figure = plot_heatmap(table)

    assert figure.table["right"].tolist() == [1, 0, 1, 1]
    assert {"100%", "0%"} <= set(texts(axes_of(figure)))


def test_booleans_with_gaps_are_numbers() -> None:
    table = trials(["a"] * 4, scores={"right": [True, None, False, True]})

    figure = plot_heatmap(table, "prompt", "model")

    assert figure.table["right"].tolist() == [pytest.approx(2 / 3)]
    assert "67%" in texts(axes_of(figure))


@pytest.mark.parametrize("name", ["n", "sd", "asked"])
def test_a_score_may_have_any_name(name: str) -> None:
    table = trials(temperature=TEMPERATURES, scores={name: [5, 6, 7, 8]})

    assert tiles(plot_heatmap(table, value=name)).tolist() == [[5, 6], [7, 8]]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("mean", 4), ("median", 3), ("min", 2), ("max", 7), ("sum", 12)],
)
def test_trials_can_be_aggregated_otherwise(aggregate: str, expected: float) -> None:
    table = trials(["a"] * 3, output_tokens=[2, 3, 7])

    figure = plot_heatmap(table, "prompt", "model", aggregate=aggregate)

    assert figure.table["output_tokens"].tolist() == [expected]
    assert figure.title.startswith(aggregate.capitalize())


def test_money_and_times_are_written_as_such() -> None:
    table = trials(temperature=TEMPERATURES)

    assert "$0.0010" in texts(axes_of(plot_heatmap(table, value="cost_usd")))
    assert "500 ms" in texts(axes_of(plot_heatmap(table, value="latency_s")))


def test_texts_stand_out_from_their_tiles() -> None:
    ax = axes_of(
        plot_heatmap(trials(temperature=TEMPERATURES, output_tokens=[0, 1, 2, 9]))
    )

    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert colours["0"] == "#ffffff"
    assert colours["9"] == "#000000"


def test_too_many_columns_for_numbers_are_shown_by_colour() -> None:
    places = [*range(60)] * 2
    table = trials(["a"] * 120, top_k=places, output_tokens=places)

    figure = plot_heatmap(table, columns="top_k")

    ax = axes_of(figure)
    assert any("from 0 (dark) to 59 (light)" in text for text in texts(ax))
    assert figure.get_figwidth() < 20
    assert len(figure.table) == 60


def test_small_axes_get_smaller_text() -> None:
    table = trials(temperature=TEMPERATURES)
    large, small = own_axes(), own_axes()
    small.get_figure().set_size_inches(2.4, 1.2)

    plot_heatmap(table, ax=large)
    plot_heatmap(table, ax=small)

    def size(ax: Any) -> float:
        return max(text.get_fontsize() for text in ax.texts if text.xycoords == "data")

    assert size(small) < size(large)


def test_values_that_are_not_sent_have_their_row() -> None:
    table = trials(["a", "a"], temperature=[np.nan, 0.5])

    figure = plot_heatmap(table, "temperature", "prompt")

    assert row_labels(axes_of(figure)) == ["not sent", "0.5"]
    assert figure.table["n"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": "modle"}, "rows: the table has no column 'modle'; did you mean"),
        ({"columns": "x"}, "columns: the table has no column 'x'; valid names: "),
        ({"value": "latency"}, "value: the table has no column 'latency'; did you"),
        ({"value": "output"}, "'output' holds no numbers"),
        ({"value": "case"}, "'case' holds no numbers"),
        ({"rows": "prompt", "columns": "prompt"}, "two columns against each other"),
        ({"aggregate": "avg"}, "unknown aggregate 'avg'; valid names: mean, median"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(pl.SpecError, match=message):
        plot_heatmap(trials(), **arguments)


def test_a_table_with_one_parameter_is_refused() -> None:
    with pytest.raises(pl.SpecError, match="two columns against each other"):
        plot_heatmap(trials().drop(columns="model"))


def test_a_tile_of_a_score_has_its_interval_by_cases_and_who_is_missing() -> None:
    table = trials(["a"] * 6, case=[0, 0, 1, 1, 2, 2])
    table["quality"] = [1, 1, 0, 0, 1, None]

    plot = plot_heatmap(table, "prompt", "model")

    written = texts(axes_of(plot))
    assert "67%" in written
    assert "[21, 94]  n=5 of 6" in written
    assert plot.table["quality"].iloc[0] == pytest.approx(2 / 3)
    assert {"ci_low", "ci_high"} <= set(plot.table)
    assert "±" in " ".join(
        texts(axes_of(plot_heatmap(table, "prompt", "model", "latency_s")))
    )
