"""Definitions: a grid crossed with a dataset, checked whole before the first call."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Self

from promptlab.errors import DatasetError, PromptlabWarning, SpecError, did_you_mean
from promptlab.formats import counted
from promptlab.spec.braces import hole, shown
from promptlab.spec.capabilities import Capabilities, check_capabilities
from promptlab.spec.content import FileReader, digest
from promptlab.spec.dataset import RESULT_COLUMNS, Dataset, check_names
from promptlab.spec.grid import Grid, Variant, unknown_parameters
from promptlab.spec.parameters import KNOWN
from promptlab.spec.prompt import Prompt
from promptlab.spec.stage import Source
from promptlab.spec.trial import EffectiveVariant, Trials, effective

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

P = ParamSpec("P")


def _arguments_checked(init: Callable[P, None]) -> Callable[P, None]:
    """A constructor that says what would do where arguments are missing or wrong."""
    signature = inspect.signature(init)

    @wraps(init)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise SpecError(_wrong_arguments(kwargs, str(error))) from None
        init(*args, **kwargs)

    return checked


def _wrong_arguments(given: Mapping[str, Any], reason: str) -> str:
    expected = "Experiment('a name', grid={...}, dataset=...)"
    names = [n for n in inspect.signature(Definition).parameters if n != "self"]
    for name in given:
        if name in names:
            continue
        if name in KNOWN:
            return f"{name} is a parameter of the grid: grid={{{name!r}: [...]}}"
        close = did_you_mean(name, names) or f"; expected {expected}"
        return f"Experiment has no argument {name!r}{close}"
    return f"expected {expected}: {reason}"


@dataclass(frozen=True, eq=False)
class Definition:
    """A grid × a dataset × repeats: what an experiment runs, as data.

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
    scorers: tuple[Any, ...] = ()
    """What gives each answer its scores."""
    capabilities: Capabilities | None = None
    """Own rules on what models take: model → parameter → True, False or wire name."""
    files: FileReader | None = None
    """Reads the files that prompts name; None if they are looked for on disk."""

    @_arguments_checked
    def __init__(
        self,
        name: str,
        *,
        grid: Grid | Mapping[str, Any],
        dataset: Dataset | pd.DataFrame | Iterable[Mapping[str, Any]] | str | Path,
        repeats: int = 1,
        scorers: Iterable[Any] = (),
        capabilities: Capabilities | None = None,
    ) -> None:
        self._fill(
            name,
            _grid(grid),
            _dataset(dataset),
            repeats,
            _listed(scorers),
            capabilities,
        )
        self._check_braces()
        for warning in self.warnings:
            warnings.warn(f"{name}: {warning}", PromptlabWarning, stacklevel=3)

    @cached_property
    def effective_variants(self) -> tuple[EffectiveVariant, ...]:
        """The variants as they are sent; those that became the same are one."""
        return tuple(group[0] for group in self._groups)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The parameters of the grid that fill a hole of a prompt, and are not sent."""
        names = unknown_parameters(self.grid)
        holes = {f for prompt in self._texts for f in prompt.fields_among(names)}
        return tuple(name for name in names if name in holes)

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
        return Trials(self.effective_variants, self.dataset, self.repeats)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about it, one line each."""
        return (
            *self._odd_parameters(),
            *self._dropped(),
            *dict.fromkeys(self._odd_prompts()),
            *self._unused(),
        )

    def only(self, /, **wanted: Any) -> Self:
        """The same with just these values of some parameters."""
        return self._with(grid=self.grid.only(**wanted))

    def with_grid(self, grid: Grid | Mapping[str, Any]) -> Self:
        """The same with another grid."""
        made = self._with(grid=_grid(grid))
        made._check_braces()
        return made

    def limit(self, cases: slice | int) -> Self:
        """The same with the first `cases` cases, or a slice of them."""
        part = slice(max(0, cases)) if isinstance(cases, int) else cases
        if not range(len(self.dataset))[part]:
            raise SpecError(
                f"no case is left: {self.dataset.name} has {len(self.dataset)}"
            )
        return self._with(dataset=self.dataset[part])

    def with_repeats(self, repeats: int) -> Self:
        """The same, each variant asked so often about each case."""
        return self._with(repeats=repeats)

    def with_inputs(self, /, **inputs: Any) -> Self:
        """The same with these inputs set in every case."""
        return self._with(dataset=self.dataset.with_inputs(**inputs))

    def with_scorers(self, scorers: Iterable[Any]) -> Self:
        """The same with other scorers."""
        return self._with(scorers=_listed(scorers))

    def scored(
        self,
        results: Any,
        scorers: Sequence[Any],
        options: Mapping[str, Any],
        engine: Any,
    ) -> Any:
        """Results of this with scores, as `Results.score` says; an `Experiment` makes
        them, since what scores them stands above a definition."""
        raise NotImplementedError

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
        if (source := self.dataset.source).stages:
            known = {"carried": list(source.carried), "case": source.case}
            plain["dataset"]["source"] = known
        if self.scorers:
            plain["scorers"] = [scorer.plain for scorer in self.scorers]
        if self.capabilities:
            plain["capabilities"] = {m: dict(r) for m, r in self.capabilities.items()}
        if digests := self._file_digests():
            plain["files"] = digests
        return plain

    def _file_digests(self) -> dict[str, str]:
        """What each file is known by that is read for a case, by its name."""
        named = {
            name: variant.prompt.files
            for variant in self._prompts
            if variant.prompt.names_files
            for case in self.dataset
            for name in variant.prompt.files_for(case.inputs)
        }
        return {name: digest(read(name)) for name, read in named.items()}

    @classmethod
    def from_plain(
        cls, plain: Mapping[str, Any], files: FileReader | None = None
    ) -> Self:
        """The experiment that `to_plain` wrote; `files` reads those that prompts name,
        where they are not to be looked for."""
        dataset = plain["dataset"]
        made = cls.__new__(cls)  # its warnings were told when it was made
        made._fill(
            plain["name"],
            Grid.from_plain(plain),
            Dataset(
                dataset["cases"],
                name=dataset["name"],
                metadata=dataset.get("metadata", ()),
                source=Source.from_plain(dataset.get("source", {})),
            ),
            plain["repeats"],
            (),
            plain.get("capabilities"),
            files,
        )
        return made

    def __len__(self) -> int:
        return len(self.effective_variants) * len(self.dataset) * self.repeats

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}: {self.size})"

    @property
    def size(self) -> str:
        """How large it is: `8 variants × 40 cases × 3 repeats = 960 trials`."""
        parts = [
            counted(len(self.effective_variants), "variant"),
            counted(len(self.dataset), "case"),
            counted(self.repeats, "repeat"),
        ]
        return f"{' × '.join(parts)} = {counted(len(self), 'trial')}"

    def _with(self, **changes: Any) -> Self:
        parts: dict[str, Any] = {
            "grid": self.grid,
            "dataset": self.dataset,
            "repeats": self.repeats,
            "scorers": self.scorers,
            "capabilities": self.capabilities,
            "files": self.files,
        }
        made = type(self).__new__(type(self))  # its warnings were told when it was made
        made._fill(self.name, **(parts | changes))
        return made

    def _fill(
        self,
        name: object,
        grid: Grid,
        dataset: Dataset,
        repeats: object,
        scorers: tuple[Any, ...],
        capabilities: Capabilities | None,
        files: FileReader | None = None,
    ) -> None:
        """Sets the parts, and checks them."""
        put = object.__setattr__
        put(self, "name", _checked_name(name))
        put(self, "grid", grid)
        put(self, "dataset", dataset)
        put(self, "repeats", _checked_repeats(repeats))
        put(self, "scorers", scorers)
        put(self, "capabilities", capabilities)
        put(self, "files", files)
        self._check()

    def _reading(self, prompt: Prompt) -> Prompt:
        """A prompt whose files are read as they are for this experiment."""
        if self.files is not None:
            return prompt.reading(self.files)
        return prompt.beside(self.dataset.folder)

    @cached_property
    def _groups(self) -> list[list[EffectiveVariant]]:
        groups: dict[Any, list[EffectiveVariant]] = {}
        prompts: dict[Hashable, Prompt] = {}
        for variant in self.grid:
            sent = effective(
                *(variant, self.variables, prompts, self.capabilities, self._reading),
                nested=self.grid.nested,
            )
            same = _hashable(sent.labels), _hashable(sent.parameters)
            groups.setdefault(same, []).append(sent)
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
            for name in missing:
                if name in self.grid.parameters:
                    self._refuse_hole(name, label)
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

    def _refuse_hole(self, name: str, label: object) -> None:
        """Raises `SpecError` for a hole that a parameter of the grid should fill and
        cannot."""
        if name in self.variables:
            raise SpecError(
                f"prompt {label!r} needs {shown(name)!r}, which the grid gives no "
                f"value in one of its variants; exclude that, or write "
                f"{{{{{name}|default('')}}}}",
                at=("prompt", str(label)),
            )
        raise SpecError(
            f"prompt {label!r} has the hole {hole(name)}, but {name!r} is a parameter "
            "of the request, which is sent and fills no hole; rename the hole",
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
    def _texts(self) -> list[Prompt]:
        """The prompts of the grid, and its system messages as prompts."""
        systems = self.grid.levels("system") if "system" in self.grid.parameters else ()
        prompts = [level.value for level in self.grid.levels("prompt")]
        return prompts + [Prompt("-").with_system(level.value) for level in systems]

    @property
    def _prompts(self) -> list[EffectiveVariant]:
        """A variant for each prompt that is sent."""
        prompts = {id(q.prompt): q for q in reversed(self.effective_variants)}
        return list(reversed(prompts.values()))

    def _odd_parameters(self) -> Iterator[str]:
        for name in unknown_parameters(self.grid):
            if name in self.variables:
                continue
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
                # The template guards it, or it would have been refused.
                if name not in (*fields, *self.variables):
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
                model = "" if name in self.variables else group[0].model
                _, merged = told.get((model, name), (reason, 0))
                told[model, name] = (reason, merged + len(group) - 1)
        for (model, name), (reason, merged) in told.items():
            said = f"{name} is not sent to {model}: {reason}"
            if not model:
                said = f"some prompts have no hole {hole(name)}"
            yield said + (
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
        used.update(self.dataset.source.carried)
        unused = [field for field in self.dataset.fields if field not in used]
        if unused:
            names = ", ".join(map(repr, unused))
            yield f"no prompt uses {names} of {self.dataset.name}"


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


def _listed(scorers: Any) -> tuple[Any, ...]:
    """The scorers; one by itself is a list of one."""
    if isinstance(scorers, (str, Mapping)) or not isinstance(scorers, Iterable):
        return (scorers,)
    return tuple(scorers)


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
