"""Tables of scored trials that a test writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from promptlab.results.schema import ATTRIBUTE

ROLES = {
    "trial": "trial",
    "model": "parameter",
    "prompt": "parameter",
    "temperature": "parameter",
    "case": "case",
    "document": "metadata",
    "repeat": "repeat",
    "output": "outcome",
    "latency_s": "outcome",
    "cost_usd": "outcome",
    "error": "outcome",
    "exact": "score",
}


def scored(
    scores: Mapping[Any, Sequence[Any]], *, names: Sequence[str] = ("prompt",)
) -> pd.DataFrame:
    """A trial for each variant, case and repeat: `scores` has for each variant the
    scores of its cases, each a number or a list of repeats."""
    rows = []
    for variant, cases in scores.items():
        values = variant if isinstance(variant, tuple) else (variant,)
        for number, of_case in enumerate(cases):
            repeats = of_case if isinstance(of_case, (list, tuple)) else [of_case]
            for repeat, score in enumerate(repeats):
                rows.append(
                    {
                        "trial": len(rows),
                        **dict(zip(names, values, strict=True)),
                        "case": f"case {number}",
                        "document": number // 4,
                        "repeat": repeat,
                        "output": "yes",
                        "latency_s": 0.5,
                        "cost_usd": 0.001,
                        "error": None,
                        "exact": score,
                    }
                )
    table = pd.DataFrame(rows)
    table["exact"] = table["exact"].astype(float)
    roles = {name: ROLES.get(name, "parameter") for name in table}
    table.attrs[ATTRIBUTE] = {"roles": roles}
    return table


def drawn(
    chances: Mapping[Any, float],
    cases: int = 100,
    repeats: int = 1,
    *,
    seed: int = 0,
    names: Sequence[str] = ("prompt",),
) -> pd.DataFrame:
    """The same, of scores of 0 and 1 with such chances, on cases hard and easy."""
    dice = np.random.default_rng(seed)
    hard = dice.normal(0, 0.15, cases)
    return scored(
        {
            variant: (dice.random((cases, repeats)) < (chance + hard)[:, None])
            .astype(float)
            .tolist()
            for variant, chance in chances.items()
        },
        names=names,
    )
