"""Choices: which part of an experiment is wanted, and with which texts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from promptlab.errors import SpecError
from promptlab.experiment import Experiment
from promptlab.formats import label, shortened
from promptlab.spec.grid import Grid, Level
from promptlab.spec.prompt import Message, Prompt

LONGEST_NAME = 40


@dataclass(frozen=True)
class Text:
    """A text that can be changed: a message of a prompt, or a system message."""

    parameter: str
    """`prompt` or `system`."""
    label: str
    """Of the value that it belongs to."""
    message: int
    """Its place among the messages of a prompt; 0 for a system message."""
    content: str = field(compare=False)
    role: str = field(default="", compare=False)
    """Of a message, where the prompt has several."""

    @property
    def name(self) -> str:
        """What it is called in a list."""
        which = f", message {self.message + 1} ({self.role})" if self.role else ""
        return f"{self.parameter} {shortened(self.label, LONGEST_NAME)}{which}"


@dataclass(frozen=True, eq=False)
class Selection:
    """What is chosen of an experiment."""

    source: Experiment
    """What there is to choose from."""
    values: Mapping[str, tuple[int, ...]]
    """By parameter, the places of the chosen values among those that it has."""
    cases: int
    """How many, from the first."""
    repeats: int
    edits: Mapping[Text, str] = field(default_factory=dict)
    """The new content of texts."""

    @classmethod
    def all_of(cls, experiment: Experiment) -> Selection:
        """Everything, as it is."""
        values = {
            name: tuple(range(len(levels_of(experiment, name))))
            for name in experiment.grid.parameters
        }
        return cls(experiment, values, len(experiment.dataset), experiment.repeats)

    @cached_property
    def experiment(self) -> Experiment:
        """What is chosen, as an experiment of its own.

        Raises:
            SpecError: nothing is left of a parameter, or a text cannot be so.
        """
        wanted = dict(self._wanted())
        chosen = self.source
        if self.edits:
            chosen = chosen.with_grid(_edited(chosen.grid, self.edits))
        if wanted:
            chosen = chosen.only(**wanted)
        if self.cases < len(chosen.dataset):
            chosen = chosen.limit(self.cases)
        if self.repeats != chosen.repeats:
            chosen = chosen.with_repeats(self.repeats)
        return chosen

    def edited(self, text: Text, content: str) -> Selection:
        """The same with another content of a text; its own content is no edit."""
        edits = {t: c for t, c in self.edits.items() if t != text}
        if content != text.content:
            edits[text] = content
        return replace(self, edits=edits)

    def content(self, text: Text) -> str:
        """What a text is now."""
        return self.edits.get(text, text.content)

    def can_add(self, text: Text) -> bool:
        """Whether its value can have another beside it: not in a group that varies
        together."""
        return text.parameter in self.source.grid.to_plain()["grid"]

    def with_added(self, text: Text) -> Selection:
        """The edits of a value as a further value beside it, which is as it was.

        Raises:
            SpecError: the new value cannot be so, or there is one like it.
        """
        own = {t: c for t, c in self.edits.items() if _same_value(t, text)}
        name, grid = text.parameter, self.source.grid
        levels = levels_of(self.source, name)
        value = _with_edits(next(x for x in levels if x.label == text.label), own)
        plain = grid.to_plain()
        new = _free_label(text.label, [level.label for level in grid.levels(name)])
        plain["grid"][name] = {**plain["grid"][name], new: value}
        for entry in plain.get("only", ()):
            if name in entry:
                there = entry[name]
                entry[name] = [*(there if isinstance(there, list) else [there]), new]
        added = replace(
            self,
            source=self.source.with_grid(_grid(plain)),
            edits={t: c for t, c in self.edits.items() if t not in own},
            values={**self.values, name: (*self.values[name], len(levels))},
        )
        _ = added.experiment
        return added

    def _wanted(self) -> Iterator[tuple[str, list[Any]]]:
        """The labels that are chosen, of parameters that are not chosen whole."""
        for name, places in self.values.items():
            levels = levels_of(self.source, name)
            if not places:
                raise SpecError(f"choose at least one {name}", at=("values", name))
            if len(places) < len(levels):
                yield name, [levels[place].label for place in places]


def levels_of(experiment: Experiment, parameter: str) -> tuple[Level, ...]:
    """The values that an experiment has of a parameter, each label once."""
    levels: dict[str, Level] = {}
    for level in experiment.grid.used(parameter):
        levels.setdefault(repr(level.label), level)
    return tuple(levels.values())


def level_name(parameter: str, level: Level) -> str:
    """What a value is called where it can be chosen."""
    if parameter == "system" and level.value is None and level.label in (None, ""):
        return "none"
    return label(level.label)


def texts_of(experiment: Experiment) -> list[Text]:
    """The texts of an experiment that can be changed."""
    return [
        text
        for name in ("prompt", "system")
        if name in experiment.grid.parameters
        for level in levels_of(experiment, name)
        if level.value is not None
        for text in _texts(name, level)
    ]


def _texts(name: str, level: Level) -> Iterator[Text]:
    messages: Sequence[Message] = (
        level.value.messages
        if isinstance(level.value, Prompt)
        else (Message("system", level.value),)
    )
    for place, message in enumerate(messages):
        role = message.role if len(messages) > 1 else ""
        yield Text(name, str(level.label), place, message.content, role)


def _edited(grid: Grid, edits: Mapping[Text, str]) -> Grid:
    """The grid with other texts under the same labels."""
    plain = copy.deepcopy(grid.to_plain())
    for group in (plain["grid"], *plain.get("zip", ())):
        for name in {text.parameter for text in edits} & set(group):
            levels = {level.label: level for level in grid.levels(name)}
            for text in edits:
                if text.parameter == name:
                    own = {t: c for t, c in edits.items() if _same_value(t, text)}
                    level = levels[text.label]
                    group[name] = _replaced(group[name], level, _with_edits(level, own))
    return _grid(plain)


def _replaced(values: Any, level: Level, new: Any) -> Any:
    """Values, named or in a list, with another in place of a level's."""
    if isinstance(values, dict):
        return {**values, level.label: new}
    old = level.value.to_plain() if isinstance(level.value, Prompt) else level.value
    return [new if value == old else value for value in values]


def _with_edits(level: Level, edits: Mapping[Text, str]) -> Any:
    """The value of a level after edits of its texts, as it stands in a grid."""
    by_place = {text.message: content for text, content in edits.items()}
    if not isinstance(level.value, Prompt):
        return by_place.get(0, level.value)
    contents = [by_place.get(n, m.content) for n, m in enumerate(level.value.messages)]
    if len(contents) == 1:
        return contents[0]
    return [
        {"role": message.role, "content": content}
        for message, content in zip(level.value.messages, contents, strict=True)
    ]


def _same_value(one: Text, other: Text) -> bool:
    return (one.parameter, one.label) == (other.parameter, other.label)


def _grid(plain: Mapping[str, Any]) -> Grid:
    grid = Grid(
        **plain["grid"], zip=plain.get("zip", ()), exclude=plain.get("exclude", ())
    )
    for entry in plain.get("only", ()):
        grid = grid.only(**entry)
    return grid


def _free_label(name: str, taken: Sequence[Any]) -> str:
    number = 2
    while (free := f"{name} {number}") in taken:
        number += 1
    return free
