"""The responder: the answer to a conversation, worked out from the request alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from promptlab.offline.responder.generation import write
from promptlab.offline.responder.judging import judgement
from promptlab.offline.responder.lexicon import stems
from promptlab.offline.responder.ranking import Model, Ranking
from promptlab.offline.responder.sampling import Sampler
from promptlab.offline.responder.schemas import Filler
from promptlab.offline.responder.task import read_task, text_of

RESPONDER_VERSION = 3
"""Raised whenever any answer changes: it is part of what a cached answer depends on."""

Json = Mapping[str, Any]


class Responder:
    """Answers one conversation, in words or by the call of a function."""

    def __init__(self, messages: Sequence[Json], model: Model) -> None:
        self._messages = messages
        self._ranking = Ranking(read_task(messages), model)

    def text(self, sampler: Sampler, schema: Json | None) -> str:
        """An answer in words, or in JSON that meets `schema`; {} is any object."""
        if (verdict := judgement(self._messages, schema)) is not None:
            return orjson.dumps(verdict).decode()
        return write(self._ranking, sampler, schema)

    def arguments(self, sampler: Sampler, function: Json) -> str:
        """The arguments of a call, as JSON that meets the function's schema."""
        schema = function.get("parameters") or {}
        filler = Filler(self._ranking, sampler, schema)
        return orjson.dumps(filler.fill() if schema.get("properties") else {}).decode()

    def function(self, offered: Sequence[Json], choice: Any) -> Json | None:
        """The function that the answer calls; None if it is in words.

        A responder cannot know when a call would help: unless `choice` decides, it
        calls the function whose name and description share most words with the last
        user message, if they share any, and answers in words once that has a result.
        """
        if choice == "none" or not offered:
            return None
        if isinstance(choice, dict):
            name = choice["function"]["name"]
            return next(each for each in offered if each["name"] == name)
        users = [i for i, m in enumerate(self._messages) if m["role"] == "user"]
        since = self._messages[users[-1] :] if users else ()
        asked = set(stems(text_of(since[0]))) if since else set()
        calls = [call for m in since for call in m.get("tool_calls") or ()]
        called = {call["function"]["name"] for call in calls}

        def fit(function: Json) -> tuple[bool, int]:
            name = str(function["name"]).replace("_", " ").replace("-", " ")
            about = stems(f"{name} {function.get('description') or ''}")
            return function["name"] not in called, len(asked.intersection(about))

        best = max(offered, key=fit)
        return best if choice == "required" or all(fit(best)) else None
