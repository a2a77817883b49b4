"""What all plots have in common."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from promptlab.notebook import plots
from promptlab.notebook.colormap import luminance, style
from promptlab.notebook.plots.figure import Plot
from tests.notebook.plots.tables import (
    HOSTILE,
    axes_of,
    own_axes,
    stacks,
    texts,
    trials,
)

Draw = Callable[..., Any]

ALL: list[Draw] = [
    plots.plot_tokens,
    plots.plot_cost,
    plots.plot_latency,
    plots.plot_lengths,
    plots.plot_heatmap,
]
every = pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)


def written(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


@every
def test_a_figure_has_a_table(draw: Draw) -> None:
    figure = draw(trials(temperature=[0, 1, 0, 1]))

    assert isinstance(figure, Plot)
    assert len(figure.table) > 0
    assert "n" in figure.table


@every
def test_given_axes_are_drawn_on_and_returned(draw: Draw) -> None:
    ax = own_axes()
    figure = ax.get_figure()

    assert draw(trials(temperature=[0, 1, 0, 1]), ax=ax) is ax
    assert ax.has_data()
    assert ax.get_figure() is figure
    assert figure.axes == [ax]


@every
def test_a_table_without_trials_says_so(draw: Draw) -> None:
    figure = draw(trials([]))

    assert "No trials" in texts(axes_of(figure))
    assert len(figure.table) == 0
    assert list(figure.table) == list(draw(trials()).table)


@every
def test_a_table_of_failures_says_so(draw: Draw) -> None:
    figure = draw(trials(error="429: slow down", output=None))

    assert "All 4 trials failed" in texts(axes_of(figure))


@every
def test_a_single_trial_is_drawn(draw: Draw) -> None:
    figure = draw(trials(["only"]), **_two(draw))

    assert figure.table["n"].tolist() == [1]
    figure.savefig(io.BytesIO())


@every
def test_failed_trials_are_left_out_and_counted(draw: Draw) -> None:
    figure = draw(trials(error=[None, "x", None, None]), **_two(draw))

    assert figure.table["n"].sum() == 3
    assert "1 of 4 trials failed: left out" in texts(axes_of(figure))


@every
def test_hostile_labels_are_written_as_they_are(draw: Draw) -> None:
    figure = draw(trials(HOSTILE, temperature=0), **_two(draw))

    figure.savefig(io.BytesIO())  # a warning would be an error
    labels = [text.get_text() for text in written(figure)]
    assert "$x^2$" in labels
    assert "$5 and \\$6 $" in labels
    assert not any(
        text.get_parse_math() for text in written(figure) if "x^2" in str(text)
    )


@pytest.mark.filterwarnings("ignore:the table does not say what its columns")
@every
def test_hostile_names_of_columns_are_written_as_they_are(draw: Draw) -> None:
    table = trials().rename(columns={"prompt": "$a^{b\n<b>日"})

    figure = draw(table, **_two(draw, "$a^{b\n<b>日"))

    figure.savefig(io.BytesIO())
    assert "$a^{b <b>" in figure.title


@every
@pytest.mark.parametrize("count", [1, 2, 30], ids=["1", "2", "30"])
def test_nothing_is_cut_off(draw: Draw, count: int) -> None:
    prompts = [f"variant {'W' * 40} {place}" for place in range(count)] * 2
    figure = draw(trials(prompts, latency_s=123.4), **_two(draw))

    figure.draw_without_rendering()
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= page.x0
    assert drawn.y0 >= page.y0
    assert drawn.x1 <= page.x1
    assert drawn.y1 <= page.y1


@pytest.mark.filterwarnings("ignore:the table does not say what its columns")
def test_a_long_title_is_broken_into_lines() -> None:
    names = [f"{'W' * 30}{place}" for place in range(4)]
    table = trials(**dict.fromkeys(names, 0))

    figure = plots.plot_tokens(table, names)

    figure.draw_without_rendering()
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x1 <= page.x1
    assert drawn.y1 <= page.y1


@every
def test_a_figure_grows_with_its_groups(draw: Draw) -> None:
    heights = [
        draw(trials([str(n) for n in range(count)]), **_two(draw)).get_figheight()
        for count in (2, 30)
    ]

    assert heights[1] > 1.5 * heights[0]


@every
def test_of_very_many_groups_the_first_are_drawn_and_the_plot_says_so(
    draw: Draw,
) -> None:
    figure = draw(trials([f"p{n}" for n in range(200)]), **_two(draw))

    assert len(figure.table) == 200
    assert "The first 60 of 200 are drawn; .table has all" in texts(axes_of(figure))
    figure._repr_png_()


@every
def test_texts_are_legible_on_a_dark_figure_of_the_reader(draw: Draw) -> None:
    ax = own_axes()
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    figure.set_facecolor("#111111")

    draw(trials(temperature=[0, 1, 0, 1]), ax=ax)

    swatch = "■"
    outside = [t for t in ax.texts if t.xycoords != "data" and t.get_text() != swatch]
    outside += ax.get_yticklabels()
    assert outside
    assert min(luminance(to_hex(text.get_color())) for text in outside) > 0.3


@pytest.mark.parametrize(
    ("draw", "colours"),
    [
        (plots.plot_cost, lambda ax: ax.collections),
        (plots.plot_lengths, lambda ax: ax.collections),
    ],
    ids=["cost", "lengths"],
)
def test_points_have_the_colour_of_their_value(draw: Draw, colours: Any) -> None:
    ax = axes_of(draw(trials()))

    drawn = {to_hex(c) for part in colours(ax) for c in part.get_edgecolor()}
    assert {style(0).colour.lower(), style(1).colour.lower()} <= drawn


def test_lines_and_bars_have_the_colour_of_their_value() -> None:
    lines = axes_of(plots.plot_latency(trials())).lines
    output = stacks(axes_of(plots.plot_tokens(trials())))[-1]

    expected = [style(0).colour.lower(), style(1).colour.lower()]
    assert [to_hex(bar.get_facecolor()) for bar in output] == expected
    drawn = [line.get_color().lower() for line in lines if line.get_label() in PROMPTS]
    assert drawn == expected


PROMPTS = ("plain", "steps")


def _two(draw: Draw, rows: str = "prompt") -> dict[str, str]:
    """The arguments with which a plot compares the prompts."""
    if draw is plots.plot_heatmap:
        return {"rows": rows, "columns": "finish_reason"}
    return {"by": rows}
