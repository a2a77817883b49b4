"""The card of a leaderboard: a row for each variant, and what to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promptlab.render.markup import card, escaped, table


def leaderboard_card(
    title: str,
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: int,
    notes: Iterable[str],
) -> str:
    """The card. The first `texts` columns stand to the left, the others are numbers."""
    made = table(
        [escaped(name, 60) for name in head],
        [[escaped(cell, 80) for cell in row] for row in rows],
        numbers=range(texts, len(head)),
    )
    lines = "".join(
        f"<p style='margin:6px 0 0'>{escaped(line, 600)}.</p>" for line in notes
    )
    return card("Leaderboard", escaped(title), made, lines)
