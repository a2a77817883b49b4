"""Requests: the calls of an experiment's trials, each made when it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from promptlab.spec.capabilities import WireNames
from promptlab.spec.definition import Definition
from promptlab.spec.prompt import Turn
from promptlab.spec.request import Request, most_output, request_key
from promptlab.spec.trial import conversation

KEPT_BYTES = 32_000_000
"""Rendered messages that are kept at most, about."""

ENTRY_BYTES = 500
"""What keeping a prompt's messages takes beside their text, about."""


class FirstRequest(NamedTuple):
    """The first call of a trial, and what is asked in all."""

    trial: int
    """Its index."""
    key: str
    """Of the first call."""
    identity: str
    """Equal for trials that ask the same from first to last."""
    turns: tuple[Turn, ...]


class Requests:
    """The requests of an experiment's trials, each model sent where `route` says."""

    def __init__(
        self,
        experiment: Definition,
        route: Callable[[str], str],
        names: WireNames | None = None,
    ) -> None:
        self._experiment = experiment
        self._route = route
        self.names = dict(names or {})
        """What servers want `max_tokens` to be called, as far as they said."""
        self._bases = self._made_bases()
        self._most_output = [
            most_output(q.parameters) for q in experiment.effective_variants
        ]
        prompts = {id(q.prompt): q for q in reversed(experiment.effective_variants)}
        self._asking = list(prompts.values())  # a variant for each prompt
        places = {prompt: place for place, prompt in enumerate(prompts)}
        self._prompt_of = [places[id(q.prompt)] for q in experiment.effective_variants]
        # Neighbouring trials share their case and prompts: most are rendered once.
        large = any(q.prompt.names_files for q in self._asking)
        self._turns = lru_cache(maxsize=16 if large else 512)(self._rendered)
        self._kept: dict[tuple[int, int], tuple[Turn, ...]] = {}
        self._room = KEPT_BYTES

    def destination(self, index: int) -> tuple[str, str]:
        """The base URL and the model that a trial is sent to."""
        base_url, body = self._bases[self._place(index)[1]]
        return base_url, body["model"]

    def destinations(self) -> list[tuple[str, str]]:
        """Every base URL and model of the experiment, once each."""
        return list(dict.fromkeys((url, body["model"]) for url, body in self._bases))

    def rename(self, base_url: str, model: str, name: str) -> None:
        """From now on calls `max_tokens` so where a model is asked at a server."""
        self.names[base_url, model] = name
        self._bases = self._made_bases()

    def _made_bases(self) -> list[tuple[str, dict[str, Any]]]:
        variants = self._experiment.effective_variants
        return [v.without_messages(self._route, self.names) for v in variants]

    def is_quick(self, index: int) -> bool:
        """Whether a trial's prompt takes no longer to render than it is long."""
        return self._asking[self._prompt_of[self._place(index)[1]]].prompt.is_quick

    def request(
        self, index: int, replies: Sequence[Mapping[str, Any]] = ()
    ) -> Request | None:
        """A trial's call after `replies`, the assistant's messages; None when the
        conversation is over."""
        _, variant, repeat = self._place(index)
        turns = self.turns(index)
        if len(replies) >= len(turns):
            return None
        base_url, base = self._bases[variant]
        body = {**base, "messages": conversation(turns, replies)}
        key = request_key(base_url, body, repeat)
        most = self._most_output[variant]
        return Request.of_canonical(base_url, body, repeat, key, most)

    def turns(self, index: int) -> tuple[Turn, ...]:
        """The rendered messages of a trial, one group for each call."""
        case, variant, _ = self._place(index)
        return self._turns(self._prompt_of[variant], case)

    def first_requests(self) -> Iterator[FirstRequest]:
        """The first call of every trial, in order.

        Each prompt is rendered once for a case, whatever else varies, and little of it
        is kept: this is where a grid of a million trials spends its planning.
        """
        repeats = range(self._experiment.repeats)
        variants = list(zip(self._prompt_of, self._bases, strict=True))
        index = 0
        for case in range(len(self._experiment.dataset)):
            rendered = [self._rendered(p, case) for p in range(len(self._asking))]
            for prompt, (base_url, base) in variants:
                turns = rendered[prompt]
                body = {**base, "messages": turns[0]}
                for repeat in repeats:
                    key = request_key(base_url, body, repeat)
                    identity = (
                        key if len(turns) == 1 else conversation_id(key, turns[1:])
                    )
                    yield FirstRequest(index, key, identity, turns)
                    index += 1

    def _place(self, index: int) -> tuple[int, int, int]:
        """The case, the variant and the repeat of a trial."""
        rest, repeat = divmod(index, self._experiment.repeats)
        return *divmod(rest, len(self._bases)), repeat

    def _rendered(self, prompt: int, case: int) -> tuple[Turn, ...]:
        """A prompt's messages for a case; those made first are kept, as a forecast goes
        through all of them three times."""
        if (turns := self._kept.get((prompt, case))) is not None:
            return turns
        turns = self._asking[prompt].turns(self._experiment.dataset[case])
        if self._room > 0:
            self._room -= ENTRY_BYTES + len(orjson.dumps(turns))
            self._kept[prompt, case] = turns
        return turns


def conversation_id(key: str, turns: Sequence[Turn]) -> str:
    """What identifies a conversation: its first key, and all that is said after."""
    return hashlib.sha256(key.encode() + orjson.dumps(turns)).hexdigest()
