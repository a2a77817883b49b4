"""Controls: boxes, buttons and lines of text that the views share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from promptlab.errors import PromptlabError
from promptlab.notebook.widgets.static_output import hidden_class, show_both
from promptlab.render.markup import escaped


class ControlBox(widgets.VBox):  # type: ignore[misc]
    """Controls in a frame, with keys of their own; a notebook without a kernel shows
    `_repr_html_()` in their place."""

    children: Any

    def __init__(self, children: Sequence[Any] = ()) -> None:
        self._hides = hidden_class()
        style = f"<style>{_style()}.{self._hides} {{ display: none; }}</style>"
        unseen = widgets.Layout(display="none")
        super().__init__([widgets.HTML(style, layout=unseen), *children])
        self.add_class("promptlab-panel")
        guard_keys(self)

    def _repr_mimebundle_(self, **more: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**more)
        return {**bundle, "text/html": self._repr_html_()}

    def _ipython_display_(self) -> None:
        show_both(super()._repr_mimebundle_(), self._repr_html_(), self._hides)


def guard_keys(box: Any) -> None:
    """Keeps keys pressed in a box of ipywidgets from the notebook, if anywidget is
    installed.

    Else `d d` in JupyterLab, with the focus on one of their buttons, deletes the cell.
    """
    with suppress(ImportError):
        from promptlab.notebook.widgets.key_guard import KeyGuard

        box.add_class(KeyGuard.box)
        box.children = (*box.children, KeyGuard())


def button(description: str, **more: Any) -> Any:
    """A button as wide as its text."""
    layout = widgets.Layout(width="auto")
    return widgets.Button(description=description, layout=layout, **more)


def writing(name: str, text: str = "", *, height: str, placeholder: str = "") -> Any:
    """A field for several lines of text, as wide as possible; its name is for screen
    readers."""
    layout = widgets.Layout(width="auto", height=height)
    return widgets.Textarea(text, placeholder=placeholder, tooltip=name, layout=layout)


def folded(title: str, shown: Any) -> Any:
    """A widget under a title, shown when the title is pressed."""
    layout = widgets.Layout(width="auto")
    head = widgets.ToggleButton(description=title, icon="caret-right", layout=layout)
    inner = widgets.VBox([shown], layout=widgets.Layout(display="none"))

    def turn(change: Any) -> None:
        inner.layout.display = "" if change["new"] else "none"
        head.icon = "caret-down" if change["new"] else "caret-right"

    head.observe(turn, "value")
    return widgets.VBox([head.add_class("plp-fold"), inner])


def in_a_row(*controls: Any) -> Any:
    """Controls side by side, in as many lines as they need."""
    return widgets.HBox(controls).add_class("plp-row")


def close_all(*boxes: Any) -> None:
    """Closes widgets and whatever is in them."""
    for box in boxes:
        close_all(*getattr(box, "children", ()))
        box.close()


def quiet_html(text: str) -> str:
    """A remark as HTML."""
    return f"<span class='plp-quiet'>{escaped(text)}</span>"


def fault_html(fault: str | Exception) -> str:
    """An error as one line of HTML."""
    return f"<span class='plp-error' role='alert'>{escaped(_line(fault), 600)}</span>"


def _line(fault: str | Exception) -> str:
    message = " ".join(str(fault).split())
    if isinstance(fault, (str, PromptlabError)):
        return message
    return f"{type(fault).__name__}: {message}"


@cache
def _style() -> str:
    return (Path(__file__).parent / "controls.css").read_text("utf-8")
