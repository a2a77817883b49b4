"""Endpoints other than chat completions: asked, kept and told apart by the engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import promptlab as pl
from promptlab.store.archive import export_archive, import_archive


@pytest.fixture
def embedding() -> pl.Request:
    body = {"model": "offline/embedding", "input": ["red", "green"]}
    return pl.Engine().request(body, endpoint="/embeddings")


async def asked(request: pl.Request, **options: Any) -> Any:
    async with pl.Engine(**options) as engine:
        return await engine.ask(request)


def test_an_embedding_is_asked_once_and_kept_whole(embedding: pl.Request) -> None:
    first = asyncio.run(asked(embedding))
    second = asyncio.run(asked(embedding))

    assert first.error is None
    assert (first.cached, second.cached) == (False, True)
    vectors = [row["embedding"] for row in second.response.document["data"]]
    assert len(vectors) == 2
    assert second.response.document == first.response.document
    assert second.response.usage.input_tokens > 0


def test_an_exported_embedding_is_imported_as_it_was(
    embedding: pl.Request, tmp_path: Path
) -> None:
    paid = asyncio.run(asked(embedding))
    export_archive(pl.ResponseCache(), tmp_path / "answers.jsonl")
    elsewhere = pl.ResponseCache(tmp_path / "elsewhere")

    import_archive(elsewhere, tmp_path / "answers.jsonl")

    entry = elsewhere.get(embedding.key)
    assert entry is not None
    assert entry.request == embedding
    assert entry.response.document == paid.response.document
