"""Controls: what the panels in a notebook have in common."""

from __future__ import annotations

from pathlib import Path

from promptlab.errors import PromptlabError
from promptlab.spec.markup import escaped

STYLE = f"<style>{(Path(__file__).parent / 'panel.css').read_text('utf-8')}</style>"
"""What a panel of the class `promptlab-panel` looks like."""


def fault_html(fault: str | Exception) -> str:
    """An error in one line, where the user looks."""
    return f"<span class='plp-error' role='alert'>{escaped(_line(fault), 600)}</span>"


def _line(fault: str | Exception) -> str:
    said = " ".join(str(fault).split())
    if isinstance(fault, (str, PromptlabError)):
        return said
    return f"{type(fault).__name__}: {said}"
