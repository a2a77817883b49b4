"""Sheets: axes with a heading and room around them, as a plot of its own or within the
reader's own figure. Lengths are in points."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, ScaledTranslation, Transform

from promptlab.notebook.colours import Mark, luminance
from promptlab.notebook.figures import Plot
from promptlab.notebook.plots import lettering

WIDTH = 605.0
"""Of a plot of its own: 8.4 inches."""

NARROWEST = 240.0
"""Of the axes of such a plot, however much is written beside them."""

MARGIN = 9.0

TITLE, TEXT, SMALL = 12.0, 9.5, 8.5
"""Sizes of letters."""

LINE, TITLE_LINE = 12.5, 16.0
"""From one line of small text, or of a title, to the next."""

SHORTEST = 20
"""The fewest letters that a line is broken to."""

BELOW = 32.0
"""For the numbers of the horizontal axis, and what they are."""

STEPS = (1, 2, 2.5, 5, 10)
"""Between the numbers on an axis."""

AS_IT_IS: dict[str, Any] = {"parse_math": False, "usetex": False}
"""For all texts: a `$` in a label begins no formula."""


Heading = tuple[list[str], list[str]]
"""The lines of a title, and those below it."""


@dataclass(frozen=True)
class Ink:
    """The colours of what is not data."""

    ground: str = "#ffffff"
    text: str = "#1f1f1f"
    muted: str = "#5c5c5c"
    faint: str = "#e4e4e4"

    @classmethod
    def on(cls, ax: Axes | None) -> Ink:
        """What is legible on the figure that these axes are part of, or on our own."""
        if ax is None:
            return cls()
        red, green, blue, opacity = to_rgba(figure_of(ax).get_facecolor())
        ground = to_hex((red, green, blue))
        if opacity < 0.5 or luminance(ground) > 0.3:
            return cls()
        return cls(ground, "#f0f0f0", "#b8b8b8", "#4a4a4a")


@dataclass(frozen=True)
class Sheet:
    """Axes with a heading, and the means to write and draw around them."""

    ax: Axes
    title: str
    ink: Ink
    left: float
    """How far what is written reaches to the left of the axes."""
    above: float
    """How far above them the heading begins."""
    plot: Plot | None
    """The figure, unless it is the reader's own."""

    @classmethod
    def of(
        cls,
        ax: Axes | None,
        title: str,
        lines: Sequence[str] = (),
        *,
        height: float,
        left: float,
        right: float = 0.0,
        above: float = 4.0,
        below: float = BELOW,
        narrowest: float = NARROWEST,
    ) -> Sheet:
        """A sheet on the axes given, or on a new figure with room for all that.

        `height` is that of the axes; `left`, `right`, `above` and `below` say how far
        what is written around them reaches. The figure is as wide as all others, or
        wider if the axes would get narrower than `narrowest`.
        """
        plot, ink = None, Ink.on(ax)
        if ax is None:
            width = max(WIDTH, left + narrowest + right + 2 * MARGIN)
            head = _heading(title, lines, width - 2 * MARGIN)
            size = height + below + above + _height(head) + 2 * MARGIN
            plot = Plot(width / 72, size / 72, title=title, table=pd.DataFrame())
            inside = width - left - right - 2 * MARGIN
            corner = (MARGIN + left) / width, (MARGIN + below) / size
            ax = plot.add_axes((*corner, inside / width, height / size))
            ax.set_facecolor("white")
        else:
            head, left = _heading(title, lines, size_of(ax)[0]), 0.0
        sheet = cls(ax, title, ink, left, above, plot)
        sheet._dress()
        sheet._head(head)
        return sheet

    @classmethod
    def empty(cls, ax: Axes | None, title: str, why: str) -> Sheet:
        """A sheet that says why there is nothing on it."""
        sheet = cls.of(ax, title, height=60.0, left=0.0, below=0.0)
        sheet.ax.set_axis_off()
        sheet.text(0.5, 0.5, why, color=sheet.ink.muted, ha="center")
        return sheet

    def done(self, table: pd.DataFrame) -> Plot | Axes:
        """The figure, with its table; or the axes, if those were given."""
        if self.plot is None:
            return self.ax
        self.plot.table = table
        return self.plot

    def text(
        self, x: float, y: float, text: str, at: Transform | None = None, **style: Any
    ) -> None:
        """Writes at a place in the axes, from 0 to 1, unless `at` says otherwise."""
        usual: dict[str, Any] = {
            "color": self.ink.text,
            "fontsize": TEXT,
            "va": "center_baseline",
        }
        usual["transform"] = at or self.ax.transAxes
        self.ax.text(x, y, text, **(usual | style | lettering.fonts() | AS_IT_IS))

    def small(
        self, x: float, y: float, text: str, at: Transform | None = None, **style: Any
    ) -> None:
        """Writes in small and muted letters."""
        self.text(
            x, y, text, at, **{"color": self.ink.muted, "fontsize": SMALL} | style
        )

    def label_x(self, text: str) -> None:
        """Says what the horizontal axis shows, and in which unit."""
        style: dict[str, Any] = {"color": self.ink.muted, "fontsize": SMALL}
        style |= lettering.fonts() | AS_IT_IS
        self.ax.set_xlabel(text, loc="left", labelpad=5, **style)

    def from_zero(self, ends: pd.Series[float] | pd.DataFrame) -> None:
        """Lets the horizontal axis run from 0 to a little more than the largest."""
        largest = float(np.nanmax(ends.to_numpy(dtype=float), initial=0.0))
        self.ax.set_xlim(0, largest * 1.04 or 1)

    def points_from(self, x: float, y: float) -> Transform:
        """Places in points from a place in the axes."""
        place: Any = self.ax.transAxes
        inches = figure_of(self.ax).dpi_scale_trans
        return Affine2D().scale(1 / 72) + inches + ScaledTranslation(x, y, place)

    def grid(self, axis: Literal["both", "x", "y"]) -> None:
        """Draws faint lines from the numbers of an axis."""
        style: dict[str, Any] = {"color": self.ink.faint, "linewidth": 0.8}
        self.ax.grid(visible=True, axis=axis, linestyle="-", alpha=1.0, **style)

    def box(
        self,
        corner: tuple[float, float],
        width: float,
        height: float,
        at: Transform,
        fill: str,
        *,
        hatch: str = "",
    ) -> None:
        """Draws a box around the axes."""
        style: dict[str, Any] = {"hatch": hatch, "edgecolor": self.ink.ground}
        box = Rectangle(corner, width, height, facecolor=fill, linewidth=0, **style)
        self._put(box, at)

    def line(
        self, start: tuple[float, float], length: float, at: Transform, mark: Mark
    ) -> None:
        """Draws a line to the right, around the axes, as the mark's lines look."""
        x, y = start
        style: dict[str, Any] = {"linestyle": dashed(mark), "linewidth": 2}
        self._put(Line2D([x, x + length], [y, y], color=mark.colour, **style), at)

    def _put(self, artist: Artist, at: Transform) -> None:
        artist.set_transform(at)
        self.ax.add_artist(artist)
        artist.set_clip_on(False)

    def _dress(self) -> None:
        """Sets all that a style sheet of the reader's could have set otherwise."""
        ax = self.ax
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.grid(visible=False, which="both")
        ax.set_axisbelow(True)
        ax.tick_params(
            which="both",
            bottom=True,
            labelbottom=True,
            left=True,
            labelleft=True,
            top=False,
            labeltop=False,
            right=False,
            labelright=False,
            length=0,
            pad=5,
            labelsize=SMALL,
            labelcolor=self.ink.muted,
            labelrotation=0,
            labelfontfamily=lettering.families(),
        )
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=STEPS))

    def _head(self, heading: Heading) -> None:
        at, up = self.points_from(0, 1), self.above
        titles, lines = heading
        for line in reversed(lines):
            self.small(-self.left, up, line, at, va="bottom")
            up += LINE
        style = {"fontsize": TITLE, "weight": "bold", "va": "bottom"}
        for line in reversed(titles):
            self.text(-self.left, up + 4, line, at, **style)
            up += TITLE_LINE


def figure_of(ax: Axes) -> Figure:
    """The figure that axes are part of."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "these axes were removed from their figure"
    return figure


def size_of(ax: Axes) -> tuple[float, float]:
    """How wide and how high axes are."""
    box, points = ax.get_window_extent(), 72 / figure_of(ax).dpi
    return box.width * points, box.height * points


def dashed(mark: Mark) -> Any:
    """The dashes of a mark's lines, as matplotlib takes them."""
    return (0, mark.dashes) if mark.dashes else "-"


def _heading(title: str, lines: Sequence[str], width: float) -> Heading:
    titles = _wrapped(title, width, TITLE, "bold")
    return titles, [part for line in lines for part in _wrapped(line, width, SMALL)]


def _height(heading: Heading) -> float:
    titles, lines = heading
    return LINE * len(lines) + TITLE_LINE * len(titles) + 6


def _wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """The text in lines that are as wide at most."""
    letters, lines = len(text), [text]
    while letters > SHORTEST:
        wide = lettering.widest_pt(lines, size, weight)
        if wide <= width:
            break
        letters = max(SHORTEST, min(letters - 1, int(letters * width / wide)))
        lines = textwrap.wrap(text, letters)
    return lines
