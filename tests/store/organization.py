"""An organisation as OpenAI's usage and costs endpoints tell of it to an admin key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from fakes.servers import Received, Reply, error

ADMIN_KEY = "sk-admin-planted0123456789abcdef"
DAY_S = 86_400


def moment(text: str) -> float:
    """A time in UTC, in seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Entry:
    """What the organisation used, or was charged, at some time."""

    at: float
    name: str
    """A model, or a line item."""
    project: str
    numbers: dict[str, float]


@dataclass
class Organization:
    """What it was used by and charged for; called, it answers a request for that."""

    page_days: int = 31
    """The most days on a page, should a request not ask for fewer."""
    used: list[Entry] = field(default_factory=list)
    charged: list[Entry] = field(default_factory=list)

    def use(
        self,
        day: str,
        model: str,
        requests: int = 1,
        *,
        tokens: tuple[int, int, int] = (100, 20, 10),
        project: str = "ours",
    ) -> None:
        """Calls, each with these input, cached and output tokens."""
        asked, cached, given = (requests * number for number in tokens)
        numbers = {
            "num_model_requests": requests,
            "input_tokens": asked,
            "input_cached_tokens": cached,
            "output_tokens": given,
        }
        self.used.append(Entry(moment(day), model, project, numbers))

    def charge(
        self, day: str, line_item: str, usd: float, *, project: str = "ours"
    ) -> None:
        """What some part of the calls was charged with."""
        self.charged.append(Entry(moment(day), line_item, project, {"value": usd}))

    def __call__(self, received: Received) -> Reply:
        given = received.headers.get("authorization", "").removeprefix("Bearer ")
        if not given.startswith("sk-admin-"):
            return error(403, message=f"{given} has insufficient permissions")
        if given != ADMIN_KEY:
            return error(401, message=f"Incorrect API key provided: {given}")
        if received.path == "/v1/organization/usage/completions":
            return self._page(received, self.used, "model", most=31)
        if received.path == "/v1/organization/costs":
            return self._page(received, self.charged, "line_item", most=180)
        return error(404, message="there is no such thing")

    def _page(
        self, received: Received, entries: Sequence[Entry], by: str, most: int
    ) -> Reply:
        """A page of days, empty ones among them, from where its cursor says."""
        query = received.query
        limit = int(query.get("limit", ["7"])[0])
        if limit > most or query["bucket_width"] != ["1d"]:
            return error(400, message="limit or bucket_width is out of range")
        projects = query.get("project_ids[]") or query.get("project_ids")
        kept = [e for e in entries if projects is None or e.project in projects]
        first = int(query["start_time"][0])
        last = max((e.at for e in entries), default=first)
        end = int(query["end_time"][0]) if "end_time" in query else last + 1
        starts = list(range(first, int(end), DAY_S))
        begin = int(query.get("page", ["page_0"])[0].removeprefix("page_"))
        size = min(limit, self.page_days)
        more = begin + size < len(starts)
        document = {
            "object": "page",
            "data": [
                _bucket(day, kept, by if [by] in query.values() else None)
                for day in starts[begin : begin + size]
            ],
            "has_more": more,
            "next_page": f"page_{begin + size}" if more else None,
        }
        return Reply(body=orjson.dumps(document))


def _bucket(day: int, entries: Sequence[Entry], by: str | None) -> dict[str, Any]:
    """One day: a result for each model or line item, or one for all of them."""
    groups: dict[str | None, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for entry in entries:
        if day <= entry.at < day + DAY_S:
            for name, number in entry.numbers.items():
                groups[entry.name if by else None][name] += number
    return {
        "object": "bucket",
        "start_time": day,
        "end_time": day + DAY_S,
        "results": [
            {str(by): group, "amount": {"value": numbers["value"], "currency": "usd"}}
            if "value" in numbers
            else {str(by): group, **numbers}
            for group, numbers in groups.items()
        ],
    }
