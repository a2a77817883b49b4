"""Trials: a variant as it is sent, asked about a case, once or several times."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

from promptlab.errors import SpecError
from promptlab.spec.capabilities import (
    OLD_NAME,
    Capabilities,
    Rules,
    WireNames,
    supported_parameters,
    wire_name,
)
from promptlab.spec.dataset import Case, Dataset
from promptlab.spec.grid import Variant
from promptlab.spec.prompt import Prompt, Turn
from promptlab.spec.request import Request

NOT_SENT = ("model", "prompt", "system", "base_url")
"""Parameters that make up a request in ways of their own."""


@dataclass(frozen=True, eq=False)
class EffectiveVariant:
    """A variant as it is sent: with the parameters that its model takes."""

    declared: Variant
    """The point of the grid."""
    prompt: Prompt
    """The variant's prompt under its system message."""
    model: str
    base_url: str | None
    """Where it is sent; None for the base URL of the run."""
    parameters: Mapping[str, Any]
    """What is sent beside model and messages, by name in the grid."""
    dropped: Mapping[str, str]
    """Why each of the variant's other parameters is not sent."""
    rules: Rules
    """Own rules on the model: they may say the names of parameters on the wire."""

    @property
    def labels(self) -> dict[str, Any]:
        """What the table shows; None for a parameter that is not sent."""
        return {
            name: None if name in self.dropped else label
            for name, label in self.declared.labels.items()
        }

    def turns(self, case: Case) -> tuple[Turn, ...]:
        """The messages of a case, one group for each call.

        Raises:
            SpecError: they cannot be rendered; the message names prompt and case.
        """
        try:
            return self.prompt.turns(case.inputs)
        except SpecError as error:
            label = self.declared.labels["prompt"]
            raise SpecError(
                f"prompt {label!r}, case {case.id!r}: {error}",
                at=("prompt", str(label)),
            ) from error

    def without_messages(
        self, route: Callable[[str], str], names: WireNames
    ) -> tuple[str, dict[str, Any]]:
        """The base URL it is sent to and its body but for the messages, the same for
        all cases, when each model is sent where `route` says."""
        base_url = self.base_url or route(self.model)
        body: dict[str, Any] = {"model": self.model}
        for name, value in self.parameters.items():
            wire = wire_name(name, base_url, self.rules, self.model)
            if name == OLD_NAME and not isinstance(self.rules.get(name), str):
                wire = names.get((base_url, self.model), wire)
            if wire in body:
                raise SpecError(
                    f"{name} is sent to {self.model} as {wire!r}, which is given too"
                )
            body[wire] = value
        return base_url, body


def effective(
    variant: Variant,
    variables: Collection[str],
    prompts: dict[Hashable, Prompt],
    own: Capabilities | None,
    adapt: Callable[[Prompt], Prompt],
    nested: Collection[str] = (),
) -> EffectiveVariant:
    """A variant as it is sent, with the parameters that its model takes.

    Parameters that are `variables` fill holes of the prompt and are not sent; those
    that are `nested` are names of wordings. `prompts`
    keeps one prompt for each prompt, system message and values of its variables, as
    `adapt` gives it.
    """
    prompt, system = variant["prompt"], variant.get("system")
    if system is not None and prompt.has_system:
        raise SpecError(
            f"prompt {variant.labels['prompt']!r} has a system message of its own, so "
            f"system {variant.labels['system']!r} would be a second; exclude the pair",
            at=("prompt", str(variant.labels["prompt"])),
        )
    whole = prompt.with_system(system)
    holes = whole.fields_among(variables)
    given = [n for n in variables if variant[n] is not None]
    labels = {name: variant.labels[name] for name in given if name in holes}
    same = prompt, system, *labels.items()
    if same not in prompts:
        filling = {name: variant[name] for name in labels}
        prompts[same] = adapt(whole.filled(filling) if filling else whole)
    unused = {
        name: "the prompt has no such hole" for name in given if name not in holes
    }
    left_out = (*NOT_SENT, *variables, *nested)
    parameters = {n: variant[n] for n in variant.levels if n not in left_out}
    rules = (own or {}).get(variant["model"], {})
    supported = supported_parameters(variant["model"], parameters, rules)
    return EffectiveVariant(
        variant,
        prompts[same],
        variant["model"],
        variant.get("base_url"),
        supported.sent,
        {**supported.dropped, **unused},
        rules,
    )


@dataclass(frozen=True)
class Trial:
    """A variant, a case and a repeat: one conversation, of one or more calls."""

    index: int
    """Its place in the experiment, from 0: case by case, then variant, then repeat."""
    variant: EffectiveVariant
    case: Case
    repeat: int

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """The rendered messages, one group for each call."""
        return self.variant.turns(self.case)

    def first_request(
        self, route: Callable[[str], str], names: WireNames | None = None
    ) -> Request:
        """Its first call, when each model is sent where `route` says, to servers that
        want these names."""
        base_url, base = self.variant.without_messages(route, names or {})
        body = {**base, "messages": list(self.turns[0])}
        return Request(base_url, body, self.repeat)

    def __repr__(self) -> str:
        return f"Trial({str(self).removeprefix('trial ')})"

    def __str__(self) -> str:
        return f"trial {self.index} ({self.variant.declared}, case={self.case.id!r}" + (
            f", repeat={self.repeat})" if self.repeat else ")"
        )


class Trials(Sequence[Trial]):
    """The trials of an experiment, in order, each made when it is looked at."""

    def __init__(
        self, variants: Sequence[EffectiveVariant], dataset: Dataset, repeats: int
    ) -> None:
        self._variants = variants
        self._dataset = dataset
        self._repeats = repeats

    def __len__(self) -> int:
        return len(self._variants) * len(self._dataset) * self._repeats

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        index = range(len(self))[index]
        rest, repeat = divmod(index, self._repeats)
        case, variant = divmod(rest, len(self._variants))
        return Trial(index, self._variants[variant], self._dataset[case], repeat)


def conversation(
    turns: Sequence[Turn], replies: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The messages of the call after `replies`, the assistant's: every turn so far and
    its reply."""
    messages: list[Mapping[str, Any]] = list(turns[0])
    for turn, reply in zip(turns[1:], replies, strict=False):
        messages.append(reply)
        messages.extend(_answering(turn, reply))
    return messages


def _answering(turn: Turn, reply: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A turn whose tool messages answer the calls of a reply, each in its place."""
    calls = iter(reply.get("tool_calls", ()))
    for message in turn:
        call = next(calls, None) if message["role"] == "tool" else None
        if isinstance(call, Mapping) and "id" in call:
            yield {"tool_call_id": call["id"], **message}
        else:
            yield message
