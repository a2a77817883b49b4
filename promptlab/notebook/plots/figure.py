"""Figures: plots that show themselves, with the table of what they plot."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

DPI = 110
SHARP = 2
"""How many dots a notebook gets for each of a figure's own, for dense screens."""

MARGIN = 9.0
"""Around what is drawn, in points."""


class Plot(Figure):
    """A matplotlib figure that a notebook shows once, as the last line of a cell.

    It belongs to no pyplot state: `%matplotlib` is not needed, and nothing is shown
    that was not asked for. Its colours and fonts are those of the reader's style, such
    as `plt.style.use("dark_background")`. `savefig` writes it to a file.
    """

    def __init__(self, title: str) -> None:
        room = ConstrainedLayoutEngine(w_pad=MARGIN / 72, h_pad=MARGIN / 108)
        super().__init__(dpi=DPI, layout=room)
        self.title = title
        self.table = pd.DataFrame()
        """The plotted values."""

    def __repr__(self) -> str:
        return f"Plot({self.title!r})"

    __str__ = __repr__

    def _repr_png_(self) -> bytes:
        return self._png(DPI)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        width, height = (round(inches * DPI) for inches in self.get_size_inches())
        size = {"width": width, "height": height}
        return {"image/png": self._png(SHARP * DPI)}, {"image/png": size}

    def _png(self, dpi: int) -> bytes:
        image = io.BytesIO()
        self.savefig(
            image,
            format="png",
            dpi=dpi,
            facecolor=self.get_facecolor(),
            transparent=False,
            bbox_inches=self.bbox_inches,
            metadata={"Software": None},  # the same picture is the same file
        )
        return image.getvalue()
