"""Scoring: a table of many outputs, scored by the scorers that are named.

python -m benchmarks.scores 100000 exact contains regex number
"""

import sys

import pandas as pd

from promptlab import scorers
from promptlab.scoring.rows import Rows

MADE = {
    "exact": scorers.exact,
    "contains": lambda: scorers.contains("thank you"),
    "regex": lambda: scorers.regex(r"\d+ apples"),
    "number": scorers.number,
    "function": lambda: scorers.scorer(name="function")(lambda output: True),
}


def main(rows: int, *names: str) -> None:
    outputs = [f"It comes to {i} apples in the basket, thank you." for i in range(rows)]
    table = pd.DataFrame({"output": outputs, "expected": [*map(str, range(rows))]})
    scored = Rows(table)
    for name in names:
        values = MADE[name]().evaluate(scored).values
        if len(values) != rows or None in values:
            raise SystemExit(f"{name} left rows out")


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
