"""Vectors of texts: from the cache, else asked in chunks through an engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from promptlab.embeddings.arguments import check_arguments
from promptlab.embeddings.wire import Vector, body_of, entries, vectors_in
from promptlab.errors import CacheError, Failure
from promptlab.execution.engine import Engine
from promptlab.execution.hooks import Reply
from promptlab.spec.address import EMBEDDINGS
from promptlab.spec.request import Request
from promptlab.store.cache import Entry

MOST_TEXTS = 512
"""Of one call; the API takes 2,048. Smaller calls go side by side."""

MOST_BYTES = 600_000
"""Of one call's texts: below the API's 300,000 tokens even at 2 bytes a token."""

MOST_CLAIMED = 32 * MOST_TEXTS
"""Texts that other runs do not ask meanwhile; the system takes its time over more."""

LOOK_AGAIN_S = 0.1
"""How soon to look again whether others have the vectors."""

TOO_LONG = ("too long", "too large", "too many", "maximum", "at most", "exceed")
"""What a refusal of a chunk for its size says."""

NO_TEXT = "there is no text"


@dataclass(frozen=True)
class Vectors:
    """The vectors of some texts."""

    array: npt.NDArray[np.float32]
    """A row for each text; NaN where it has no vector."""
    missing: dict[int, str]
    """Why some have none, by place."""
    calls: int
    """Calls that were made for them."""
    cached: int
    """Different texts whose vector was in the cache."""


def no_vectors(count: int, why: str) -> Vectors:
    """Of so many texts, none, for one reason."""
    array = np.full((count, 0), np.nan, np.float32)
    return Vectors(array, dict.fromkeys(range(count), why), calls=0, cached=0)


async def vectors_of(
    engine: Engine,
    texts: Sequence[str | None],
    model: str,
    dimensions: int | None = None,
) -> Vectors:
    """The vectors of these texts; each different one is asked once, and kept by text,
    model and dimensions.

    Raises:
        SpecError, CredentialsError: as `Engine.ask_all`.
    """
    check_arguments(model, dimensions)
    asked = _Asked(engine, model, dimensions, list(dict.fromkeys(filter(None, texts))))
    reads_cache = engine.cache is not None and not engine.options.refresh
    if reads_cache:
        await asked.look_up(asked.left)
    if reads_cache and not engine.options.offline:
        await _ask_in_turn(engine, asked)
    else:
        await asked.ask(asked.left)
    return asked.vectors(texts)


async def _ask_in_turn(engine: Engine, asked: _Asked) -> None:
    """Asks what no other run asks now, and waits for what others do."""
    waiting = _Patience(engine.options.timeout_s + engine.options.max_wait_s)
    while (left := asked.left) and not engine.is_ending:
        async with engine.claimed(map(asked.key, left), MOST_CLAIMED) as claimed:
            mine = [place for place in left if asked.key(place) in claimed]
            await asked.look_up(mine or left)  # others may have asked since
            await asked.ask(mine)
        if len(asked.left) < len(left):
            waiting.begin()
        elif waiting.is_over:
            await asked.ask(left)
        else:
            await asyncio.sleep(LOOK_AGAIN_S)


class _Patience:
    """How long others are waited for that have no answer: they may stand still."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self.begin()

    def begin(self) -> None:
        self._since = time.monotonic()

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._since + self._most_s


@dataclass
class _Asked:
    """The different texts, and what is known of each."""

    engine: Engine
    model: str
    dimensions: int | None
    texts: list[str]
    again: list[list[int]] = field(default_factory=list)
    """Chunks to ask in another way."""

    def __post_init__(self) -> None:
        self._requests = [
            self.engine.request(
                body_of(self.model, text, self.dimensions), endpoint=EMBEDDINGS
            )
            for text in self.texts
        ]
        self._array: npt.NDArray[np.float32] | None = None
        self._found = np.zeros(len(self.texts), bool)
        self._tried = np.zeros(len(self.texts), bool)
        self._reasons: dict[int, str] = {}
        self._places: dict[str, list[int]] = {}
        """By the key of its request, the texts of a chunk."""
        self._damaged: set[str] = set()
        self._base64 = True
        self._calls = self._cached = 0

    @property
    def left(self) -> list[int]:
        """The texts, by place, that nothing is known of and that were not asked."""
        places = np.flatnonzero(~(self._found | self._tried)).tolist()
        return [place for place in places if place not in self._reasons]

    def key(self, place: int) -> str:
        """The key of a text's vector."""
        return self._requests[place].key

    async def look_up(self, places: Sequence[int]) -> None:
        """Takes what the cache has."""
        await asyncio.to_thread(self._look_up, places)

    def _look_up(self, looked_for: Sequence[int]) -> None:
        assert self.engine.cache is not None
        places = {self.key(place): place for place in looked_for}
        for entry in self.engine.cache.entries_of(list(places)):
            place = places[entry.key]
            if self._found[place]:
                continue
            try:
                (vector,) = vectors_in(entry.body, 1)
            except ValueError:
                self._damaged.add(entry.key)
            else:
                self._put(place, vector)
                self._cached += int(self._found[place])

    async def ask(self, places: Sequence[int]) -> None:
        """Asks those of the texts that nothing is known of."""
        chunks = list(self.chunks(places))
        while chunks and not self.engine.is_ending:
            self.again = []
            await self.engine.ask_all(map(self.request, chunks), self.take)
            chunks = self.again
        self._tried[list(places)] = True

    def chunks(self, places: Sequence[int]) -> Iterator[list[int]]:
        """Those of the texts to ask, as many at a time as a call takes."""
        chunk: list[int] = []
        left = MOST_BYTES
        for place in places:
            if self._found[place] or place in self._reasons:
                continue
            length = len(self.texts[place].encode())
            if chunk and (len(chunk) == MOST_TEXTS or length > left):
                yield chunk
                chunk, left = [], MOST_BYTES
            chunk.append(place)
            left -= length
        if chunk:
            yield chunk

    def request(self, chunk: list[int]) -> Request:
        """The call that asks a chunk."""
        texts = [self.texts[place] for place in chunk]
        encoding = {"encoding_format": "base64"} if self._base64 else {}
        body = {**body_of(self.model, texts, self.dimensions), **encoding}
        request = self.engine.request(body, endpoint=EMBEDDINGS)
        request.kept = False
        self._places[request.key] = chunk
        return request

    def take(self, reply: Reply) -> None:
        """Notes a reply, and puts its vectors on disk."""
        chunk = self._places.pop(reply.request.key)
        if reply.response is None:
            self._fail(chunk, reply.error, "encoding_format" in reply.request.body)
            return
        self._calls += not reply.cached
        try:
            vectors = vectors_in(reply.response.body, len(chunk))
        except ValueError as error:
            self._reasons |= dict.fromkeys(chunk, str(error))
            return
        for place, vector in zip(chunk, vectors, strict=True):
            self._put(place, vector)
        requests = [self._requests[place] for place in chunk]
        self._keep(list(entries(requests, vectors, reply.response, self.engine.name)))

    def _fail(self, chunk: list[int], error: Failure | None, in_base64: bool) -> None:
        said = "" if error is None else error.message.lower()
        refused = error is not None and error.status in (400, 413, 422)
        if refused and in_base64 and ("encoding" in said or "base64" in said):
            self._base64 = False
            self.again.append(chunk)
        elif refused and len(chunk) > 1 and any(words in said for words in TOO_LONG):
            half = len(chunk) // 2
            self.again += [chunk[:half], chunk[half:]]
        else:
            why = "not asked" if error is None else error.summary
            self._reasons |= dict.fromkeys(chunk, why)

    def _keep(self, kept: list[Entry]) -> None:
        if (cache := self.engine.cache) is None:
            return
        try:
            if self.engine.options.refresh:
                cache.put(kept)
                return
            cache.put([entry for entry in kept if entry.key in self._damaged])
            cache.add([entry for entry in kept if entry.key not in self._damaged])
        except CacheError as error:
            self.engine.end("stopped", str(error))

    def _put(self, place: int, vector: Vector) -> None:
        wanted = self.dimensions or len(vector)
        if self._array is None:
            self._array = np.full((len(self.texts), wanted), np.nan, np.float32)
        if len(vector) != self._array.shape[1]:
            self._reasons[place] = (
                f"expected {self._array.shape[1]:,} dimensions, got {len(vector):,}; "
                "a model that has one size only takes no dimensions="
            )
            return
        self._array[place] = vector
        self._found[place] = True

    def vectors(self, texts: Sequence[str | None]) -> Vectors:
        """The vectors of these texts, which may be the same or none."""
        ended = self.engine.reason or "it was interrupted"
        places = {text: place for place, text in enumerate(self.texts)}
        at = np.array([places[text] if text else -1 for text in texts], np.int64)
        missing = {
            row: self._reasons.get(place, f"not asked: {ended}")
            if place >= 0
            else NO_TEXT
            for row, place in enumerate(at.tolist())
            if place < 0 or not self._found[place]
        }
        if self._array is None:
            array = np.full((len(texts), self.dimensions or 0), np.nan, np.float32)
        elif len(texts) == len(self.texts):  # all different, in this order
            array = self._array
        else:
            array = self._array[at]
            array[at < 0] = np.nan
        return Vectors(array, missing, self._calls, self._cached)
