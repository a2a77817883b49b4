"""Tables of trials that a test writes down, and looks at what a plot drew of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

PLAIN_AND_STEPS = ("plain", "plain", "steps", "steps")

USUAL = {
    "repeat": 0,
    "output": "yes",
    "finish_reason": "stop",
    "input_tokens": 100,
    "cached_input_tokens": 0,
    "output_tokens": 10,
    "reasoning_tokens": 0,
    "latency_s": 0.5,
    "cost_usd": 0.001,
    "billed_usd": 0.0,
    "cached": False,
    "error": None,
}

HOSTILE = (
    "$x^2$",
    "$5 and \\$6 $",
    r"$\frac{1}{0}$",
    "a\nb\tc",
    "שלום עולם",
    "مرحبا بالعالم",
    "🔥 hot 👩‍👩‍👧",
    "日本語のプロンプト",
    "<script>alert(1)</script>",
    "x" * 3000,
    "\u202eevil\u202c\x00\x1b[31m",
    "",
    "%s {0} _^#&~\\",
    None,
)


def trials(prompt: Sequence[Any] = PLAIN_AND_STEPS, **columns: Any) -> pd.DataFrame:
    """A row for each prompt named; other columns are as usual unless given.

    Parameters beside the prompt may be given too; they stand where a run puts them.
    """
    n = len(prompt)
    made = set(USUAL) | {"case"}
    parameters = {k: v for k, v in columns.items() if k not in made and k != "scores"}
    results = {k: columns.get(k, v) for k, v in USUAL.items()}
    cases = columns.get("case", [str(place) for place in range(n)])
    return pd.DataFrame(
        {"trial": range(n), "model": "m", "prompt": list(prompt)}
        | {**parameters, "case": cases}
        | results
        | columns.get("scores", {}),
        index=range(n),
    )


def axes_of(figure: Any) -> Axes:
    """The only axes of a figure."""
    (ax,) = figure.axes
    return ax


def own_axes() -> Axes:
    """Axes that a reader brings along."""
    return Figure(figsize=(8, 5)).add_subplot()


def texts(ax: Axes) -> list[str]:
    """All lines written in and around axes, but for the labels of their ticks."""
    legend, figure = ax.get_legend(), ax.get_figure(root=True)
    around = figure.texts if figure else ()
    written = [*ax.texts, *around, *(legend.get_texts() if legend else ())]
    strings = [text.get_text() for text in written]
    lines = "\n".join([ax.get_title(loc="left"), ax.get_xlabel(), *strings]).split("\n")
    return [line for line in lines if line]


def row_labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def points(ax: Axes) -> list[float]:
    """Where the points of all strips are, across."""
    strips = [part for part in ax.collections if isinstance(part, PathCollection)]
    return sorted(float(x) for strip in strips for x in strip.get_offsets()[:, 0])


def bars(ax: Axes, label: str) -> list[Any]:
    """The bars that were drawn under a label, from the first row on."""
    (found,) = [stack for stack in stacks(ax) if stack.get_label() == label]
    return list(found)


def stacks(ax: Axes) -> list[BarContainer]:
    """The parts of stacked bars."""
    return [part for part in ax.containers if isinstance(part, BarContainer)]
