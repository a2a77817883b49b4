"""embed: texts as vectors, each asked once and kept by text, model and dimensions."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from tests.embeddings.embedder import Embedder, refusal, vector

PATIENCE_S = 30

PRICES = {"m": {"input": 1.0, "output": 0.0}}


def embed(client: Embedder, texts: Any, **options: Any) -> Any:
    return pl.embed(texts, model="m", client=client, **options)


def test_vectors_come_in_the_order_of_the_texts_as_float32() -> None:
    given = embed(Embedder(), ["red", "green", "red"])

    assert given.dtype == np.float32
    np.testing.assert_array_equal(
        given, [vector(t, 8) for t in ("red", "green", "red")]
    )


def test_each_different_text_is_asked_once_however_it_is_chunked() -> None:
    first, second = Embedder(), Embedder()

    embed(first, ["red", "red", "green"])
    embed(second, ["blue", "green", "red"])

    assert first.asked == [["red", "green"]]
    assert second.asked == [["blue"]]


def test_another_model_size_or_refresh_is_asked_for() -> None:
    client = Embedder()
    embed(client, ["red"])

    assert embed(client, ["red"], dimensions=4).shape == (1, 4)
    pl.embed(["red"], model="other", client=client)
    embed(client, ["red"], refresh=True)

    assert len(client.asked) == 4


def test_what_is_cached_needs_no_call() -> None:
    paid = embed(Embedder(), ["red", "green"])

    np.testing.assert_array_equal(
        embed(Embedder(), ["red", "green"], offline=True), paid
    )


def test_a_server_without_base64_is_asked_for_numbers() -> None:
    client = Embedder(base64=False)

    given = embed(client, ["red"])

    np.testing.assert_array_equal(given, [vector("red", 8)])


def test_a_chunk_that_a_server_finds_too_large_is_split() -> None:
    client = Embedder(most_texts=3)
    texts = [f"text {number}" for number in range(10)]

    given = embed(client, texts)

    np.testing.assert_array_equal(given, [vector(text, 8) for text in texts])
    assert max(map(len, client.asked)) <= 3


def test_many_texts_are_several_calls() -> None:
    client = Embedder()

    embed(client, [f"text {number}" for number in range(1_100)])

    assert sorted(map(len, client.asked)) == [76, 512, 512]


def test_a_text_that_is_too_long_is_missing_and_the_others_are_not() -> None:
    with pytest.warns(pl.PromptlabWarning, match=r"1 of 3 texts .* too long"):
        given = embed(Embedder(), ["red", "x" * 20_000, "green"])

    assert np.isnan(given).any(axis=1).tolist() == [False, True, False]


def test_a_server_that_ignores_dimensions_is_not_paid_twice() -> None:
    client = Embedder(sizes=False)

    for _ in range(2):
        with pytest.raises(pl.PromptlabError, match="expected 4 dimensions, got 8"):
            embed(client, ["red"], dimensions=4)

    assert client.asked == [["red"]]


def test_no_text_is_no_call_and_a_row_without_numbers() -> None:
    client = Embedder()

    with pytest.warns(pl.PromptlabWarning, match="2 of 3 texts have no vector"):
        given = embed(client, ["", None, "red"])

    assert client.asked == [["red"]]
    assert np.isnan(given).all(axis=1).tolist() == [True, True, False]


def test_no_texts_are_an_empty_array() -> None:
    assert embed(Embedder(), []).shape == (0, 0)


def test_a_series_gives_a_frame_with_its_index() -> None:
    given = embed(Embedder(), pd.Series(["red", "green"], index=["a", "b"]))

    assert isinstance(given, pd.DataFrame)
    assert given.index.tolist() == ["a", "b"]


def test_it_can_be_awaited() -> None:
    given = asyncio.run(pl.aembed(["red"], model="m", client=Embedder()))

    np.testing.assert_array_equal(given, [vector("red", 8)])


def test_a_damaged_vector_is_asked_for_once_more() -> None:
    client = Embedder()
    embed(client, ["red"])
    database = pl.ResponseCache().directory / "cache.db"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE Cache SET value = CAST(replace(CAST(value AS TEXT),"
            ' \'"embedding":"\', \'"embedding":"!\') AS BLOB)'
        )

    embed(client, ["red"])
    again = embed(client, ["red"])

    assert client.asked == [["red"], ["red"]]
    np.testing.assert_array_equal(again, [vector("red", 8)])


KILLED = """
import os
import promptlab as pl
from tests.embeddings.embedder import Embedder

class Killed(Embedder):
    async def complete(self, request):
        if self.asked:
            os._exit(9)
        return await super().complete(request)

texts = [f"text {number}" for number in range(1_100)]
pl.embed(texts, model="m", client=Killed(), cache=CACHE, max_concurrency=1)
"""


def test_after_a_kill_only_the_rest_is_asked(tmp_path: Path) -> None:
    code = KILLED.replace("CACHE", repr(str(tmp_path)))
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    client = Embedder()

    embed(client, [f"text {number}" for number in range(1_100)], cache=tmp_path)

    assert killed.returncode == 9
    assert sum(map(len, client.asked)) == 1_100 - 512


class Held(Embedder):
    """Answers its first call once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asks, self.may_answer = threading.Event(), threading.Event()

    async def complete(self, request: pl.Request) -> pl.Response:
        self.asks.set()
        await asyncio.to_thread(self.may_answer.wait, PATIENCE_S)
        return await super().complete(request)


class Notifying(Embedder):
    """Calls a function when it is first asked."""

    def __init__(self, first: Callable[[], object]) -> None:
        super().__init__()
        self._first = first

    async def complete(self, request: pl.Request) -> pl.Response:
        if not self.asked:
            self._first()
        return await super().complete(request)


def test_a_text_that_another_run_asks_now_is_waited_for() -> None:
    first = Held()
    second = Notifying(first.may_answer.set)
    with ThreadPoolExecutor() as pool:
        paid = pool.submit(embed, first, ["red", "green"])
        assert first.asks.wait(PATIENCE_S)
        given = embed(second, ["green", "blue"])
        paid.result(PATIENCE_S)

    assert first.asked == [["red", "green"]]
    assert second.asked == [["blue"]]
    np.testing.assert_array_equal(given, [vector(t, 8) for t in ("green", "blue")])


def test_a_text_that_another_run_failed_to_embed_is_asked() -> None:
    class Refusing(Held):
        async def complete(self, request: pl.Request) -> pl.Response:
            await super().complete(request)
            raise refusal("no")

    first = Refusing()
    second = Notifying(first.may_answer.set)
    with ThreadPoolExecutor() as pool:
        failed = pool.submit(embed, first, ["red", "green"])
        assert first.asks.wait(PATIENCE_S)
        embed(second, ["green", "blue"])

    assert isinstance(failed.exception(), pl.PromptlabError)
    assert second.asked == [["blue"], ["green"]]


def test_a_run_that_stands_still_is_not_waited_for_longer_than_a_call() -> None:
    first, second = Held(), Embedder()
    with ThreadPoolExecutor() as pool:
        paid = pool.submit(embed, first, ["red", "green"])
        assert first.asks.wait(PATIENCE_S)
        embed(second, ["green"], timeout_s=0.1, max_wait_s=0.1)
        first.may_answer.set()
        paid.result(PATIENCE_S)

    assert second.asked == [["green"]]


def test_runs_that_refresh_or_keep_nothing_wait_for_no_other() -> None:
    first = Held()
    with ThreadPoolExecutor() as pool:
        paid = pool.submit(embed, first, ["red", "green"])
        assert first.asks.wait(PATIENCE_S)
        for options in ({"refresh": True}, {"use_cache": False}):
            client = Embedder()
            embed(client, ["green"], **options)
            assert client.asked == [["green"]]
        with pytest.raises(pl.PromptlabError, match="not in the cache"):
            embed(Embedder(), ["red"], offline=True)
        first.may_answer.set()
        paid.result(PATIENCE_S)


ASKING = """
import sys
import promptlab as pl
from tests.embeddings.embedder import Embedder

class Asking(Embedder):
    async def complete(self, request):
        print("asks", flush=True)
        sys.stdin.readline()
        return await super().complete(request)

pl.embed(["red", "green"], model="m", client=Asking(), cache=CACHE)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
@pytest.mark.parametrize("killed", [False, True], ids=["answered", "killed"])
def test_a_text_that_another_process_asks_now_is_waited_for(
    killed: bool, tmp_path: Path
) -> None:
    code = ASKING.replace("CACHE", repr(str(tmp_path)))
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "asks\n"
        client = Notifying(other.kill if killed else other.stdin.close)
        given = embed(client, ["green", "blue"], cache=tmp_path)

    assert client.asked == ([["blue"], ["green"]] if killed else [["blue"]])
    np.testing.assert_array_equal(given, [vector(t, 8) for t in ("green", "blue")])


def test_the_ledger_has_what_they_cost_and_the_budget_holds_them() -> None:
    embed(Embedder(), ["red", "green"], prices=PRICES, budget_usd=1)

    (line,) = pl.usage().itertuples()

    assert line.input_tokens == 8
    assert line.cost_usd == pytest.approx(8e-6)


def test_a_budget_that_is_reached_asks_nothing_and_says_why() -> None:
    client = Embedder()

    with pytest.raises(pl.PromptlabError, match=r"2 of 2 texts .* budget"):
        embed(client, ["red", "green"], prices=PRICES, budget_usd=1e-6)

    assert client.asked == []


def test_a_budget_without_a_price_is_refused() -> None:
    client = Embedder()
    client.base_url = "https://api.example.org/v1"

    with pytest.raises(pl.SpecError, match="no price is known for 'm'"):
        embed(client, ["red"], budget_usd=1)


def test_a_vector_takes_its_numbers_in_base64_on_disk(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(200)]

    embed(Embedder(dimensions=1536), texts, cache=tmp_path)

    sizes = [size for *_, size in pl.ResponseCache(tmp_path).catalogue()]
    assert len(sizes) == len(texts)
    assert max(sizes) < 1.45 * 4 * 1536


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"texts": "red"}, "expected a list of strings"),
        ({"texts": [3]}, "expected strings, got 3"),
        ({"texts": ["red"], "dimensions": 0}, "expected an integer ≥ 1, got 0"),
        ({"texts": ["red"], "dimensions": True}, "expected an integer ≥ 1, got True"),
        ({"texts": ["red"], "model": ""}, "expected the name of an embedding model"),
    ],
    ids=["a string", "a number", "no dimensions", "a bool", "no model"],
)
def test_what_cannot_be_embedded_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(pl.SpecError, match=said):
        pl.embed(**{"model": "m", "client": Embedder(), **wrong})
