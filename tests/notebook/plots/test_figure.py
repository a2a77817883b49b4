"""Figures that show themselves once, and leave no trace."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from promptlab.notebook import plots
from promptlab.notebook.colormap import contrast
from promptlab.notebook.plots.figure import DPI, SHARP, Plot
from tests.notebook.plots.tables import trials

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def plot() -> Plot:
    drawn = plots.plot_tokens(trials())
    assert isinstance(drawn, Plot)
    return drawn


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_a_notebook_without_magic_shows_it_once(plot: Plot) -> None:
    shown, _ = DisplayFormatter().format(plot)

    assert set(shown) == {"image/png", "text/plain"}
    assert shown["image/png"].startswith(PNG)


def test_a_notebook_with_the_inline_backend_shows_it_once(plot: Plot) -> None:
    formatter = DisplayFormatter()
    formatter.formatters["image/png"].for_type(Figure, lambda figure: PNG)

    shown, _ = formatter.format(plot)

    assert shown["image/png"] == PNG, "as the reader's settings say"
    assert set(shown) == {"image/png", "text/plain"}


def test_it_is_drawn_for_dense_screens_and_shown_at_its_own_size(plot: Plot) -> None:
    images, sizes = plot._repr_mimebundle_()

    own = tuple(round(inches * DPI) for inches in plot.get_size_inches())
    shown = sizes["image/png"]
    assert (shown["width"], shown["height"]) == own
    drawn = size_of(images["image/png"])
    assert drawn == pytest.approx([SHARP * pixels for pixels in own], abs=SHARP)


def test_other_front_ends_get_a_png_too(plot: Plot) -> None:
    png = plot._repr_png_()

    assert png.startswith(PNG)
    assert plot._repr_html_() is None


def test_its_repr_is_one_short_line(plot: Plot) -> None:
    assert repr(plot) == str(plot) == "Plot('Tokens per trial by prompt')"


def test_it_is_opaque_whatever_the_reader_has_set(plot: Plot) -> None:
    before = plot._repr_png_()

    with matplotlib.rc_context({"savefig.transparent": True, "savefig.bbox": "tight"}):
        assert plot._repr_png_() == before
    assert plot.get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def test_a_dark_style_sheet_makes_a_dark_figure_with_light_text() -> None:
    style = Path(matplotlib.get_data_path(), "stylelib", "dark_background.mplstyle")
    settings = matplotlib.rc_params_from_file(style, use_default_template=False)
    with matplotlib.rc_context(settings):
        dark = plots.plot_cost(trials())
        dark._repr_png_()

    written = [text for text in dark.findobj(Text) if text.get_text()]
    assert to_hex(dark.get_facecolor()) == "#000000"
    assert min(contrast(to_hex(text.get_color()), "#000000") for text in written) >= 4.5


@pytest.mark.parametrize("text", ["white", "black"])
def test_text_is_legible_on_any_figure(text: str) -> None:
    settings = {"text.color": text, "figure.facecolor": "#fdf6e3"}
    with matplotlib.rc_context(settings):
        figure = plots.plot_latency(trials())

    written = [text for text in figure.findobj(Text) if text.get_text()]
    assert min(contrast(to_hex(t.get_color()), "#fdf6e3") for t in written) >= 4.5


def test_text_and_rows_are_as_large_as_the_reader_has_set() -> None:
    usual = plots.plot_cost(trials())

    with matplotlib.rc_context({"font.size": 20}):
        large = plots.plot_cost(trials())

    assert large.get_figheight() > 1.7 * usual.get_figheight()
    assert large.axes[0].get_yticklabels()[0].get_fontsize() == 20


def test_the_same_table_gives_the_same_picture_in_any_thread() -> None:
    table = trials(latency_s=[0.1, 0.2, 0.3, 0.4])

    def picture(_: int) -> bytes:
        png: bytes = plots.plot_latency(table)._repr_png_()
        return png

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(picture, range(8)))) == 1


def test_drawing_changes_no_setting() -> None:
    before = dict(matplotlib.rcParams)

    for draw in (plots.plot_tokens, plots.plot_heatmap, plots.plot_lengths):
        draw(trials(temperature=[0, 1, 0, 1]))._repr_png_()

    assert dict(matplotlib.rcParams) == before


DRAW_ALL = """
import sys
import pandas as pd
from promptlab.notebook import plots
from tests.notebook.plots.tables import trials
table = trials(temperature=[0, 1, 0, 1])
for name in ("tokens", "cost", "latency", "lengths", "heatmap"):
    getattr(plots, f"plot_{name}")(table)._repr_png_()
plots.plot_usage(pd.DataFrame({"day": ["2026-11-24"], "requests": [1]}))._repr_png_()
assert "matplotlib.figure" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""


def test_pyplot_is_never_imported() -> None:
    root = Path(__file__).parents[3]

    run: Any = subprocess.run([sys.executable, "-W", "error", "-c", DRAW_ALL], cwd=root)

    assert run.returncode == 0
