"""Vectors on the wire and on disk: float32 in base64, or lists of numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from promptlab.spec.request import Request
from promptlab.spec.response import ReplySummary, Response
from promptlab.store.cache import Entry

Vector = npt.NDArray[np.float32]


def vectors_in(body: bytes, count: int) -> list[Vector]:
    """The vectors in an answer, in the order of the texts.

    Raises:
        ValueError: it does not have one for each of `count` texts.
    """
    try:
        document = orjson.loads(body)
        rows = {row.get("index", at): row for at, row in enumerate(document["data"])}
        vectors = [_vector(rows[at]["embedding"]) for at in range(count)]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError("the answer has no vector for each of the texts") from error
    if len(rows) != count or len(document["data"]) != count:
        raise ValueError(f"the answer has {len(rows)} vectors for {count} texts")
    return vectors


def entries(
    requests: Sequence[Request],
    vectors: Sequence[Vector],
    response: Response,
    experiment: str,
) -> Iterator[Entry]:
    """What is stored of one answer: each vector under the request for its text alone,
    with the share of tokens and cost that its length in bytes has."""
    lengths = [len(request.body["input"].encode()) for request in requests]
    ends = np.cumsum(lengths) / max(sum(lengths), 1)
    begin = 0.0
    for request, vector, end in zip(requests, vectors, ends.tolist(), strict=True):
        encoded = base64.b64encode(vector.tobytes())
        body = b'{"data":[{"embedding":"%b","index":0}]}' % encoded
        head = _share(response.summary, begin, end)
        yield Entry.of(request, Response.from_summary(head, body), experiment)
        begin = end


def _share(summary: ReplySummary, begin: float, end: float) -> ReplySummary:
    """What lies between two fractions of an answer's tokens and cost."""
    usd, tokens = summary.reported_cost_usd, summary.input_tokens
    return summary._replace(
        input_tokens=None if tokens is None else _within(tokens, begin, end),
        cached_input_tokens=None,
        cache_write_tokens=None,
        reported_cost_usd=None if usd is None else usd * (end - begin),
    )


def _within(tokens: int, begin: float, end: float) -> int:
    return round(tokens * end) - round(tokens * begin)


def _vector(given: Any) -> Vector:
    if isinstance(given, str):
        vector = np.frombuffer(base64.b64decode(given, validate=True), "<f4")
    else:
        vector = np.asarray(given, np.float32)
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise ValueError("expected a list of finite numbers")
    return vector


def body_of(
    model: str, texts: str | Sequence[str], dimensions: int | None
) -> Mapping[str, Any]:
    """What is sent, but for how the vectors are to be written."""
    given = {} if dimensions is None else {"dimensions": dimensions}
    return {"model": model, "input": texts, **given}
