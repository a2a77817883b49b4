"""Figure layout: axes with a title and notes, in a figure as large as they need.

All that is written around axes is part of them: matplotlib measures it, and its layout
engines make room for it in a figure of the reader's. Lengths are in points.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.ticker import MaxNLocator

from promptlab.notebook.colormap import contrast, mix, text_on
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.labels import font_families

WIDTH = 605.0
"""Of a plot of its own: 8.4 inches."""

NARROWEST = 240.0
"""Of the axes of such a plot, however much is written beside them."""

MARGIN = 9.0

SHORTEST = 20
"""The fewest characters that a line is broken to."""

LEGIBLE = 4.5
"""The contrast that text needs (WCAG 2.2, AA)."""

STEPS = (1, 2, 2.5, 5, 10)
"""Between the numbers on an axis."""


@dataclass(frozen=True)
class Theme:
    """The colours of what is not data."""

    ground: str
    text: str
    muted: str
    faint: str

    @classmethod
    def of(cls, figure: Figure) -> Theme:
        """The reader's colour for text, or what is legible on that figure."""
        text, face = to_hex(rcParams["text.color"]), figure.get_facecolor()
        ground = to_hex(face) if to_rgba(face)[3] > 0.5 else text_on(text)
        if contrast(text, ground) < LEGIBLE:
            text = text_on(ground)
        return cls(ground, text, mix(text, ground, 0.7), mix(text, ground, 0.12))

    @property
    def small(self) -> dict[str, Any]:
        """The style of text that explains."""
        return {"color": self.muted, "fontsize": "small"}


@dataclass(frozen=True)
class Canvas:
    """Axes to draw on, of a plot of its own or within the reader's figure."""

    ax: Axes
    theme: Theme
    title: Text
    notes: Text
    """Below the title, which is these where there are none."""
    plot: Plot | None
    """The figure, unless it is the reader's."""

    @classmethod
    def of(
        cls,
        ax: Axes | None,
        title: str,
        notes: Sequence[str] = (),
        *,
        above: float = 6.0,
    ) -> Canvas:
        """The axes given, or those of a new figure, with a title and notes above.

        `above` is the room between notes and axes.
        """
        plot = None
        if ax is None:
            plot = Plot(title)
            ax = plot.add_subplot()
        theme = Theme.of(_figure_of(ax))
        bold: dict[str, Any] = {"weight": "bold", "fontsize": "large"}
        bold |= {"color": theme.text} | text_style()
        small = theme.small | text_style()
        strings, style = ("\n".join(notes), small) if notes else (title, bold)
        header = ax.set_title(strings, loc="left", pad=above, **style)
        canvas = cls(ax, theme, header, header, plot)
        if notes:
            on_top: dict[str, Any] = {"offset": (0, 5), "va": "bottom"}
            heading = canvas.write(title, (0, 1), header, **on_top, **bold)
            canvas = replace(canvas, title=heading)
        canvas._clear()
        width = points(ax.bbox.width, ax) if plot is None else WIDTH - 2 * MARGIN
        for text in {canvas.notes, canvas.title}:
            _wrap(text, width)
        return canvas

    def write(
        self,
        string: str,
        xy: tuple[float, float],
        coordinates: Any = "data",
        *,
        offset: tuple[float, float] = (0.0, 0.0),
        **style: Any,
    ) -> Annotation:
        """Writes at a place of the axes, or of another artist, moved by an offset."""
        usual = {"color": self.theme.text, "va": "center", "fontsize": "medium"}
        return self.ax.annotate(
            string,
            xy,
            xytext=offset,
            xycoords=coordinates,
            textcoords="offset points",
            annotation_clip=False,
            **(usual | style | text_style()),
        )

    def label_x(self, string: str) -> None:
        """Says what the horizontal axis shows, and in which unit."""
        self.ax.set_xlabel(
            string, loc="left", labelpad=5, **self.theme.small, **text_style()
        )

    def name_rows(self, labels: Sequence[str]) -> None:
        """Writes the labels to the left of the axes, from the top down."""
        ax = self.ax
        ax.set_yticks(range(len(labels)), labels=list(labels), **text_style())
        ax.tick_params(axis="y", labelsize="medium", labelcolor=self.theme.text, pad=6)
        ax.set_ylim(len(labels) - 0.5, -0.5)

    def scale_x(
        self, label: str, ends: pd.Series[float] | pd.DataFrame, *, log: bool = False
    ) -> None:
        """Names the horizontal axis: logarithmic, or from 0 to a little more than the
        largest of `ends`."""
        if log:
            self.ax.set_xscale("log")
            self.label_x(f"{label}, log scale")
        else:
            largest = float(np.nanmax(ends.to_numpy(dtype=float), initial=0.0))
            self.ax.set_xlim(0, largest * 1.04 or 1)
            self.label_x(label)

    def grid(self, axis: Literal["both", "x", "y"]) -> None:
        """Draws faint lines from the numbers of an axis."""
        style: dict[str, Any] = {"color": self.theme.faint, "linewidth": 0.8}
        self.ax.grid(visible=True, axis=axis, linestyle="-", alpha=1.0, **style)

    def finish(
        self, table: pd.DataFrame, *, height: float, width: float = NARROWEST
    ) -> Plot | Axes:
        """The figure with its table; or the axes, if those were given.

        The figure becomes as high as axes of that height need, in font sizes, and
        as wide as others, or wider where its axes would be narrower than `width`.
        """
        if self.plot is None:
            return self.ax
        self.plot.table = table
        for _ in range(2):  # what is around depends a little on the size
            self._fit(self.plot, height * font_size(), width)
        return self.plot

    def empty(self, why: str, table: pd.DataFrame) -> Plot | Axes:
        """The figure or axes that say why there is nothing to draw."""
        self.ax.set_axis_off()
        centre = (0.5, 0.5), "axes fraction"
        self.write(why, *centre, ha="center", color=self.theme.muted)
        return self.finish(table, height=6)

    def _fit(self, plot: Plot, height: float, width: float) -> None:
        """Makes the figure as large as the axes and what is around them."""
        ax, renderer = self.ax, _renderer(plot)
        for text in (self.notes, self.title):
            text.set_in_layout(False)  # they begin further to the left
        inside, all_of_it = ax.get_window_extent(renderer), ax.get_tightbbox(renderer)
        title = self.title.get_window_extent(renderer)
        for text in (self.notes, self.title):
            text.set_in_layout(True)
        assert all_of_it is not None, "the axes are visible"
        left, below = (inside.p0 - all_of_it.p0) * 72 / plot.dpi
        right, above = (all_of_it.p1 - inside.p1) * 72 / plot.dpi
        above = max(above, points(title.y1 - inside.y1, ax))
        wide = max(width, WIDTH - 2 * MARGIN - left - right)
        across = wide + left + right + 2 * MARGIN
        up = height + below + above + 2 * MARGIN
        plot.set_size_inches(across / 72, up / 72)
        corner = (MARGIN + left) / across, (MARGIN + below) / up
        ax.set_position((*corner, wide / across, height / up))
        self.notes.set_x(-left / wide)

    def _clear(self) -> None:
        """Takes away what the reader's style draws around data."""
        ax = self.ax
        ax.patch.set_visible(False)
        ax.spines[:].set_visible(False)
        ax.grid(visible=False, which="both")
        ax.set_axisbelow(True)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
        ax.tick_params(
            which="both",
            length=0,
            labelsize="small",
            labelcolor=self.theme.muted,
            labelbottom=True,
            labelleft=True,
            labelfontfamily=font_families(),
        )


def text_style() -> dict[str, Any]:
    """Fonts with fallbacks; a `$` in a label begins no formula."""
    return {"fontfamily": font_families(), "parse_math": False, "usetex": False}


def font_size() -> float:
    """The reader's font size, which rows and tiles are measured in."""
    return float(rcParams["font.size"])


def width_of(texts: Iterable[Text]) -> float:
    """How wide the widest of the texts is drawn; 0 if there are none."""
    return max(map(_width, texts), default=0.0)


def points(pixels: float, on: Artist) -> float:
    """A length on the screen, in the figure of an artist, in points."""
    return pixels * 72 / _figure_of(on).dpi


def _figure_of(artist: Artist) -> Figure:
    figure = artist.get_figure(root=True)
    assert figure is not None, "these axes were removed from their figure"
    return figure


def _renderer(figure: Figure) -> RendererAgg:
    """What measures text in a figure."""
    return RendererAgg(1, 1, figure.dpi)  # type: ignore[no-untyped-call]


def _width(text: Text) -> float:
    box = text.get_window_extent(_renderer(_figure_of(text)))
    return points(box.width, text)


def _wrap(text: Text, width: float) -> None:
    """Breaks the lines of a text that are wider."""
    lines = text.get_text().split("\n")
    length = max(map(len, lines))
    while length > SHORTEST and (wide := width_of([text])) > width:
        length = max(SHORTEST, min(length - 1, int(length * width / wide)))
        text.set_text("\n".join(textwrap.fill(line, length) for line in lines))
