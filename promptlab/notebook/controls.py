"""Controls: what the panels in a notebook have in common."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import PromptlabError
from promptlab.notebook.facts import count
from promptlab.spec.markup import escaped

if TYPE_CHECKING:
    from promptlab.execution.plan import Plan

NOTES = 2
"""Warnings that are shown beside a plan."""


@cache
def style_html() -> str:
    """What a panel of the class `promptlab-panel` looks like."""
    return f"<style>{(Path(__file__).parent / 'panel.css').read_text('utf-8')}</style>"


def fault_html(fault: str | Exception) -> str:
    """An error in one line, where the user looks."""
    return f"<span class='plp-error' role='alert'>{escaped(_line(fault), 600)}</span>"


def plan_line(plan: Plan) -> str:
    """What a run would make, in a line, and what is odd about it."""
    counts = plan.counts
    parts = [f"<b>{count(len(plan.standings), 'trial')}</b>"]
    parts += [f"{counts['cached']:,} cached"] if counts["cached"] else []
    parts += [f"<b>{count(plan.calls, 'call')}</b> to make"]
    if plan.calls:
        parts += [f"tokens {escaped(plan.tokens)}"]
        parts += [f"cost {escaped(plan.cost)}"]
    notes = [
        f"<br><span class='plp-quiet'>{escaped(w)}</span>"
        for w in plan.experiment.warnings[:2]
    ]
    return f"<span class='mathjax_ignore'>{' · '.join(parts)}{''.join(notes)}</span>"


def _line(fault: str | Exception) -> str:
    said = " ".join(str(fault).split())
    if isinstance(fault, (str, PromptlabError)):
        return said
    return f"{type(fault).__name__}: {said}"
