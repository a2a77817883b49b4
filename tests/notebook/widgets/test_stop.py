"""The button that ends a run in the background."""

from __future__ import annotations

from promptlab.notebook.widgets.stop import stop_button


def test_it_calls_once_and_says_so() -> None:
    pressed: list[str] = []
    button = stop_button(lambda: pressed.append("stop")).children[0]

    button.click()

    assert pressed == ["stop"]
    assert button.disabled
    assert button.description == "Stopping …"
