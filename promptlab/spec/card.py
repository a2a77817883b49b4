"""The card of an experiment: what a notebook shows for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from promptlab.errors import SpecError
from promptlab.render.markup import card, escaped, facts, folded, notes, quiet
from promptlab.spec.content import shown
from promptlab.spec.prompt import Prompt

if TYPE_CHECKING:
    from promptlab.spec.definition import Definition
    from promptlab.spec.grid import Level

LEVELS = 8
FIELDS = 20
"""Values of a parameter, and fields of the dataset, that are shown."""

MESSAGE = 1_500
"""Characters of a message of the example."""


def experiment_html(experiment: Definition) -> str:
    """Its size, parameters and their values, the dataset, notes, and the messages of
    its first trial."""
    return card(
        escaped(experiment.name),
        escaped(experiment.size),
        facts([*_parameters(experiment), _dataset(experiment)]),
        notes(escaped(warning, 400) for warning in experiment.warnings),
        _example(experiment),
    )


def _parameters(experiment: Definition) -> Iterator[tuple[str, str]]:
    for name in experiment.grid.parameters:
        levels = experiment.grid.used(name)
        shown = [_level(name, level) for level in levels[:LEVELS]]
        if len(levels) > LEVELS:
            shown.append(quiet(f"and {len(levels) - LEVELS:,} more"))
        # Of prompts and system messages the text is shown too: one takes a line.
        between = "<br>" if name in ("prompt", "system") else " · "
        count = quiet(f" ({len(levels)})") if len(levels) > 1 else ""
        yield escaped(name, 60) + count, between.join(shown)


def _level(name: str, level: Level) -> str:
    if level.value is None:
        return "<i>none</i>" if name == "system" else "<i>not sent</i>"
    label = escaped(_text(level.label), 60)
    if name not in ("prompt", "system"):
        return label
    return f"{label} {quiet(escaped(_told(level.value), 120))}"


def _told(value: Any) -> str:
    """A prompt or a system message in one line."""
    if isinstance(value, Prompt):
        asked = [m.text for m in value.messages if m.role == "user"]
        several = len(value.messages) > 1
        value = asked[-1] if asked else ""
        if several:
            value = f"(messages, the last:) {value}"
    return " ".join(str(value).split())


def _dataset(experiment: Definition) -> tuple[str, str]:
    dataset = experiment.dataset
    cases = "1 case" if len(dataset) == 1 else f"{len(dataset):,} cases"
    fields = [escaped(field, 60) for field in dataset.fields[:FIELDS]]
    if len(dataset.fields) > FIELDS:
        fields.append(f"and {len(dataset.fields) - FIELDS:,} more")
    if dataset.has_expected:
        fields.append("expected")
    return "dataset", (
        f"{escaped(dataset.name, 60)}: {cases}"
        + (quiet(f" with {', '.join(fields)}") if fields else "")
    )


def _example(experiment: Definition) -> str:
    """The messages of the first trial, as they will be sent."""
    trial = experiment.trials[0]
    variant = trial.variant
    try:
        turns = trial.turns
    except SpecError as error:
        return notes([f"the first trial cannot be made: {escaped(str(error), 400)}"])
    sent = {"model": variant.model, **variant.parameters}
    rows = [
        (
            quiet(message["role"]),
            escaped(shown(message["content"]), MESSAGE).replace("\n", "<br>"),
        )
        for message in itertools.chain(*turns)
    ]
    told = " · ".join(
        f"{escaped(name, 60)} {escaped(_text(value), 60)}"
        for name, value in sent.items()
    )
    return folded(
        f"the first of the {len(experiment):,} trials, as it is sent",
        facts([*rows, (quiet("with"), told)]),
    )


def _text(value: Any) -> str:
    """A label or a value: texts as they are, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
