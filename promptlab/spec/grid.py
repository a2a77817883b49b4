"""Grids: the values of each parameter, crossed or zipped, into variants."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from typing import Any

import orjson

from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.spec.parameters import (
    FIRST,
    KNOWN,
    check_form,
    check_name,
    check_stop,
    read_value,
)
from promptlab.spec.prompt import Prompt
from promptlab.spec.request import canonical
from promptlab.spec.wordings import AS_WRITTEN, WORDING, Wordings


@dataclass(frozen=True)
class Level:
    """One value of a parameter, and what the table shows for it."""

    label: Any
    """A string, number, bool or None."""
    value: Any
    """What is sent: any JSON value; a `Prompt` for 'prompt'."""


@dataclass(frozen=True)
class Variant:
    """One point of the grid: a level of each parameter."""

    levels: Mapping[str, Level]

    def __getitem__(self, parameter: str) -> Any:
        return self.levels[parameter].value

    def get(self, parameter: str, default: Any = None) -> Any:
        """The value of a parameter; `default` where the grid does not have it."""
        level = self.levels.get(parameter)
        return default if level is None else level.value

    @property
    def labels(self) -> dict[str, Any]:
        """What the table shows, by parameter."""
        return {name: level.label for name, level in self.levels.items()}

    def __str__(self) -> str:
        return ", ".join(f"{name}={label!r}" for name, label in self.labels.items())


class Grid:
    """The values of each parameter, and the variants they make.

    Every parameter has a list of values. A mapping gives each value a name, which
    is what the table shows. All parameters are crossed, but those in one group of
    `zip`, which vary together. `exclude` leaves out the variants that match all
    entries of one of its mappings, by label or by value. A prompt may be `Wordings`:
    then the parameter `wording` says which of them.

    >>> grid = Grid(
    ...     model=["a", "b"],
    ...     prompt={"plain": "{{text}}", "kind": "Please: {{text}}"},
    ...     zip=[{"temperature": [0, 1], "max_tokens": [16, 256]}],
    ...     exclude=[{"model": "a", "temperature": 1}],
    ... )
    >>> len(grid)
    6

    Raises:
        SpecError: a parameter without a list, an empty list, a value twice, a value
            that cannot be sent, groups of unlike lengths, an exclusion that names
            what the grid does not have, or nothing left.
    """

    def __init__(
        self,
        /,
        *,
        zip: Sequence[Mapping[str, Any]] = (),
        exclude: Sequence[Mapping[str, Any]] = (),
        **parameters: Any,
    ) -> None:
        with _about("zip"):
            zipped = _mappings("zip", zip)
        for name, given in itertools.chain(
            parameters.items(), *(group.items() for group in zipped)
        ):
            with _about(name):
                check_form(name, given)
        with _about("stop"):
            check_stop(parameters.get("stop"))
        self._fill(parameters, zipped, exclude)

    def _fill(self, parameters: Mapping[str, Any], zip: Any, exclude: Any) -> None:
        given = [{name: _levels(name, of)} for name, of in parameters.items()]
        with _about("zip"):
            given += [_zipped(group) for group in _mappings("zip", zip)]
        self._given = _merged(given)
        self.nested = _nested(self._given)
        groups = [_spelt_out(group) for group in given] if self.nested else given
        self._levels = _merged(groups)
        with _about("exclude"):
            self.exclude = tuple(canonical(_mappings("exclude", exclude)))
            excluded = [_chosen(e, self._levels, "exclude") for e in self.exclude]
        self.variants = tuple(
            variant
            for variant in _crossed(groups)
            if not any(_matches(variant, chosen) for chosen in excluded)
        )
        if not self.variants:
            raise SpecError("exclude leaves no variant of the grid")
        self._zip = tuple(tuple(group) for group in given if len(group) > 1)
        self._only: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of_variants(
        cls,
        levels: Mapping[str, tuple[Level, ...]],
        variants: Iterable[Variant],
        nested: Iterable[str] = (),
    ) -> Grid:
        """A grid of just these variants, which are made of these levels, those of
        wordings `nested`; with nothing to check, as for answers that are there."""
        grid = cls.__new__(cls)
        grid._given = grid._levels = dict(levels)
        grid.nested = tuple(nested)
        grid.variants = tuple(variants)
        grid.exclude, grid._zip, grid._only = (), (), ()
        return grid

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in the order the table shows them."""
        names = list(self._levels)
        first = [name for name in FIRST if name in names]
        return (*first, *(name for name in names if name not in FIRST))

    def levels(self, parameter: str) -> tuple[Level, ...]:
        """The levels of one parameter, in the order given."""
        return self._levels[parameter]

    def used(self, parameter: str) -> tuple[Level, ...]:
        """Those of its levels that a variant has: all, but for what `exclude` and
        `only` leave out; of a prompt with wordings, the first of these."""
        used = {id(variant.levels[parameter]) for variant in self.variants}
        return _one_each(v for v in self._levels[parameter] if id(v) in used)

    def only(self, /, **wanted: Any) -> Grid:
        """The grid with just these labels or values of some parameters."""
        wanted = canonical(wanted)
        chosen = _chosen(wanted, self._levels, "only")
        kept = copy.copy(self)
        kept._only = (*self._only, wanted)
        kept.variants = tuple(v for v in self.variants if _matches(v, chosen))
        if not kept.variants:
            raise SpecError(f"only {wanted!r}: no variant of the grid is left")
        return kept

    def to_plain(self) -> dict[str, Any]:
        """The grid as a config file writes it: `grid`, and `zip`, `exclude`, `only`
        if any."""
        zipped = {name for group in self._zip for name in group}
        plain: dict[str, Any] = {
            "grid": {
                name: _plain_levels(name, levels)
                for name, levels in self._given.items()
                if name not in zipped
            }
        }
        if self._zip:
            plain["zip"] = [
                {name: _plain_levels(name, self._given[name]) for name in group}
                for group in self._zip
            ]
        if self.exclude:
            plain["exclude"] = [dict(entry) for entry in self.exclude]
        if self._only:
            plain["only"] = [dict(entry) for entry in self._only]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Grid:
        """The grid that `to_plain` wrote."""
        grid = cls.__new__(cls)
        grid._fill(plain["grid"], plain.get("zip", ()), plain.get("exclude", ()))
        for entry in plain.get("only", ()):
            grid = grid.only(**entry)
        return grid

    def __len__(self) -> int:
        return len(self.variants)

    def __iter__(self) -> Iterator[Variant]:
        return iter(self.variants)

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{name}: {len(_one_each(self._levels[name]))}" for name in self.parameters
        )
        return f"Grid({len(self)} variants; {sizes})"


def _signature() -> Signature:
    """The signature of a grid with the known parameters by name, for completion."""
    *own, others = signature(Grid.__init__).parameters.values()
    known = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            annotation=list | dict,
            default=Parameter.empty if name in ("model", "prompt") else None,
        )
        for name in KNOWN
    ]
    return Signature([own[0], *known, *own[1:], others])


Grid.__init__.__dict__["__signature__"] = _signature()


def unknown_parameters(grid: Grid) -> list[str]:
    """The parameters that neither OpenAI nor a server we know takes."""
    return [n for n in grid.parameters if n not in KNOWN and n not in grid.nested]


@contextmanager
def _about(*at: str) -> Iterator[None]:
    """Says what a `SpecError` inside is about, unless it says so itself."""
    try:
        yield
    except SpecError as error:
        error.at = error.at or at
        raise


def _levels(name: str, given: Any) -> tuple[Level, ...]:
    with _about(name):
        return _checked_levels(name, given)


def _checked_levels(name: str, given: Any) -> tuple[Level, ...]:
    check_name(name)
    if isinstance(given, Mapping):
        named = _named(name, given)
    elif isinstance(given, (str, Prompt, Wordings, bytes)) or not isinstance(
        given, Iterable
    ):
        raise SpecError(
            f"{name}: expected a list of values, got {brief(given)}; "
            f"write [{brief(given)}]"
        )
    else:
        named = [(None, value) for value in given]
    if not named:
        raise SpecError(f"{name}: the list of values is empty")
    levels = tuple(
        _level(name, label, value, number)
        for number, (label, value) in enumerate(named, start=1)
    )
    _check_distinct(name, levels)
    return levels


def _named(name: str, given: Mapping[Any, Any]) -> list[tuple[str | None, Any]]:
    for label in given:
        if not isinstance(label, str) or not label:
            raise SpecError(
                f"{name}: expected a string as a name, got {label!r}; quote it"
            )
    return list(given.items())


def _level(name: str, label: str | None, value: Any, number: int) -> Level:
    where = name if label is None else f"{name} {label!r}"
    try:
        read = read_value(name, value)
    except SpecError as error:
        at = (name,) if label is None else (name, label)
        raise SpecError(f"{where}: {error}", at=at) from error
    if label is not None:
        return Level(label, read)
    if isinstance(value, type):
        return Level(value.__name__, read)
    if name in ("prompt", "system") and value is not None:
        return Level(f"{name}_{number}", read)
    if isinstance(read, (dict, list)):
        return Level(orjson.dumps(read, option=orjson.OPT_SORT_KEYS).decode(), read)
    return Level(read, read)


def _check_distinct(name: str, levels: Sequence[Level]) -> None:
    labels: list[Any] = []
    seen: list[Any] = []
    for level in levels:
        key = (type(level.value) is bool, level.value)
        if key in seen:
            first, again = brief(labels[seen.index(key)]), brief(level.label)
            twice = f"{name} has {again} twice"
            same = f"{name}: {first} and {again} are the same; leave one of them out"
            raise SpecError(twice if first == again else same)
        labels.append(level.label)
        seen.append(key)


def _zipped(group: Mapping[str, Any]) -> dict[str, tuple[Level, ...]]:
    levels = {name: _together(name, given) for name, given in group.items()}
    lengths = {name: len(values) for name, values in levels.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise SpecError(f"zip: its parameters need equally many values; {found}")
    if len(levels) < 2:
        raise SpecError("zip: at least two parameters vary together")
    return levels


def _together(name: str, given: Any) -> tuple[Level, ...]:
    """As `_levels`, but a value may come again: it varies with the others."""
    if isinstance(given, Mapping) or not isinstance(given, (list, tuple)):
        return _levels(name, given)
    distinct: list[Level] = []
    levels = []
    for value in given:
        (level,) = _levels(name, [value])
        if name in ("prompt", "system") and value is not None:
            known = next((d for d in distinct if d.value == level.value), None)
            level = known or Level(f"{name}_{len(distinct) + 1}", level.value)
            if known is None:
                distinct.append(level)
        levels.append(level)
    if not levels:
        raise SpecError(f"{name}: the list of values is empty")
    return tuple(levels)


def _mappings(what: str, given: Any) -> list[Mapping[str, Any]]:
    entries = [given] if isinstance(given, Mapping) else given
    if isinstance(entries, (str, bytes)) or not isinstance(entries, Iterable):
        raise SpecError(f"{what}: expected a list of mappings, got {brief(given)}")
    entries = list(entries)
    for entry in entries:
        if not isinstance(entry, Mapping) or not entry:
            raise SpecError(
                f"{what}: expected a mapping of parameters, got {brief(entry)}"
            )
    return entries


def _merged(
    groups: Sequence[Mapping[str, tuple[Level, ...]]],
) -> dict[str, tuple[Level, ...]]:
    merged: dict[str, tuple[Level, ...]] = {}
    for group in groups:
        for name, levels in group.items():
            if name in merged:
                raise SpecError(f"zip: {name!r} is a parameter of the grid already")
            merged[name] = levels
    for needed in ("model", "prompt"):
        if needed not in merged:
            have = ", ".join(merged) or "no parameter"
            raise SpecError(f"a grid needs {needed!r}; this one has {have}")
    if "max_tokens" in merged and "max_completion_tokens" in merged:
        raise SpecError(
            "max_tokens and max_completion_tokens are one parameter under two names; "
            "keep max_tokens, which is sent under the name that the server wants"
        )
    return merged


def _nested(levels: Mapping[str, tuple[Level, ...]]) -> tuple[str, ...]:
    """`wording` where a prompt has several."""
    if not any(isinstance(level.value, Wordings) for level in levels["prompt"]):
        return ()
    if WORDING in levels:
        raise SpecError(
            f"{WORDING!r} is what the table calls the wordings of a prompt; give this "
            "parameter another name",
            at=(WORDING,),
        )
    return (WORDING,)


def _spelt_out(group: Mapping[str, tuple[Level, ...]]) -> dict[str, tuple[Level, ...]]:
    """A group of parameters with a row for each wording of its prompts."""
    if "prompt" not in group:
        return dict(group)
    made: dict[Any, Level] = {}
    rows = []
    for levels in zip(*group.values(), strict=True):
        row = dict(zip(group, levels, strict=True))
        prompt = row["prompt"]
        for name, value in _wordings(prompt):
            level = made.setdefault((prompt.label, name), Level(prompt.label, value))
            wording = made.setdefault(name, Level(name, name))
            rows.append({**row, "prompt": level, WORDING: wording})
    return {name: tuple(row[name] for row in rows) for name in rows[0]}


def _wordings(level: Level) -> Iterable[tuple[str, Prompt]]:
    if isinstance(level.value, Wordings):
        return level.value.prompts.items()
    return [(AS_WRITTEN, level.value)]


def _one_each(levels: Iterable[Level]) -> tuple[Level, ...]:
    """The first of the levels of each label."""
    found: dict[Any, Level] = {}
    for level in levels:
        found.setdefault((type(level.label), level.label), level)
    return tuple(found.values())


def _crossed(groups: Sequence[Mapping[str, tuple[Level, ...]]]) -> Iterator[Variant]:
    rows = [
        [
            dict(zip(group, together, strict=True))
            for together in zip(*group.values(), strict=True)
        ]
        for group in groups
    ]
    for choice in itertools.product(*rows):
        yield Variant({name: level for row in choice for name, level in row.items()})


def _chosen(
    entry: Mapping[str, Any], levels: Mapping[str, tuple[Level, ...]], what: str
) -> dict[str, list[Level]]:
    """The levels that an entry of `exclude` or `only` names, by parameter."""
    chosen = {}
    for name, value in entry.items():
        if name not in levels:
            raise SpecError(
                f"{what}: no parameter {name!r} in the grid"
                + did_you_mean(name, levels)
            )
        chosen[name] = _named_by(value, levels[name])
        if isinstance(value, list) and not chosen[name]:
            found = [_named_by(wanted, levels[name]) for wanted in value]
            chosen[name] = [] if [] in found else list(itertools.chain(*found))
        if not chosen[name]:
            known = ", ".join(brief(level.label) for level in levels[name])
            raise SpecError(f"{what}: {name} has no value {value!r}; it has {known}")
    return chosen


def _named_by(wanted: Any, levels: Sequence[Level]) -> list[Level]:
    """The levels of that label; where no label is so, those of that value."""
    by_label = [level for level in levels if _same(level.label, wanted)]
    return by_label or [level for level in levels if _same(level.value, wanted)]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return not isinstance(one, (Prompt, Wordings)) and bool(one == other)


def _matches(variant: Variant, chosen: Mapping[str, Sequence[Level]]) -> bool:
    return all(
        any(variant.levels[name] is level for level in levels)
        for name, levels in chosen.items()
    )


def _plain_levels(name: str, levels: Sequence[Level]) -> Any:
    values = [_plain(level.value) for level in levels]
    labels = [level.label for level in levels]
    texts = all(isinstance(label, str) and label for label in labels)
    named = texts and len(set(labels)) == len(labels)
    if named and (name in ("prompt", "system") or labels != values):
        return dict(zip(labels, values, strict=True))
    return values


def _plain(value: Any) -> Any:
    return value.to_plain() if isinstance(value, (Prompt, Wordings)) else value
