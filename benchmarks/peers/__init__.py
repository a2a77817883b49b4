"""The peers: who is measured. Each is a module with `grid(dataset, site)`.

`grid` asks the whole workload and returns the finished DataFrame, a row a trial, with
the answers under `output`, NaN where none came. Called alike, `hand` has `fill`, which
puts all answers in its cache, and `promptlab` has `plan`, which only says what to ask.
"""

from dataclasses import dataclass

NAMES = ("bare", "hand", "promptlab", "account")
API_KEY = "bench"


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a peer works: whom it asks, how hard, and where it keeps answers."""

    base_url: str
    concurrency: int
    cache: str
