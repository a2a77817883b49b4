"""Controls: what the panels in a notebook have in common."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlab.errors import PromptlabError
from promptlab.notebook.facts import count
from promptlab.spec.markup import escaped

if TYPE_CHECKING:
    from promptlab.execution.plan import Plan

NOTES = 2
"""Warnings that are shown beside a plan."""


def static_name() -> str:
    """A class for what a saved notebook shows in place of a panel."""
    return f"promptlab-{secrets.token_hex(6)}"


def style_html(hides: str) -> str:
    """What a panel of the class `promptlab-panel` looks like; while it is there, what
    has the class `hides` is not shown."""
    return f"<style>{_style()}.{hides} {{ display: none; }}</style>"


def display_both(live: dict[str, Any], static: str, name: str) -> None:
    """Shows a panel, and below it the HTML that it hides while it runs.

    A front end that finds a widget without its kernel says so in place of it, even
    where the same output holds HTML: an output of its own stays readable.
    """
    from IPython.display import display

    display(live, raw=True)
    display({"text/html": f"<div class='{name}'>{static}</div>"}, raw=True)


@cache
def _style() -> str:
    return (Path(__file__).parent / "panel.css").read_text("utf-8")


def close_all(*widgets: Any) -> None:
    """Closes widgets and whatever is in them."""
    for widget in widgets:
        close_all(*getattr(widget, "children", ()))
        widget.close()


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
