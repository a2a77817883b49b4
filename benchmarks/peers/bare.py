"""The bare client: the limit that the machine and aiohttp set, with no toolkit around.

Workers on one iterator, aiohttp and orjson, a plain sqlite table that one thread writes
in batches, and a DataFrame from columns. It asks for no retry, keeps no spend, checks
nothing: whatever else a runner does, it does on top of this.
"""

import asyncio
import hashlib
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import aiohttp
import orjson
import pandas as pd

from benchmarks.peers import API_KEY, Site
from benchmarks.workload import trials

BATCH = 256


def grid(dataset: list[dict], site: Site) -> pd.DataFrame:
    return asyncio.run(_grid(dataset, site))


async def _grid(dataset: list[dict], site: Site) -> pd.DataFrame:
    labels, bodies = zip(*trials(dataset), strict=True)
    payloads = [orjson.dumps(body, option=orjson.OPT_SORT_KEYS) for body in bodies]
    keys = [hashlib.sha256(payload).digest() for payload in payloads]
    with Answers(site.cache) as cache:
        answers = cache.known(keys)
        missing = (
            pair for pair in zip(keys, payloads, strict=True) if pair[0] not in answers
        )
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=site.concurrency),
            headers={
                "Authorization": f"Bearer {API_KEY}",
                "Content-Type": "application/json",
            },
        ) as session:

            async def work() -> None:
                for key, payload in missing:
                    async with session.post(
                        f"{site.base_url}/chat/completions", data=payload
                    ) as response:
                        response.raise_for_status()
                        answers[key] = answer = await response.read()
                    cache.keep(key, answer)

            await asyncio.gather(*(work() for _ in range(site.concurrency)))
    return _table(labels, [orjson.loads(answers[key]) for key in keys])


class Answers:
    """Response bodies in an sqlite file, written by one thread in batches."""

    def __init__(self, directory: str) -> None:
        self._database = sqlite3.connect(
            Path(directory) / "answers.sqlite", check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS answers (key BLOB UNIQUE, body BLOB)"
        )
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writes: list[Future[None]] = []
        self._unsaved: list[tuple[bytes, bytes]] = []

    def __enter__(self) -> "Answers":
        return self

    def __exit__(self, *_: object) -> None:
        self._save()
        for write in self._writes:
            write.result()
        self._writer.shutdown()
        self._database.close()

    def known(self, keys: list[bytes]) -> dict[bytes, bytes]:
        stored = dict(self._database.execute("SELECT key, body FROM answers"))
        return {key: stored[key] for key in keys if key in stored}

    def keep(self, key: bytes, body: bytes) -> None:
        self._unsaved.append((key, body))
        if len(self._unsaved) == BATCH:
            self._save()

    def _save(self) -> None:
        self._writes.append(self._writer.submit(self._write, self._unsaved))
        self._unsaved = []

    def _write(self, batch: list[tuple[bytes, bytes]]) -> None:
        with self._database:
            self._database.executemany("INSERT INTO answers VALUES (?, ?)", batch)


def _table(labels: tuple[dict, ...], documents: list[dict]) -> pd.DataFrame:
    choices = [document["choices"][0] for document in documents]
    usages = [document["usage"] for document in documents]
    return pd.DataFrame(
        {name: [label[name] for label in labels] for name in labels[0]}
        | {
            "output": [choice["message"]["content"] for choice in choices],
            "finish_reason": [choice["finish_reason"] for choice in choices],
            "input_tokens": [usage["prompt_tokens"] for usage in usages],
            "output_tokens": [usage["completion_tokens"] for usage in usages],
        }
    )
