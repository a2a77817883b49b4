"""What the cells of the measured notebooks call, in their kernel."""

import random
import tempfile
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from benchmarks.measure import cost_of
from benchmarks.peers import Site, promptlab
from benchmarks.workload import cases

STEMS = ("order", "parcel", "return", "answer", "repair", "work", "wait", "claim")
SENTENCES = 500
PER_OUTPUT = 10
"""Sentences that outputs are made of, and how many of them make 1 KB."""

WORDS = [f"{stem}{ending}" for stem in STEMS for ending in ("", "s", "ed", "ing")]
RARE, RARE_EVERY = "walrus", 1_000
"""A word, and how many rows there are for each whose last output holds it."""

FAILED_EVERY = 50
"""How many rows there are for each whose last trial failed."""


def table(rows: int, columns: int) -> pd.DataFrame:
    """Outputs of 1 KB, with the columns and types that a run's table has: so many cases
    of so many prompts, whose outputs share about four of five sentences."""
    trials = rows * columns
    row = np.repeat(np.arange(rows), columns)
    column = np.tile(np.arange(columns), rows)
    last = column == columns - 1
    failed = last & (row % FAILED_EVERY == FAILED_EVERY - 1)
    rare = last & (row % RARE_EVERY == 0)
    outputs = [
        None if is_failed else f"{text} {RARE}." if is_rare else text
        for text, is_failed, is_rare in zip(
            _texts(rows, columns), failed, rare, strict=True
        )
    ]
    dice = np.random.default_rng(0)
    tokens = dice.integers(150, 260, trials)
    names = [f"prompt {n}" for n in range(columns)]
    return pd.DataFrame(
        {
            "trial": np.arange(trials),
            "model": pd.Categorical(["mock-1"] * trials),
            "prompt": pd.Categorical.from_codes(column, names),
            "temperature": 0.0,
            "case": pd.Categorical.from_codes(row, [f"t{n}" for n in range(rows)]),
            "ticket": pd.Categorical.from_codes(
                row, [f"Ticket {n}: the parcel came late. " * 6 for n in range(rows)]
            ),
            "expected": pd.Categorical.from_codes(
                row % 5, ["billing", "shipping", "returns", "technical", "account"]
            ),
            "repeat": 0,
            "output": pd.Series(outputs, dtype="str"),
            "finish_reason": pd.Categorical(np.where(failed, None, "stop")),
            "input_tokens": pd.Series(tokens, dtype="Int64").mask(failed),
            "output_tokens": pd.Series(tokens, dtype="Int64").mask(failed),
            "latency_s": np.where(failed, np.nan, dice.gamma(4, 0.2, trials)),
            "cost_usd": np.where(failed, np.nan, tokens * 1e-6),
            "billed_usd": np.where(failed, np.nan, tokens * 1e-6),
            "cached": False,
            "error": pd.Series(np.where(failed, "429: slow down", None), dtype="str"),
            "key": pd.Series([f"{n:064x}" for n in range(trials)], dtype="str"),
        }
    )


def _texts(rows: int, columns: int) -> list[str]:
    """For each row and column a text of its own."""
    dice = random.Random(0)
    sentences = [
        " ".join(dice.choices(WORDS, k=14)).capitalize() + "." for _ in range(SENTENCES)
    ]
    texts = []
    for _ in range(rows):
        shared = dice.choices(sentences, k=PER_OUTPUT)
        for _ in range(columns):
            own = list(shared)
            for place in dice.sample(range(PER_OUTPUT), 2):
                own[place] = dice.choice(sentences)
            texts.append(" ".join(own))
    return texts


def take_turns(site: dict, trials: int, turns: int) -> dict[str, list[dict]]:
    """What a run takes with its progress shown here, and without; the one that begins
    changes with each turn."""
    site = Site(**site)
    dataset = cases(trials)

    def run(progress: str | bool) -> dict:
        with tempfile.TemporaryDirectory() as cache:
            here = replace(site, cache=cache)
            results, cost = cost_of(
                lambda: promptlab.grid(dataset, here, progress=progress)
            )
        return asdict(cost) | {"answered": int(results["output"].count())}

    run("auto"), run(False)  # what only the first run takes
    taken = {"shown": [], "silent": []}
    options = {"shown": "auto", "silent": False}
    for turn in range(turns):
        for name in sorted(options, reverse=turn % 2 == 1):
            taken[name].append(run(options[name]))
    return taken
