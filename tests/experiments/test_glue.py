"""What of the experiments is glue: less than a sixth of what users write."""

from __future__ import annotations

from pathlib import Path

import pytest

from .counting import all_counted, counted

MOST = 0.15
"""The share of glue that is allowed; it was 53 % before there were scorers."""

LEAST = 15
"""How many experiments there are at least."""


def test_glue_is_at_most_15_percent_of_the_lines() -> None:
    found = all_counted()

    assert len(found) >= LEAST
    assert all(lines.all for lines in found)
    assert sum(n.glue for n in found) <= MOST * sum(n.all for n in found)


def test_at_least_13_experiments_need_five_lines_of_glue_at_most() -> None:
    small = [lines for lines in all_counted() if lines.glue <= 5]

    assert len(small) >= 13


def test_lines_with_code_are_counted_between_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "test_99_x.py"
    path.write_text(
        "a\n# experiment\nb\n\n# why\n# glue: by hand\nc\n# glue: end\nd\n"
        "# experiment: end\ne\n"
    )

    lines = counted(path)
    assert (lines.name, lines.all, lines.glue) == ("99_x", 3, 1)


@pytest.mark.parametrize(
    "text", ["# experiment\na\n", "# experiment\n# glue: x\n# experiment: end\n"]
)
def test_a_mark_without_an_end_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test_99_x.py"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"has no end|ends nothing"):
        counted(path)
