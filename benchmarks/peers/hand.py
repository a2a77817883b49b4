"""The loop that people write by hand: the SDK, a semaphore, diskcache, gather.

The SDK is used as it comes: a task a trial behind `asyncio.Semaphore`, one diskcache
`get` and one `set` a call under the hash of the request, the answer kept as the dict
that the SDK gives, and a list of dicts made into a DataFrame.
"""

import asyncio
import hashlib
import json

import diskcache
import pandas as pd
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from benchmarks.peers import API_KEY, Site
from benchmarks.server import completion
from benchmarks.workload import trials


def grid(dataset: list[dict], site: Site) -> pd.DataFrame:
    return asyncio.run(_grid(dataset, site))


async def _grid(dataset: list[dict], site: Site) -> pd.DataFrame:
    limit = asyncio.Semaphore(site.concurrency)
    async with AsyncOpenAI(base_url=site.base_url, api_key=API_KEY) as client:
        with diskcache.Cache(site.cache) as cache:

            async def ask(labels: dict, request: dict) -> dict:
                async with limit:
                    key = _key(request)
                    answer = cache.get(key)
                    if answer is None:
                        response = await client.chat.completions.create(**request)
                        answer = response.model_dump()
                        cache.set(key, answer)
                return {
                    **labels,
                    "output": answer["choices"][0]["message"]["content"],
                    "finish_reason": answer["choices"][0]["finish_reason"],
                    "input_tokens": answer["usage"]["prompt_tokens"],
                    "output_tokens": answer["usage"]["completion_tokens"],
                }

            rows = await asyncio.gather(*(ask(*trial) for trial in trials(dataset)))
    return pd.DataFrame(rows)


def fill(dataset: list[dict], site: Site) -> None:
    """Keeps what `grid` would have kept, without asking for it."""
    with diskcache.Cache(site.cache) as cache, cache.transact():
        for _, request in trials(dataset):
            answer = completion(json.dumps(request).encode())
            kept = ChatCompletion.model_validate(answer).model_dump()
            cache.set(_key(request), kept)


def _key(request: dict) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
