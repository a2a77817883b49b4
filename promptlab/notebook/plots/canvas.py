"""The canvas: axes with a title and notes, in a plot of its own or the reader's figure.

Constrained layout makes room for what is around the axes. Lengths are in points.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.ticker import MaxNLocator

from promptlab.notebook.colormap import contrast, mix, text_on
from promptlab.notebook.plots.figure import MARGIN, Plot
from promptlab.notebook.plots.labels import font_families

WIDTH = 605.0
"""Of a plot of its own, 8.4 inches, unless its axes would be narrower than the next."""

NARROWEST = 240.0

LEGIBLE = 4.5
"""The contrast that text needs (WCAG 2.2, AA)."""

STEPS = (1, 2, 2.5, 5, 10)
"""Between the numbers on an axis."""

CHARACTER = 0.6
"""How wide a character is about, in font sizes."""


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
        return {"color": self.muted, "fontsize": "small"} | text_style()


@dataclass(frozen=True)
class Canvas:
    """Axes to draw on, of a plot of its own or within the reader's figure."""

    ax: Axes
    theme: Theme
    plot: Plot | None
    """The figure, unless it is the reader's."""
    caption: Sequence[str]
    """Notes that are still to be written, below the horizontal axis."""

    @classmethod
    def of(
        cls,
        ax: Axes | None,
        title: str,
        notes: Sequence[str] = (),
        *,
        above: float = 6.0,
    ) -> Canvas:
        """The axes given, or those of a new figure, with a title and notes.

        `above` is the room between the axes given and their title.
        """
        if ax is None:
            plot = Plot(title)
            theme = Theme.of(plot)
            canvas = cls(plot.add_subplot(), theme, plot, ())
            at_left: dict[str, Any] = {"x": MARGIN / WIDTH, "ha": "left", "wrap": True}
            plot.suptitle(title, **at_left, **canvas._bold)
            plot.supxlabel("\n".join(notes), **at_left, **theme.small)
        else:
            size = CHARACTER * font_size()
            length = max(20, int(points(ax.bbox.width, ax) / size))
            theme = Theme.of(_figure_of(ax))
            lines = [textwrap.fill(note, round(1.2 * length)) for note in notes]
            canvas = cls(ax, theme, None, lines)
            title = textwrap.fill(title, length)
            ax.set_title(title, loc="left", pad=above, **canvas._bold)
            canvas.label_x("")
        canvas._clear()
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
            **(usual | text_style() | style),
        )

    def label_x(self, string: str) -> None:
        """Writes what the horizontal axis shows, and in which unit."""
        lines = [string] * bool(string) + [*self.caption]
        self.ax.set_xlabel("\n".join(lines), loc="left", labelpad=5, **self.theme.small)

    def name_rows(self, labels: Sequence[str]) -> None:
        """Writes the labels to the left of the axes, from the top down."""
        ax, count = self.ax, len(labels)
        ax.set_yticks(range(count), labels=list(labels), **text_style())
        ax.tick_params(axis="y", labelsize="medium", labelcolor=self.theme.text, pad=6)
        ax.set_ylim(count - 0.5, -0.5)

    def scale_x(
        self, label: str, ends: pd.Series[float] | pd.DataFrame, *, log: bool = False
    ) -> None:
        """Names the horizontal axis: logarithmic, or from 0 to a little more than the
        largest of `ends`."""
        if log:
            self.ax.set_xscale("log")
        else:
            largest = float(np.nanmax(ends.to_numpy(dtype=float), initial=0.0))
            self.ax.set_xlim(0, largest * 1.04 or 1)
        self.label_x(f"{label}, log scale" if log else label)

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
        if (plot := self.plot) is None:
            return self.ax
        plot.table = table
        whole = self.ax.get_tightbbox(for_layout_only=True)
        assert whole is not None, "the axes are visible"
        inside = self.ax.get_window_extent()
        beside = points(whole.width - inside.width, plot)
        above_and_below = points(whole.height - inside.height, plot)
        across = max(WIDTH, width + beside + 2 * MARGIN)
        plot.set_size_inches(across / 72, 1)
        written = [points(t.get_window_extent().height, t) for t in plot.findobj(_own)]
        up = height * font_size() + above_and_below + sum(written) + 3 * MARGIN
        plot.set_size_inches(across / 72, up / 72)
        return plot

    def empty(self, why: str, table: pd.DataFrame) -> Plot | Axes:
        """The figure or axes that say why there is nothing to draw."""
        self.ax.set_axis_off()
        centre = (0.5, 0.5), "axes fraction"
        self.write(why, *centre, ha="center", color=self.theme.muted)
        return self.finish(table, height=5)

    @property
    def _bold(self) -> dict[str, Any]:
        style = {"color": self.theme.text, "weight": "bold", "fontsize": "large"}
        return style | text_style()

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
    return max((points(t.get_window_extent().width, t) for t in texts), default=0.0)


def points(pixels: float, on: Artist) -> float:
    """A length on the screen, in the figure of an artist, in points."""
    return pixels * 72 / _figure_of(on).dpi


def _figure_of(artist: Artist) -> Figure:
    figure = artist.get_figure(root=True)
    assert figure is not None, "these axes were removed from their figure"
    return figure


def _own(artist: Artist) -> bool:
    """Whether it is written in a figure, not in its axes."""
    return isinstance(artist, Text) and artist in _figure_of(artist).texts
