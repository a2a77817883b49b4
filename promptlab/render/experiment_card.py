"""The card of an experiment: its parameters, dataset, warnings, and first messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from promptlab.formats import counted
from promptlab.render.markup import card, escaped, facts, folded, notes, quiet

LEVELS = 8
FIELDS = 20
"""Values of a parameter, and fields of the dataset, that are shown."""

MESSAGE = 1_500
"""Characters of a message that are shown."""

Levels = Sequence[tuple[str | None, str]]
"""The values of a parameter: the label, None if it is not sent, and the text of a
prompt or a system message."""


def experiment_card(
    name: str,
    size: str,
    *,
    parameters: Mapping[str, Levels],
    dataset: str,
    fields: Sequence[str],
    warnings: Iterable[str],
    trials: int,
    messages: Iterable[tuple[str, str]],
    sent: Mapping[str, str],
    problem: str,
) -> str:
    """The card.

    Args:
        dataset: its name, and how many cases it has.
        fields: the columns that prompts and scorers see.
        messages: role and text of each message of the first trial.
        sent: the parameters that go with them.
        problem: why the first trial cannot be made; empty if it can.
    """
    shown = [escaped(field, 60) for field in fields[:FIELDS]]
    if len(fields) > FIELDS:
        shown.append(f"and {len(fields) - FIELDS:,} more")
    about = quiet(f" with {', '.join(shown)}") if shown else ""
    rows = [_parameter(*parameter) for parameter in parameters.items()]
    rows.append(("dataset", escaped(dataset) + about))
    if problem:
        example = notes([f"the first trial cannot be made: {escaped(problem, 400)}"])
    else:
        example = folded(
            f"the first of the {counted(trials, 'trial')}, as it is sent",
            _messages(messages, sent),
        )
    return card(
        escaped(name),
        escaped(size),
        facts(rows),
        notes(escaped(warning, 400) for warning in warnings),
        example,
    )


def _parameter(name: str, levels: Levels) -> tuple[str, str]:
    shown = [_level(name, *level) for level in levels[:LEVELS]]
    if len(levels) > LEVELS:
        shown.append(quiet(f"and {len(levels) - LEVELS:,} more"))
    # A prompt or a system message has its text beside it, and takes a line.
    between = "<br>" if any(text for _, text in levels) else " · "
    count = quiet(f" ({len(levels)})") if len(levels) > 1 else ""
    return escaped(name, 60) + count, between.join(shown)


def _level(name: str, label: str | None, text: str) -> str:
    if label is None:
        return "<i>none</i>" if name == "system" else "<i>not sent</i>"
    return escaped(label, 60) + (f" {quiet(escaped(text, 120))}" if text else "")


def _messages(messages: Iterable[tuple[str, str]], sent: Mapping[str, str]) -> str:
    rows = [
        (quiet(role), escaped(text, MESSAGE).replace("\n", "<br>"))
        for role, text in messages
    ]
    given = " · ".join(f"{escaped(n, 60)} {escaped(v, 60)}" for n, v in sent.items())
    return facts([*rows, (quiet("with"), given)])
