"""The plan: what a run would do, before it does it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from promptlab.execution.cache import open_cache
from promptlab.execution.settings import Settings
from promptlab.execution.survey import Standing, survey
from promptlab.spec.experiment import Experiment

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Plan:
    """What a run of an experiment would do now."""

    experiment: Experiment
    standings: bytes
    """Of each trial its `Standing`, in order: one byte each."""
    calls: int
    """The calls that it would make if all go well; failures repeat some."""

    @cached_property
    def counts(self) -> Counter[str]:
        """How many trials are `cached`, `new` and `duplicate`."""
        found = Counter(self.standings)
        return Counter({s.name.lower(): found[s.value] for s in Standing})

    @property
    def table(self) -> pd.DataFrame:
        """One row for each trial: what it asks, and its `standing`."""
        import numpy as np
        import pandas as pd

        from promptlab.results.table import trial_columns

        rows = np.arange(len(self.standings), dtype=np.int64)
        names = pd.Index([s.name.lower() for s in Standing], dtype="str")
        codes = np.frombuffer(self.standings, dtype=np.int8)
        standing = pd.Categorical.from_codes(codes, names)
        return pd.DataFrame(
            {**trial_columns(self.experiment, rows), "standing": standing}, copy=False
        )

    def __repr__(self) -> str:
        return f"Plan({self.experiment.name!r}: {self.headline})"

    @property
    def headline(self) -> str:
        """The counts in one line."""
        counts = self.counts
        calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
        return (
            f"{len(self.standings):,} trials: {counts['cached']:,} cached, "
            f"{counts['new']:,} new, {counts['duplicate']:,} duplicates; "
            f"{calls} to make"
        )


def plan(experiment: Experiment, **options: Any) -> Plan:
    """What a run with these options would do: nothing is called, no key is needed.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CacheError: the cache cannot be read.
    """
    settings = Settings.of(options)
    reads = settings.use_cache and not settings.refresh
    cache = open_cache(settings.cache) if reads else None
    standings = bytearray()
    calls = 0
    for group in survey(settings.requests(experiment), cache):
        standings.extend(finding.standing for finding in group)
        calls += sum(finding.calls for finding in group)
    return Plan(experiment, bytes(standings), 0 if settings.offline else calls)
