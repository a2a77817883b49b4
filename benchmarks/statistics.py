"""python -m benchmarks.statistics: what stats promises, beside what simulations give.

The simulations are those of `tests/stats`, with more grids: some minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import promptlab as pl
from tests.stats import simulations


class Claim(NamedTuple):
    """Something that must hold, and what came out."""

    claim: str
    reached: float
    must: str
    held: bool


def claims(scale: float) -> Iterator[Claim]:
    def many(number: int) -> int:
        return max(20, int(number * scale))

    def at_most(claim: str, reached: float, most: float) -> Claim:
        return Claim(claim, reached, f"≤ {most:g}", reached <= most)

    def at_least(claim: str, reached: float, least: float) -> Claim:
        return Claim(claim, reached, f"≥ {least:g}", reached >= least)

    for graded in (False, True):
        alarms = simulations.false_alarms(many(2_000), graded=graded)
        kind = "graded" if graded else "0/1"
        yield at_most(f"24 variants alike, {kind}: one called different", alarms, 0.065)
    for clusters in (0, 20):
        covered = simulations.coverage(many(8_000), clusters=clusters)
        units = f"{clusters} clusters" if clusters else "50 cases"
        yield at_least(f"paired intervals, {units}: hold the truth", covered, 0.93)
    found = simulations.winners(many(500))
    yield at_least("best of 72 on 200 cases: raw bias", found.raw_bias, 0.0)
    yield at_most("corrected (BBC): |bias|", abs(found.corrected_bias), 0.015)
    yield at_most("pooled: |bias|", abs(found.pooled_bias), 0.015)
    yield at_least("corrected: its interval holds the truth", found.covered, 0.9)
    yield at_least("could be best: holds the true best", found.holds_best, 0.95)
    yield at_most("could be best: share of the variants", found.size / 72, 0.5)
    gained = found.pooled_best - found.best
    yield at_least("pooled: more often the true best by", gained, 0.0)
    raced = simulations.races(many(1_000))
    yield at_most("race: share of the calls", raced.calls, 0.27)
    lost = abs(raced.best - raced.whole_best)
    yield at_most("race: finds the best as often, but for", lost, 0.06)
    for binary in (False, True):
        rate = simulations.detected(many(4_000), binary=binary)
        kind = "0/1" if binary else "graded"
        off = abs(rate - 0.8)
        yield at_most(f"power of 80 %, {kind}: off by", off, 0.05)
    table = _large_grid()
    by = list(table.columns[:4])
    seconds = _seconds(lambda: str(pl.leaderboard(table, "exact", by)))
    yield at_most("leaderboard of 72 × 1,000 × 3: seconds", seconds, 3.0)


def _large_grid() -> pd.DataFrame:
    """72 variants × 1,000 cases × 3 repeats."""
    names = ("prompt", "system", "temperature", "max_tokens", "case", "repeat")
    places = np.indices((4, 3, 3, 2, 1_000, 3)).reshape(len(names), -1)
    table = pd.DataFrame(dict(zip(names, places, strict=True)))
    score = np.random.default_rng(5).random(len(table)) < 0.7
    return table.assign(case=table["case"].astype(str), exact=score.astype(float))


def _seconds(work: Callable[[], Any]) -> float:
    work()  # imports
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.statistics", description=__doc__
    )
    parser.add_argument(
        "--quick",
        action="store_const",
        dest="scale",
        const=0.02,
        default=1.0,
        help="few grids: to see that it works; too few to judge by",
    )
    console = Console()
    table = Table("claim", "reached", "must be", "")
    held = True
    with console.status("simulating"):
        for one in claims(parser.parse_args().scale):
            held &= one.held
            word = "holds" if one.held else "[red]fails[/]"
            table.add_row(one.claim, f"{one.reached:.3f}", one.must, word)
    console.print(table)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
