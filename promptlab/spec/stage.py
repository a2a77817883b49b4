"""Stages: the experiments whose answers became the cases of a later one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An earlier experiment of a chain, and what the whole of it cost."""

    experiment: str
    run: str | None = None
    """The name of its record; None if it has none."""
    trials: int = 0
    cost_usd: float = math.nan
    """What its answers cost at list price; NaN where that is unknown."""
    billed_usd: float = math.nan
    """What its run paid; NaN where that is unknown."""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Stage:
        """The stage that `dataclasses.asdict` wrote as JSON, where NaN is None."""
        return cls(
            **{name: value for name, value in plain.items() if value is not None}
        )


@dataclass(frozen=True)
class Source:
    """Where the cases of a dataset came from: the answers of earlier stages."""

    stages: tuple[Stage, ...] = ()
    """The first one first."""
    carried: tuple[str, ...] = ()
    """The inputs that came along, which a prompt may leave unused."""
    case: str | None = None
    """The column with the case of the first stage: cases that have one in common are
    not independent."""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Source:
        """The source that a definition tells of, with the stages that a record does."""
        stages = tuple(map(Stage.from_plain, plain.get("stages", ())))
        return cls(stages, tuple(plain.get("carried", ())), plain.get("case"))
