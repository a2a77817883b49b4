"""The clocks: wall and CPU time of some work, and how far it made memory grow.

Memory is read from `/proc`, so this is for Linux.
"""

import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

EVERYONE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What some work took of its process, and of the processes it waited for."""

    wall_s: float
    cpu_s: float
    rss_growth_bytes: int
    """Highest resident memory during the work, less that just before it."""


def cost_of(work: Callable[[], T]) -> tuple[T, Cost]:
    """What `work` returned, and what it took."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is not this work's
    rss_before = _memory_bytes("VmRSS")
    cpu_before_s, start = _cpu_s(*EVERYONE), time.perf_counter()
    result = work()
    wall_s = time.perf_counter() - start
    return result, Cost(
        wall_s=wall_s,
        cpu_s=_cpu_s(*EVERYONE) - cpu_before_s,
        rss_growth_bytes=_memory_bytes("VmHWM") - rss_before,
    )


@contextmanager
def children_cost() -> Iterator[dict[str, float]]:
    """What the child processes that end within the block take, from start to end."""
    totals: dict[str, float] = {}
    start, cpu_before_s = time.perf_counter(), _cpu_s(resource.RUSAGE_CHILDREN)
    yield totals
    totals["process_wall_s"] = time.perf_counter() - start
    totals["process_cpu_s"] = _cpu_s(resource.RUSAGE_CHILDREN) - cpu_before_s


def _cpu_s(*who: int) -> float:
    usages = [resource.getrusage(one) for one in who]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _memory_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
