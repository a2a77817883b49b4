"""Selections: the part of an experiment to run, and its edited texts."""

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
    """A text that can be edited: a message of a prompt, or a system message."""

    parameter: str
    """`prompt` or `system`."""
    label: str
    """The label of the value that the text belongs to."""
    message: int
    """The index of the message in its prompt; 0 for a system message."""
    content: str = field(compare=False)
    role: str = field(default="", compare=False)
    """The role of the message, where the prompt has several."""

    @property
    def name(self) -> str:
        """The name of the text in a list."""
        which = f", message {self.message + 1} ({self.role})" if self.role else ""
        return f"{self.parameter} {shortened(self.label, LONGEST_NAME)}{which}"


@dataclass(frozen=True, eq=False)
class Selection:
    """The values, cases and repeats that are chosen of an experiment, and edits."""

    source: Experiment
    """The experiment to choose from."""
    values: Mapping[str, tuple[int, ...]]
    """The indices of the chosen values of each parameter."""
    cases: int
    """How many cases are chosen, from the first."""
    repeats: int
    edits: Mapping[Text, str] = field(default_factory=dict)
    """The new content of edited texts."""

    @classmethod
    def all_of(cls, experiment: Experiment) -> Selection:
        """All of an experiment, unedited."""
        values = {
            name: tuple(range(len(levels_of(experiment, name))))
            for name in experiment.grid.parameters
        }
        return cls(experiment, values, len(experiment.dataset), experiment.repeats)

    @cached_property
    def experiment(self) -> Experiment:
        """What is chosen, as an experiment of its own.

        Raises:
            SpecError: no value of a parameter is chosen, or a text is not valid.
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
        """The same with a text edited; its own content removes the edit."""
        edits = {t: c for t, c in self.edits.items() if t != text}
        if content != text.content:
            edits[text] = content
        return replace(self, edits=edits)

    def content(self, text: Text) -> str:
        """The content of a text after edits."""
        return self.edits.get(text, text.content)

    def can_add(self, text: Text) -> bool:
        """Whether a value can be added beside a text's: not in a `zip` group."""
        return text.parameter in self.source.grid.to_plain()["grid"]

    def with_added(self, text: Text) -> Selection:
        """The same with the edits of a value as a new value beside the unedited one.

        Raises:
            SpecError: the new value is not valid, or there is one like it.
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
                old = entry[name]
                entry[name] = [*(old if isinstance(old, list) else [old]), new]
        added = replace(
            self,
            source=self.source.with_grid(Grid.from_plain(plain)),
            edits={t: c for t, c in self.edits.items() if t not in own},
            values={**self.values, name: (*self.values[name], len(levels))},
        )
        _ = added.experiment
        return added

    def _wanted(self) -> Iterator[tuple[str, list[Any]]]:
        """The chosen labels of each parameter of which not all are chosen."""
        for name, indices in self.values.items():
            levels = levels_of(self.source, name)
            if not indices:
                raise SpecError(f"choose at least one {name}", at=("values", name))
            if len(indices) < len(levels):
                yield name, [levels[index].label for index in indices]


def levels_of(experiment: Experiment, parameter: str) -> tuple[Level, ...]:
    """The values of a parameter in an experiment, each label once."""
    levels: dict[str, Level] = {}
    for level in experiment.grid.used(parameter):
        levels.setdefault(repr(level.label), level)
    return tuple(levels.values())


def level_name(parameter: str, level: Level) -> str:
    """The name of a value where it is chosen."""
    if parameter == "system" and level.value is None and level.label in (None, ""):
        return "none"
    return label(level.label)


def texts_of(experiment: Experiment) -> list[Text]:
    """The texts of an experiment that can be edited."""
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
    for index, message in enumerate(messages):
        role = message.role if len(messages) > 1 else ""
        if isinstance(message.content, str):
            yield Text(name, str(level.label), index, message.content, role)


def _edited(grid: Grid, edits: Mapping[Text, str]) -> Grid:
    """The grid with edited texts under the same labels."""
    plain = copy.deepcopy(grid.to_plain())
    for group in (plain["grid"], *plain.get("zip", ())):
        for name in {text.parameter for text in edits} & set(group):
            levels = {level.label: level for level in reversed(grid.levels(name))}
            for text in edits:
                if text.parameter == name:
                    own = {t: c for t, c in edits.items() if _same_value(t, text)}
                    level = levels[text.label]
                    group[name] = _replaced(group[name], level, _with_edits(level, own))
    return Grid.from_plain(plain)


def _replaced(values: Any, level: Level, new: Any) -> Any:
    """Values, named or in a list, with another in place of a level's."""
    if isinstance(values, dict):
        return {**values, level.label: new}
    old = level.value.to_plain() if isinstance(level.value, Prompt) else level.value
    return [new if value == old else value for value in values]


def _with_edits(level: Level, edits: Mapping[Text, str]) -> Any:
    """The value of a level after edits of its texts, as a grid takes it."""
    by_index = {text.message: content for text, content in edits.items()}
    if not isinstance(level.value, Prompt):
        return by_index.get(0, level.value)
    messages = level.value.messages
    contents = [by_index.get(n, message.content) for n, message in enumerate(messages)]
    if isinstance(level.value.to_plain(), str):
        return contents[0]
    return [
        {**message.to_plain(), "content": content}
        for message, content in zip(messages, contents, strict=True)
    ]


def _same_value(one: Text, other: Text) -> bool:
    return (one.parameter, one.label) == (other.parameter, other.label)


def _free_label(name: str, taken: Sequence[Any]) -> str:
    number = 2
    while (free := f"{name} {number}") in taken:
        number += 1
    return free
