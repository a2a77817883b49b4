"""Experiments: a grid crossed with a dataset, checked whole before the first call."""

from __future__ import annotations

import difflib
import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import orjson

from promptlab.errors import DatasetError, PromptlabWarning, SpecError
from promptlab.formats import counted
from promptlab.secret import sealed
from promptlab.spec.braces import hole, shown
from promptlab.spec.capabilities import (
    OLD_NAME,
    Capabilities,
    Rules,
    check_capabilities,
    supported_parameters,
    wire_name,
)
from promptlab.spec.card import experiment_html
from promptlab.spec.dataset import RESULT_COLUMNS, Case, Dataset, check_names
from promptlab.spec.grid import KNOWN, Grid, Variant, unknown_parameters
from promptlab.spec.prompt import Prompt, Turn
from promptlab.spec.request import Request, most_output, request_key

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from promptlab.execution.handle import Handle
    from promptlab.planning.forecast import Forecast
    from promptlab.planning.plan import Plan
    from promptlab.results.results import Results

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
        return _rendered(self.variant, self.case)

    def first_request(
        self, route: Callable[[str], str], names: WireNames | None = None
    ) -> Request:
        """Its first call, when each model is sent where `route` says, to servers that
        want these names."""
        base_url, base = wire_base(self.variant, route, names or {})
        body = {**base, "messages": list(self.turns[0])}
        return Request(base_url, body, self.repeat)

    def __repr__(self) -> str:
        return f"Trial({str(self).removeprefix('trial ')})"

    def __str__(self) -> str:
        return f"trial {self.index} ({self.variant.declared}, case={self.case.id!r}" + (
            f", repeat={self.repeat})" if self.repeat else ")"
        )


def conversation(
    turns: Sequence[Turn], replies: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The messages of the call after `replies`, the assistant's: every turn so far and
    its reply."""
    messages: list[Mapping[str, Any]] = list(turns[0])
    for turn, reply in zip(turns[1:], replies, strict=False):
        messages.append(reply)
        messages.extend(turn)
    return messages


@dataclass(frozen=True, eq=False)
class Experiment:
    """A grid × a dataset × repeats: what to run. `run()` gives `Results`.

    Everything is checked here, before any call: every field that a prompt needs is
    in every case, no parameter is misspelt, no list is empty. `warnings` holds what
    is odd and yet may be meant.

    Raises:
        SpecError: it cannot be run as it is; the message says what would do.
    """

    name: str
    """What runs, files and cache entries are labelled with."""
    grid: Grid
    dataset: Dataset
    """Also given as a list of dicts, a DataFrame or the path of a file."""
    repeats: int = 1
    """How often each variant is asked about each case."""
    capabilities: Capabilities | None = None
    """Own rules on what models take: model → parameter → True, False or wire name."""

    def __init__(
        self,
        name: str,
        *,
        grid: Grid | Mapping[str, Any],
        dataset: Dataset | pd.DataFrame | Iterable[Mapping[str, Any]] | str | Path,
        repeats: int = 1,
        capabilities: Capabilities | None = None,
    ) -> None:
        self._fill(name, _grid(grid), _dataset(dataset), repeats, capabilities)
        self._check_braces()
        for warning in self.warnings:
            warnings.warn(f"{name}: {warning}", PromptlabWarning, stacklevel=2)

    def run(self, **options: Any) -> Results:
        """Runs it to the end and gives the results; `promptlab.run` has the options."""
        from promptlab.execution.runner import run

        return run(self, **sealed(options))

    async def arun(self, **options: Any) -> Results:
        """As `run`, for a running event loop: `await experiment.arun()`."""
        from promptlab.execution.runner import arun

        return await arun(self, **sealed(options))

    def start(self, **options: Any) -> Handle:
        """Starts it in the background: the handle tells, waits and cancels."""
        from promptlab.execution.runner import start

        return start(self, **sealed(options))

    def plan(self, **options: Any) -> Plan:
        """What a run would do: which trials are cached, new or duplicates of others."""
        from promptlab.planning.plan import plan

        return plan(self, **sealed(options))

    def forecast(self, pilot: int = 2, **options: Any) -> Forecast:
        """What a run would cost, from `pilot` answers of each variant that it buys and
        keeps; `level` and `seed` are options too."""
        from promptlab.planning.forecast import forecast

        return forecast(self, pilot, **sealed(options))

    @cached_property
    def effective_variants(self) -> tuple[EffectiveVariant, ...]:
        """The variants as they are sent; those that became the same are one."""
        return tuple(group[0] for group in self._groups)

    @cached_property
    def collapsed(self) -> tuple[tuple[Variant, ...], ...]:
        """The groups of variants that became one, as their model refuses the rest."""
        return tuple(
            tuple(variant.declared for variant in group)
            for group in self._groups
            if len(group) > 1
        )

    @property
    def trials(self) -> Trials:
        """Every trial, made when it is looked at."""
        return Trials(self)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about it, one line each."""
        return (
            *self._odd_parameters(),
            *self._dropped(),
            *self._odd_prompts(),
            *self._unused(),
        )

    def only(self, /, **wanted: Any) -> Experiment:
        """The same with just these values of some parameters."""
        return self._with(grid=self.grid.only(**wanted))

    def with_grid(self, grid: Grid | Mapping[str, Any]) -> Experiment:
        """The same with another grid."""
        made = self._with(grid=_grid(grid))
        made._check_braces()
        return made

    def limit(self, cases: slice | int) -> Experiment:
        """The same with the first `cases` cases, or a slice of them."""
        part = slice(max(0, cases)) if isinstance(cases, int) else cases
        if not range(len(self.dataset))[part]:
            raise SpecError(
                f"no case is left: {self.dataset.name} has {len(self.dataset)}"
            )
        return self._with(dataset=self.dataset[part])

    def with_repeats(self, repeats: int) -> Experiment:
        """The same, each variant asked so often about each case."""
        return self._with(repeats=repeats)

    def with_inputs(self, /, **inputs: Any) -> Experiment:
        """The same with these inputs set in every case."""
        return self._with(dataset=self.dataset.with_inputs(**inputs))

    def to_plain(self) -> dict[str, Any]:
        """Its definition as JSON values; `from_plain` reads it back."""
        plain = {
            "name": self.name,
            **self.grid.to_plain(),
            "repeats": self.repeats,
            "dataset": {"name": self.dataset.name, "cases": self.dataset.to_plain()},
        }
        if self.dataset.metadata:
            plain["dataset"]["metadata"] = list(self.dataset.metadata)
        if self.capabilities:
            plain["capabilities"] = {m: dict(r) for m, r in self.capabilities.items()}
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Experiment:
        """The experiment that `to_plain` wrote."""
        dataset = plain["dataset"]
        made = cls.__new__(cls)  # its warnings were told when it was made
        made._fill(
            plain["name"],
            Grid.from_plain(plain),
            Dataset(
                dataset["cases"],
                name=dataset["name"],
                metadata=dataset.get("metadata", ()),
            ),
            plain["repeats"],
            plain.get("capabilities"),
        )
        return made

    def __len__(self) -> int:
        return len(self.effective_variants) * len(self.dataset) * self.repeats

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}: {self.size})"

    def _repr_html_(self) -> str:
        return experiment_html(self)

    @property
    def size(self) -> str:
        """How large it is: `8 variants × 40 cases × 3 repeats = 960 trials`."""
        parts = [
            counted(len(self.effective_variants), "variant"),
            counted(len(self.dataset), "case"),
            counted(self.repeats, "repeat"),
        ]
        return f"{' × '.join(parts)} = {counted(len(self), 'trial')}"

    def _with(self, **changes: Any) -> Experiment:
        parts: dict[str, Any] = {
            "grid": self.grid,
            "dataset": self.dataset,
            "repeats": self.repeats,
            "capabilities": self.capabilities,
        }
        made = Experiment.__new__(Experiment)  # its warnings were told when it was made
        made._fill(self.name, **(parts | changes))
        return made

    def _fill(
        self,
        name: object,
        grid: Grid,
        dataset: Dataset,
        repeats: object,
        capabilities: Capabilities | None,
    ) -> None:
        """Sets the parts, and checks them."""
        put = object.__setattr__
        put(self, "name", _checked_name(name))
        put(self, "grid", grid)
        put(self, "dataset", dataset)
        put(self, "repeats", _checked_repeats(repeats))
        put(self, "capabilities", capabilities)
        self._check()

    @cached_property
    def _groups(self) -> list[list[EffectiveVariant]]:
        groups: dict[Any, list[EffectiveVariant]] = {}
        prompts: dict[tuple[Prompt, str | None], Prompt] = {}
        for variant in self.grid:
            effective = _effective(variant, prompts, self.capabilities)
            sent = _hashable(effective.labels), _hashable(effective.parameters)
            groups.setdefault(sent, []).append(effective)
        return list(groups.values())

    def _check(self) -> None:
        models = [level.value for level in self.grid.levels("model")]
        names = (*self.grid.parameters, *KNOWN)
        check_capabilities(self.capabilities or {}, models, names)
        self._check_names()
        for variant in self._prompts:
            self._check_prompt(variant)

    def _check_names(self) -> None:
        check_names(self.dataset)
        for name in self.grid.parameters:
            if name in (*self.dataset.fields, *self.dataset.metadata):
                raise DatasetError(
                    f"{self.dataset.name}: {name!r} is a parameter of the grid, so no "
                    "input can have this name; rename the input"
                )
            if name in RESULT_COLUMNS or name == "expected":
                raise SpecError(
                    f"no parameter can be called {name!r}, a result column", at=(name,)
                )

    def _check_prompt(self, variant: EffectiveVariant) -> None:
        label = variant.declared.labels["prompt"]
        prompt, fields = variant.prompt, self.dataset.fields
        required_of = cache(prompt.required)
        for case in self.dataset:
            required = required_of(tuple(case.inputs))
            missing = [f for f in required if case.inputs.get(f) is None]
            if missing:
                have = ", ".join(map(shown, fields)) or "none"
                empty = all(field in case.inputs for field in missing)
                lacks = "has no value for" if empty else "does not have"
                if all(field in self.dataset.metadata for field in missing):
                    lacks = "has as metadata, which no prompt sees"
                raise SpecError(
                    f"prompt {label!r} needs {[*map(shown, missing)]}, which case "
                    f"{case.id!r} of {self.dataset.name!r} {lacks}; its fields are "
                    f"{have}{_meant(missing, fields)}",
                    at=("prompt", str(label)),
                )

    def _check_braces(self) -> None:
        """Refuses a field in single braces, as Python's f-strings have them, where a
        prompt uses it in no other way."""
        fields = self.dataset.fields
        for variant in self._prompts:
            prompt, label = variant.prompt, variant.declared.labels["prompt"]
            used = prompt.fields_among(fields)
            for name, line in prompt.lone_names.items():
                if name in fields and name not in used:
                    raise SpecError(
                        f"prompt {label!r}, template, line {line}: {{{name}}} is sent "
                        f"as it is; for the field, write {hole(name)}; for these "
                        f"braces, {{% raw %}}{{{name}}}{{% endraw %}}",
                        at=("prompt", str(label)),
                    )

    @property
    def _prompts(self) -> list[EffectiveVariant]:
        """A variant for each prompt that is sent."""
        prompts = {id(q.prompt): q for q in reversed(self.effective_variants)}
        return list(reversed(prompts.values()))

    def _odd_parameters(self) -> Iterator[str]:
        for name in unknown_parameters(self.grid):
            yield f"parameter {name!r} is not one we know; it is sent as it is"

    def _odd_prompts(self) -> Iterator[str]:
        fields = self.dataset.fields
        for variant in self._prompts:
            prompt, about = (
                variant.prompt,
                f"prompt {variant.declared.labels['prompt']!r}",
            )
            for note in prompt.notes(fields):
                yield f"{about}: {note}"
            used = prompt.fields_among(fields)
            for name in used:
                if name not in fields:  # it guards it, or it would have been refused
                    yield (
                        f"{about} may use {shown(name)!r}, which no case of "
                        f"{self.dataset.name} has{_meant([name], fields)}"
                    )
            for name in prompt.lone_names:
                if name in fields and name in used:
                    yield f"{about}: {{{name}}} is sent as it is, unlike {hole(name)}"
            for name in prompt.printed(fields):
                lists = (
                    c.id for c in self.dataset if isinstance(c.inputs.get(name), list)
                )
                if (case := next(lists, None)) is not None:
                    yield (
                        f"{about} sends the list {name!r} of case {case!r} as JSON; to "
                        "ask once for each of its values, as promptfoo would, give "
                        f"each a case of its own; else write | join(', ') or | tojson"
                    )

    def _dropped(self) -> Iterator[str]:
        told: dict[tuple[str, str], tuple[str, int]] = {}
        for group in self._groups:
            for name, reason in group[0].dropped.items():
                _, merged = told.get((group[0].model, name), (reason, 0))
                told[group[0].model, name] = (reason, merged + len(group) - 1)
        for (model, name), (reason, merged) in told.items():
            yield f"{name} is not sent to {model}: {reason}" + (
                f"; {counted(merged, 'variant')} became the same as another and "
                f"{'is' if merged == 1 else 'are'} asked once"
                if merged
                else ""
            )

    def _unused(self) -> Iterator[str]:
        used = {
            field
            for variant in self.effective_variants
            for field in variant.prompt.fields_among(self.dataset.fields)
        }
        unused = [field for field in self.dataset.fields if field not in used]
        if unused:
            names = ", ".join(map(repr, unused))
            yield f"no prompt uses {names} of {self.dataset.name}"


class Trials(Sequence[Trial]):
    """The trials of an experiment, in order, each made when it is looked at."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __len__(self) -> int:
        return len(self._experiment)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        index = range(len(self))[index]
        rest, repeat = divmod(index, self._experiment.repeats)
        case, variant = divmod(rest, len(self._experiment.effective_variants))
        return Trial(
            index,
            self._experiment.effective_variants[variant],
            self._experiment.dataset[case],
            repeat,
        )


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
        experiment: Experiment,
        route: Callable[[str], str],
        names: WireNames | None = None,
    ) -> None:
        self._experiment = experiment
        self._route = route
        self.names = dict(names or {})
        """What servers want `max_tokens` to be called, as far as they said."""
        self._bases = self._rendered_bases()
        self._most_output = [
            most_output(q.parameters) for q in experiment.effective_variants
        ]
        prompts = {id(q.prompt): q for q in reversed(experiment.effective_variants)}
        self._asking = list(prompts.values())  # a variant for each prompt
        places = {prompt: place for place, prompt in enumerate(prompts)}
        self._prompt_of = [places[id(q.prompt)] for q in experiment.effective_variants]
        # Neighbouring trials share their case and prompts: most are rendered once.
        self._turns = lru_cache(maxsize=512)(self._rendered)

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
        self._bases = self._rendered_bases()

    def _rendered_bases(self) -> list[tuple[str, dict[str, Any]]]:
        variants = self._experiment.effective_variants
        return [wire_base(q, self._route, self.names) for q in variants]

    def is_quick(self, index: int) -> bool:
        """Whether a trial's prompt takes no longer to render than it is long."""
        return self._asking[self._prompt_of[self._place(index)[1]]].prompt.is_quick

    def request(
        self, index: int, replies: Sequence[Mapping[str, Any]] = ()
    ) -> Request | None:
        """A trial's call after `replies`, the assistant's messages; None when the
        conversation is over."""
        case, variant, repeat = self._place(index)
        turns = self._turns(self._prompt_of[variant], case)
        if len(replies) >= len(turns):
            return None
        base_url, base = self._bases[variant]
        body = {**base, "messages": conversation(turns, replies)}
        key = request_key(base_url, body, repeat)
        most = self._most_output[variant]
        return Request.of_canonical(base_url, body, repeat, key, most)

    def first_requests(self) -> Iterator[FirstRequest]:
        """The first call of every trial, in order.

        Each prompt is rendered once for a case, whatever else varies, and nothing
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
        return _rendered(self._asking[prompt], self._experiment.dataset[case])


def _rendered(variant: EffectiveVariant, case: Case) -> tuple[Turn, ...]:
    """The messages of a case; an error names the prompt and the case."""
    try:
        return variant.prompt.turns(case.inputs)
    except SpecError as error:
        label = variant.declared.labels["prompt"]
        raise SpecError(
            f"prompt {label!r}, case {case.id!r}: {error}", at=("prompt", str(label))
        ) from error


def conversation_id(key: str, turns: Sequence[Turn]) -> str:
    """What identifies a conversation: its first key, and all that is said after."""
    return hashlib.sha256(key.encode() + orjson.dumps(turns)).hexdigest()


WireNames = Mapping[tuple[str, str], str]
"""By base URL and model, what the server wants `max_tokens` to be called."""


def wire_base(
    variant: EffectiveVariant, route: Callable[[str], str], names: WireNames
) -> tuple[str, dict[str, Any]]:
    """Where a variant is sent, and what of its body is the same for all cases."""
    base_url = variant.base_url or route(variant.model)
    body: dict[str, Any] = {"model": variant.model}
    for name, value in variant.parameters.items():
        wire = wire_name(name, base_url, variant.rules, variant.model)
        if name == OLD_NAME and not isinstance(variant.rules.get(name), str):
            wire = names.get((base_url, variant.model), wire)
        if wire in body:
            raise SpecError(
                f"{name} is sent to {variant.model} as {wire!r}, which is given too"
            )
        body[wire] = value
    return base_url, body


def _effective(
    variant: Variant,
    prompts: dict[tuple[Prompt, str | None], Prompt],
    own: Capabilities | None,
) -> EffectiveVariant:
    prompt, system = variant["prompt"], variant.get("system")
    if system is not None and prompt.has_system:
        raise SpecError(
            f"prompt {variant.labels['prompt']!r} has a system message of its own, so "
            f"system {variant.labels['system']!r} would be a second; exclude the pair",
            at=("prompt", str(variant.labels["prompt"])),
        )
    if (prompt, system) not in prompts:
        prompts[prompt, system] = prompt.with_system(system)
    parameters = {n: variant[n] for n in variant.levels if n not in NOT_SENT}
    rules = (own or {}).get(variant["model"], {})
    supported = supported_parameters(variant["model"], parameters, rules)
    return EffectiveVariant(
        variant,
        prompts[prompt, system],
        variant["model"],
        variant.get("base_url"),
        supported.sent,
        supported.dropped,
        rules,
    )


def _meant(missing: Iterable[str], fields: Sequence[str]) -> str:
    """The field that one of those that are missing is close to, as it is written."""
    for name in missing:
        if close := difflib.get_close_matches(name, fields, n=1, cutoff=0.6):
            return f"; did you mean {hole(close[0])}?"
    return ""


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((name, _hashable(item)) for name, item in value.items())
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    return (type(value).__name__, value) if isinstance(value, bool) else value


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"name: expected a string, got {name!r}", at=("name",))
    if len(name) > 100 or not name.isprintable():
        raise SpecError(
            "an experiment's name is one line of at most 100 characters", at=("name",)
        )
    return name


def _checked_repeats(repeats: object) -> int:
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise SpecError(f"repeats: expected an integer >= 1, got {repeats!r}")
    return repeats


def _grid(grid: Grid | Mapping[str, Any]) -> Grid:
    if isinstance(grid, Mapping):
        return Grid(**grid)
    if not isinstance(grid, Grid):
        raise SpecError(
            f"grid: expected a Grid or a mapping, got {type(grid).__name__}"
        )
    return grid


def _dataset(dataset: Any) -> Dataset:
    if isinstance(dataset, Dataset):
        return dataset
    if isinstance(dataset, str) or hasattr(dataset, "__fspath__"):
        return Dataset.from_file(dataset)
    return Dataset(dataset)
