"""A pivot as it is shown: as plain JSON for a front end, and as plain HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from promptlab.formats import counted, shortened
from promptlab.notebook.colormap import heat
from promptlab.notebook.explore.pivot import Pivot
from promptlab.render.markup import card, escaped, quiet

LABEL = 60
"""The most characters of a label."""

STATIC_ROWS = 20

CELL = "text-align:right;padding:5px 12px;font-variant-numeric:tabular-nums"
HEAD = "text-align:left;padding:5px 12px;background:none"


def pivot_json(pivot: Pivot) -> dict[str, Any]:
    """A pivot as plain JSON values: its labels, and the groups row by row."""
    (rows, columns), (all_rows, all_columns) = pivot.shown, pivot.size
    row_indices = [*range(rows), *([all_rows] if rows > 1 else [])]
    column_indices = [*range(columns), *([all_columns] if columns > 1 else [])]
    return {
        "rows": shortened(pivot.rows.name, LABEL),
        "columns": shortened(pivot.columns.name, LABEL),
        "measure": pivot.measure,
        "what": _what(pivot),
        "heads": [_label(pivot.columns.labels, index) for index in column_indices],
        "lines": [
            {
                "label": _label(pivot.rows.labels, row),
                "groups": [_group(pivot, row, column) for column in column_indices],
            }
            for row in row_indices
        ],
        "left_out": list(_left_out(pivot)),
    }


def _what(pivot: Pivot) -> str:
    """What stands in each group."""
    if pivot.scored:
        return "the mean, its 95 % interval by cases, and of how many trials"
    return "the mean, and of how many trials"


def _label(labels: tuple[str, ...], index: int) -> str:
    return shortened(labels[index], LABEL) if index < len(labels) else "all"


def _group(pivot: Pivot, row: int, column: int) -> dict[str, Any] | None:
    """One number: its text, of how many trials, in which colours; None if of none."""
    trials, known = int(pivot.counts[row, column]), int(pivot.known[row, column])
    if not trials:
        return None
    rows, columns = pivot.size
    inner = row < rows and column < columns
    warm = float(pivot.heat[row, column]) if inner else math.nan
    return {
        "row": row if row < rows else -1,
        "column": column if column < columns else -1,
        "text": pivot.text(row, column) or "–",
        "interval": pivot.interval(row, column),
        "count": f"{trials:,}" if known == trials else f"{known:,} of {trials:,}",
        "light": None if math.isnan(warm) else list(heat(warm)),
        "dark": None if math.isnan(warm) else list(heat(warm, dark=True)),
    }


def _left_out(pivot: Pivot) -> Iterator[str]:
    groupings = (pivot.rows, pivot.columns)
    for grouping, shown, size in zip(groupings, pivot.shown, pivot.size, strict=True):
        if shown < size:
            yield f"{shown:,} of {counted(size, 'value')} of {grouping.name}"


def pivot_html(pivot: Pivot) -> str:
    """A pivot as a table that needs neither script nor style sheet."""
    made = pivot_json(pivot)
    heads = "".join(
        f"<th style='{CELL}'>{escaped(head)}</th>" for head in made["heads"]
    )
    across = f" → {escaped(made['columns'])}" if made["columns"] else ""
    lines = "".join(
        f"<tr style='background:none'><th style='{HEAD}'>{escaped(line['label'])}</th>"
        + "".join(_static_group(group) for group in line["groups"])
        + "</tr>"
        for line in made["lines"][:STATIC_ROWS]
    )
    rest = len(made["lines"]) - STATIC_ROWS
    left_out = [f"and {counted(rest, 'row')} more"] if rest > 0 else []
    left_out += [f"live are shown {part}" for part in made["left_out"]]
    return card(
        escaped(made["measure"]),
        f"{made['what']}; to open them, run this cell in a notebook",
        "<table style='border-collapse:collapse'><thead><tr style='background:none'>"
        f"<th style='{HEAD}'>{escaped(made['rows'])}{across}</th>{heads}</tr></thead>"
        f"<tbody>{lines}</tbody></table>",
        "".join(f"<p>{quiet(escaped(part))}</p>" for part in left_out),
    )


def _static_group(group: Mapping[str, Any] | None) -> str:
    if group is None:
        return f"<td style='{CELL}'></td>"
    back, ink = group["light"] or ("none", "inherit")
    return (
        f"<td style='{CELL};background:{back};color:{ink}'>{escaped(group['text'])} "
        f"<small>{escaped(group['interval'])} ({escaped(group['count'])})</small></td>"
    )
