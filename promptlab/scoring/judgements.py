"""Judgements: what judges say of rows, asked through an engine like any other call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptlab.errors import Failure
from promptlab.execution.engine import Engine
from promptlab.execution.hooks import Reply
from promptlab.results.record import Score
from promptlab.scoring.judge import Judge
from promptlab.spec.request import Request

REFUSALS = (400, 422)
"""HTTP statuses of a server that does not take a request as it is."""

SCHEMA_WORDS = ("response_format", "json_schema", "structured output", "guided")
"""What a refusal of a JSON Schema names."""


@dataclass(frozen=True)
class Judgements:
    """What a judge says of some rows."""

    scores: Sequence[Mapping[str, Score]]
    """For each row, the score under each name of the judge."""
    calls: int
    """Requests that were asked, each once, of those that are not in the cache."""
    cached: int
    """Requests that were answered from the cache."""


async def judgements(
    engine: Engine, judge: Judge, rows: Sequence[Mapping[str, Any]]
) -> Judgements:
    """Asks a judge about every row that has an output.

    Rows with the same data are one request. A server that refuses the JSON Schema is
    asked without it. A row that was not judged, as its call failed or the engine was
    ended, has a missing score that says why.

    Raises:
        SpecError, CredentialsError: as `Engine.ask_all`.
    """
    judged = [row for row in rows if row["output"] is not None]
    if judge.structured and judged:  # one alone, before all are refused
        reply = await engine.ask(_request(engine, judge, judged[0], 0))
        if reply.error is not None and _refuses_schema(reply.error):
            judge = replace(judge, structured=False)
    asked = _Asked(engine, judge)
    await engine.ask_all(asked.requests(judged), asked.take)
    scores = iter(asked.scores(engine.reason))
    return Judgements(
        [
            next(scores) if row["output"] is not None else _no_output(judge)
            for row in rows
        ],
        asked.calls,
        asked.cached,
    )


class _Asked:
    """The requests of a judge, and what was replied."""

    def __init__(self, engine: Engine, judge: Judge) -> None:
        self.calls = 0
        self.cached = 0
        self._engine = engine
        self._judge = judge
        self._keys: list[list[str]] = []
        """Of each row, those of its requests."""
        self._read: dict[str, Mapping[str, Score]] = {}
        """By key, what the reply says."""

    def requests(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Request]:
        """The requests about these rows, each once, made when they are taken."""
        seen: set[str] = set()
        for row in rows:
            keys = []
            for repeat in range(self._judge.repeats):
                request = _request(self._engine, self._judge, row, repeat)
                keys.append(request.key)
                if request.key not in seen:
                    seen.add(request.key)
                    yield request
            self._keys.append(keys)

    def take(self, reply: Reply) -> None:
        """Notes a reply."""
        if reply.cached:
            self.cached += 1
        else:
            self.calls += 1
        answer = reply.response if reply.error is None else reply.error
        if answer is not None:
            self._read[reply.request.key] = self._judge.read(answer)

    def scores(self, reason: str) -> Iterator[dict[str, Score]]:
        """The scores of each row; `reason` is why some were not asked."""
        judge = self._judge
        not_asked = _missing(
            judge, f"not judged: {reason or 'the run was interrupted'}"
        )
        for keys in self._keys:
            yield judge.combined([self._read.get(key, not_asked) for key in keys])
        # Rows whose requests the engine did not take any more.
        while True:
            yield dict(not_asked)


def _request(
    engine: Engine, judge: Judge, row: Mapping[str, Any], repeat: int
) -> Request:
    base_url = judge.base_url or engine.options.base_url_for(judge.model)
    return Request(base_url, judge.body(row, base_url), repeat)


def _refuses_schema(failure: Failure) -> bool:
    message = failure.message.lower()
    return failure.status in REFUSALS and any(word in message for word in SCHEMA_WORDS)


def _no_output(judge: Judge) -> dict[str, Score]:
    return _missing(judge, "not judged: there is no output")


def _missing(judge: Judge, why: str) -> dict[str, Score]:
    return dict.fromkeys(judge.names, Score(None, why))
