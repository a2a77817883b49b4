"""The card of a plan: counts, the models that are asked, tokens and dollars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from promptlab.render.markup import card, escaped, facts, notes, quiet

BAR = (("new", "#3b7dd8"), ("cached", "#7fb58a"), ("duplicate", "#b8b8b8"))
"""The statuses of trials as a bar shows them; their numbers stand beside it."""

MODELS = 10
"""Models that are named."""


def plan_card(
    name: str,
    size: str,
    *,
    counts: Mapping[str, int],
    calls: int,
    models: Mapping[str, int],
    tokens: str,
    counting: str,
    cost: str,
    time: str,
    warnings: Iterable[str],
) -> str:
    """The card.

    Args:
        counts: how many trials are `new`, `cached` and `duplicate`.
        models: the new trials of each model.
        counting: how the tokens were counted.
        time: how long it takes at least; empty where that is not known.
    """
    rows = [("trials", _bar(counts)), ("calls", _calls(calls, models))]
    if calls:
        counted = quiet(f"({escaped(counting)})")
        rows += [("tokens", f"{escaped(tokens)} {counted}"), ("cost", escaped(cost))]
        if time:
            rows.append(("time", f"{time} {quiet('by the rate limits')}"))
    below = notes(escaped(warning) for warning in warnings)
    return card(f"Plan of {escaped(name)}", escaped(size), facts(rows), below)


def _bar(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    parts = "".join(
        f"<span style='display:inline-block;height:100%;background:{colour};"
        f"width:{100 * counts[name] / total:.2f}%'></span>"
        for name, colour in BAR
        if counts[name]
    )
    numbers = " · ".join(
        f"<span style='border-bottom:2px solid {colour}'>{counts[name]:,} {name}</span>"
        for name, colour in BAR
        if counts[name] or name == "new"
    )
    return (
        "<span style='display:inline-block;width:160px;height:8px;margin-right:10px;"
        "border-radius:4px;overflow:hidden;white-space:nowrap;font-size:0'>"
        f"{parts}</span>{numbers}"
    )


def _calls(calls: int, models: Mapping[str, int]) -> str:
    if not calls:
        return "none: every answer is cached"
    asked = [f"{escaped(m, 60)} ({new:,})" for m, new in models.items() if new]
    if len(asked) > MODELS:
        asked[MODELS:] = [f"and {len(asked) - MODELS:,} more"]
    return f"{calls:,} {quiet('to ' + ', '.join(asked))}"
