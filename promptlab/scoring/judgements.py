"""Judgements: what judges say of rows, asked through an engine like any other call."""

from __future__ import annotations

import math
import warnings
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from promptlab.embeddings.vectors import Vectors, no_vectors, vectors_of
from promptlab.errors import Failure, PromptlabError, PromptlabWarning
from promptlab.execution.engine import Engine
from promptlab.execution.hooks import Reply
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions
from promptlab.results.record import Score
from promptlab.scoring.judge import Judge
from promptlab.spec.request import Request
from promptlab.spec.response import Response

T = TypeVar("T")

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
    cost_usd: float = 0.0
    """What all of them cost at list price; NaN if a price is not known."""


class Judging:
    """Asks judges through an engine; one of its own is opened for the first of them.

    It waits for what it asks: not to be used on the loop of all runs.
    """

    def __init__(self, engine: Engine | None, name: str, options: RunOptions) -> None:
        """Asks through an open engine, or one of this name and with these options."""
        self.calls = 0
        """Judgements that were asked."""
        self.cached = 0
        """Judgements that were in the cache."""
        self.cost_usd = 0.0
        """What all of them cost at list price; NaN once a price is not known."""
        self._engine = engine or Engine(name, options)
        self._is_own = engine is None
        self._is_open = engine is not None
        self._billed_usd = self._paid_usd

    def __call__(
        self, judge: Judge, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Score]]:
        """What a judge says of each row. Ctrl-C ends it early: what was not judged by
        then is missing."""
        found = self._waited_for(self._ask(judge, rows))
        self.calls += found.calls
        self.cached += found.cached
        self.cost_usd += found.cost_usd
        return found.scores

    def vectors(
        self, texts: Sequence[str | None], model: str, dimensions: int | None
    ) -> Vectors:
        """The vectors of texts; their calls count as judgements do. Ctrl-C ends it
        early, as judging."""
        found = self._waited_for(self._embed(texts, model, dimensions))
        self.calls += found.calls
        self.cached += found.cached
        return found

    def _waited_for(self, asking: Coroutine[Any, Any, T]) -> T:
        asked = background_loop().submit(asking)
        try:
            return asked.result()
        except KeyboardInterrupt:
            background_loop().loop.call_soon_threadsafe(self._engine.cancel)
            return asked.result()

    @property
    def billed_usd(self) -> float:
        """What the judgements cost; NaN if a price is not known."""
        return self._paid_usd - self._billed_usd

    def close(self) -> None:
        """Closes the engine if it is its own."""
        if self._is_own and self._is_open:
            background_loop().submit(self._engine.__aexit__()).result()

    @property
    def _paid_usd(self) -> float:
        accounting = self._engine.accounting
        return 0.0 if accounting is None else accounting.billed_usd

    async def _ask(self, judge: Judge, rows: Sequence[Mapping[str, Any]]) -> Judgements:
        if self._is_own:
            await self._opened()
            return await judgements(self._engine, judge, rows)
        try:
            return await judgements(self._engine, judge, rows)
        except PromptlabError as error:  # a run's answers are paid for: it goes on
            what = f"judge {judge.name!r}: not judged: {error}"
            warnings.warn(what, PromptlabWarning, stacklevel=2)
            missing = _missing(judge, f"not judged: {error}")
            return Judgements([missing for _ in rows], 0, 0)

    async def _embed(
        self, texts: Sequence[str | None], model: str, dimensions: int | None
    ) -> Vectors:
        if self._is_own:
            await self._opened()
            return await vectors_of(self._engine, texts, model, dimensions)
        try:
            return await vectors_of(self._engine, texts, model, dimensions)
        except PromptlabError as error:  # a run's answers are paid for: it goes on
            what = f"embeddings by {model!r}: not asked: {error}"
            warnings.warn(what, PromptlabWarning, stacklevel=2)
            return no_vectors(len(texts), f"not asked: {error}")

    async def _opened(self) -> None:
        if not self._is_open:
            await self._engine.__aenter__()
            self._is_open = True


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
    judged = [row for row in rows if judge.has_answers(row)]
    asked = _Asked(engine, judge)
    if judge.structured and judged:  # one alone, before all are refused
        reply = await engine.ask(_request(engine, judge, judged[0], 0))
        if reply.error is not None and _refuses_schema(reply.error):
            asked = _Asked(engine, replace(judge, structured=False))
        else:
            asked.take(reply)
    await engine.ask_all(asked.requests(judged), asked.take)
    scores = iter(asked.scores(engine.reason))
    return Judgements(
        [next(scores) if judge.has_answers(row) else _no_output(judge) for row in rows],
        asked.calls,
        asked.cached,
        asked.cost_usd,
    )


class _Asked:
    """The requests of a judge, and what was replied."""

    def __init__(self, engine: Engine, judge: Judge) -> None:
        self.calls = 0
        self.cached = 0
        self.cost_usd = 0.0
        self._engine = engine
        self._judge = judge
        self._keys: list[list[str]] = []
        """Of each row, those of its requests."""
        self._read: dict[str, Mapping[str, Score]] = {}
        """By key, what the reply says."""

    def requests(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Request]:
        """The requests about these rows, each once, made when they are taken."""
        seen = set(self._read)
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
        if reply.response is not None:
            self.cost_usd += self._list_usd(reply.request, reply.response)

    def _list_usd(self, request: Request, response: Response) -> float:
        accounting, usd = self._engine.accounting, response.reported_cost_usd
        if usd is None and accounting is not None:
            price = accounting.priced(request, response)
            usd = None if price is None else price.call_usd(response.usage)
        return math.nan if usd is None else usd

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
    return judge.request(row, engine.options.base_url_for, repeat)


def _refuses_schema(failure: Failure) -> bool:
    message = failure.message.lower()
    return failure.status in REFUSALS and any(word in message for word in SCHEMA_WORDS)


def _no_output(judge: Judge) -> dict[str, Score]:
    return _missing(judge, "not judged: there is no output")


def _missing(judge: Judge, why: str) -> dict[str, Score]:
    return dict.fromkeys(judge.names, Score(None, why))
