"""Stop: the button that stops a run in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from promptlab.notebook.widgets.controls import guard_keys


def stop_button(stop: Callable[[], None]) -> Any:
    """A button that calls `stop`, once."""
    button = widgets.Button(
        description="Stop", icon="stop", tooltip="End the run early"
    )

    def on_click(button: Any) -> None:
        button.disabled, button.description = True, "Stopping …"
        stop()

    button.on_click(on_click)
    box = widgets.HBox([button])
    guard_keys(box)
    return box
