"""The card of a forecast: what is left to pay, the pilot, and each variant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promptlab.render.markup import card, escaped, facts, notes, table


def forecast_card(
    name: str,
    left: str,
    rows: Iterable[tuple[str, str]],
    *,
    warnings: Iterable[str],
    parameters: Sequence[str],
    measures: Sequence[str],
    variants: Sequence[tuple[Sequence[str], Sequence[str]]],
    more: int,
) -> str:
    """The card: its rows of names and texts, then a table of variants.

    Args:
        left: how many calls are left.
        parameters: the first columns of the table, of which variants are.
        measures: its further columns, of numbers.
        variants: the labels and the numbers of each row.
        more: how many variants the table leaves out.
    """
    lines = [(title, escaped(text)) for title, text in rows]
    below = notes(escaped(warning, 400) for warning in warnings)
    made = ""
    if variants:
        head = [*(escaped(name, 60) for name in parameters), *measures]
        made = table(
            head,
            [[*(escaped(of, 60) for of in labels), *of] for labels, of in variants],
            numbers=range(len(parameters), len(head)),
        )
        made += f"<p>and {more:,} more in <code>.by</code></p>" * (more > 0)
    return card(f"Forecast of {escaped(name)}", left, facts(lines), below, made)
