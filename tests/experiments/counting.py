"""Counts what of the experiments is glue: lines around what the package lacks.

    PYTHONPATH=tests .venv/bin/python -m experiments.counting

A line counts if it has code. Glue is what parses, scores, joins, renames or fetches by
hand; a function that says what is right in this experiment is none where it is handed
over as a scorer, as a check in Python or JavaScript is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Lines:
    """How many lines an experiment has, and how many of them are glue."""

    name: str
    all: int
    glue: int


def counted(path: Path) -> Lines:
    """The lines of the experiments in a file.

    Raises:
        ValueError: a mark without its end, or glue outside of an experiment.
    """
    counts = {"experiment": 0, "glue": 0}
    open_marks: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        text = line.strip()
        mark = text.removeprefix("# ").partition(":")[0]
        if text.startswith("#") and mark in counts:
            if text == f"# {mark}: end":
                if open_marks.pop() != mark:
                    raise ValueError(f"{path.name}: {text} ends nothing")
            else:
                open_marks.append(mark)
        elif text and not text.startswith("#"):
            for mark in open_marks:
                counts[mark] += 1
    if open_marks:
        raise ValueError(f"{path.name}: {open_marks[-1]} has no end")
    return Lines(path.stem.removeprefix("test_"), counts["experiment"], counts["glue"])


def all_counted() -> list[Lines]:
    """Those of every experiment, in order."""
    return [counted(path) for path in sorted(HERE.glob("test_[0-9]*.py"))]


if __name__ == "__main__":
    found = all_counted()
    for lines in found:
        print(f"{lines.name:32} {lines.all:4} {lines.glue:4}")
    total, glue = sum(lines.all for lines in found), sum(lines.glue for lines in found)
    print(f"{len(found)} experiments{total:21} {glue:4} {glue / total:.0%}")
