"""A client that gives vectors: at our own seam, with the limits of a server."""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import Any

import numpy as np
import orjson

import promptlab as pl
from promptlab.errors import CallError, Failure
from promptlab.models.replies import read_reply


def vector(text: str, dimensions: int) -> np.ndarray:
    """Of a text, always the same."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(dimensions).astype("<f4")


class Embedder:
    """Answers /embeddings; notes the texts of each call."""

    base_url = "http://127.0.0.1:9/v1"

    def __init__(
        self,
        dimensions: int = 8,
        most_texts: int = 2048,
        most_characters: int = 10_000,
        base64: bool = True,
        sizes: bool = True,
    ) -> None:
        self.asked: list[list[str]] = []
        self._dimensions = dimensions
        self._most_texts = most_texts
        self._most_characters = most_characters
        self._base64 = base64
        self._sizes = sizes
        self._lock = threading.Lock()

    async def complete(self, request: pl.Request) -> pl.Response:
        texts = request.body["input"]
        if not self._base64 and "encoding_format" in request.body:
            raise refusal("unknown field: encoding_format")
        if len(texts) > self._most_texts:
            raise refusal(f"input: at most {self._most_texts} items")
        if max(map(len, texts)) > self._most_characters:
            raise refusal("the input is too long: maximum context length exceeded")
        with self._lock:
            self.asked.append(list(texts))
        dimensions = self._dimensions
        if self._sizes:
            dimensions = request.body.get("dimensions", dimensions)
        rows = [
            {"index": at, "embedding": self._written(vector(text, dimensions))}
            for at, text in enumerate(texts)
        ]
        tokens = sum(map(len, texts))
        body = {"data": rows[::-1], "model": request.model}
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return read_reply(200, {}, orjson.dumps(body), 0.01, request.endpoint)

    async def close(self) -> None:
        """There is nothing to close."""

    def _written(self, vector: np.ndarray) -> Any:
        if self._base64:
            return base64.b64encode(vector.tobytes()).decode()
        return vector.tolist()


def refusal(message: str) -> CallError:
    return CallError(Failure(kind="invalid_request_error", message=message, status=400))
