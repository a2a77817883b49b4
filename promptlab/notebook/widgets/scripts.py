"""Scripts: what the front end of a widget runs, in one piece."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
SHARED = (HERE / "elements.js", HERE / "keys.js")


def script(*files: Path) -> str:
    """The script of a widget: what all views share, then these files."""
    return "\n".join(file.read_text("utf-8") for file in (*SHARED, *files))
