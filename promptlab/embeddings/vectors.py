"""Vectors of texts: from the cache, else asked in chunks through an engine."""

from __future__ import annotations

import asyncio
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
    await asked.look_up()
    chunks = list(asked.chunks())
    while chunks and not engine.is_ending:
        asked.again = []
        await engine.ask_all(map(asked.request, chunks), asked.take)
        chunks = asked.again
    return asked.vectors(texts)


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
        self._reasons: dict[int, str] = {}
        self._places: dict[str, list[int]] = {}
        """By the key of its request, the texts of a chunk."""
        self._damaged: set[str] = set()
        self._base64 = True
        self._calls = self._cached = 0

    async def look_up(self) -> None:
        """Takes what the cache has."""
        if self.engine.cache is not None and not self.engine.options.refresh:
            await asyncio.to_thread(self._look_up)

    def _look_up(self) -> None:
        assert self.engine.cache is not None
        keys = [request.key for request in self._requests]
        places = {key: place for place, key in enumerate(keys)}
        for entry in self.engine.cache.entries_of(keys):
            place = places[entry.key]
            if self._found[place]:
                continue
            try:
                (vector,) = vectors_in(entry.body, 1)
            except ValueError:
                self._damaged.add(entry.key)
            else:
                self._put(place, vector)
        self._cached = int(self._found.sum())

    def chunks(self) -> Iterator[list[int]]:
        """The texts to ask, by place, as many at a time as a call takes."""
        chunk: list[int] = []
        left = MOST_BYTES
        for place in np.flatnonzero(~self._found).tolist():
            if place in self._reasons:  # paid for, and of another size than asked
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
