"""Scripts: what the front end of a widget runs, in one piece."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).parent / "keys.js"


def script(*files: Path) -> str:
    """The script of a widget: what all of them begin with, then these files."""
    return "\n".join(file.read_text("utf-8") for file in (SHARED, *files))
