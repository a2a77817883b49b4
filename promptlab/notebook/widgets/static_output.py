"""Static output: what a view leaves in a notebook, to be read without its kernel."""

from __future__ import annotations

import secrets
from typing import Any


def hidden_class() -> str:
    """A class of its own, by which a view hides its static output while it runs."""
    return f"promptlab-{secrets.token_hex(6)}"


def show_both(
    view: dict[str, Any],
    static: str,
    hidden: str,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Shows the bundle of a widget, and below it HTML of the class that it hides.

    A front end that finds a widget without its kernel says so in place of it, even
    where the same output holds HTML: an output of its own stays readable.
    """
    from IPython.display import display

    display(view, metadata=metadata, raw=True)
    display({"text/html": f"<div class='{hidden}'>{static}</div>"}, raw=True)
