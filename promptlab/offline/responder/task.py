"""The task: what a request asks for, put together from its messages."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from promptlab.offline.responder.choices import MAX_OPTIONS, Option, item, mentioned
from promptlab.offline.responder.keywords import MATERIAL_FIELDS
from promptlab.offline.responder.parsing import (
    MAX_SENTENCE,
    Reading,
    read_message,
    sentences,
)
from promptlab.offline.responder.stemming import stems

MAX_MESSAGES = 64
"""Messages it reads: the first few, and the last."""
MAX_INSTRUCTIONS = 4000
"""Characters of instructions it looks for wishes in."""

_SELECTION = re.compile(
    r"\b(?:which|choose|pick|select|classif|categor|label|route|routing|assign|one of|"
    r"best|recommend|suggest|match|decide|rank|triage)",
    re.IGNORECASE,
)
_ROLE_WEIGHTS = {"user": 0.9, "assistant": 0.6}
_PRONOUN = re.compile(
    r"\b(?:it|that|this|they|them|those|these|he|she|one|there|its|their|his|her|"
    r"and|also|else|what about|how about|same)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Passage:
    """A sentence of the material, and how much it counts by where it stands."""

    text: str
    weight: float


@dataclass(frozen=True)
class Example:
    """A solved case shown in the request."""

    text: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a request asks for."""

    instructions: str
    """Every sentence that says what to do, the system's first."""
    system: str
    """The instructions of system messages alone."""
    question: str
    """What is asked last."""
    earlier: str
    """The question before it, when this one leans on it."""
    reply: str
    """What was answered to that question."""
    remarks: str
    """What the last user message says beside its question."""
    subject: tuple[str, ...]
    """Sentences of the last user message that are not instructions."""
    passages: tuple[Passage, ...]
    """All material, oldest first: context, earlier messages, subject."""
    options: tuple[Option, ...]
    """What to choose from; empty when the answer is free."""
    examples: tuple[Example, ...]
    fields: Mapping[str, str]
    """The last user message's `Name: text` parts by lower-case name."""


def read_task(messages: Sequence[Mapping[str, Any]]) -> Task:
    """The task in the messages of a chat request."""
    said = [(message["role"], text_of(message)) for message in _near(messages)]
    turns, last = _results_first(said, _last_user(said))
    readings = [(role, read_message(text, role)) for role, text in turns]
    asked = readings[last][1]
    system = [r for role, r in readings if role in ("system", "developer")]
    pairs = [
        (before, answered)
        for at, ((role, before), (reply, answered)) in enumerate(pairwise(readings))
        if role == "user" and reply == "assistant" and at < last
    ]
    rules = [sentence for reading in system for sentence in reading.instructions]
    instructions = "\n".join([*rules, *asked.instructions, *asked.questions])
    earlier_asked = [before for before, _ in pairs]
    options = _options([*system, asked, *earlier_asked], asked, instructions)
    options = options or _repeated(asked)
    examples, shown = _examples(pairs, [*system, asked], options)
    context = _has_context(readings, last)
    question = _question(asked)
    earlier, reply = _earlier(turns, last, question)
    return Task(
        instructions=instructions[:MAX_INSTRUCTIONS],
        system="\n".join(rules)[:MAX_INSTRUCTIONS],
        question=question,
        earlier=earlier,
        reply=reply,
        remarks=" ".join(asked.sentences) if context else "",
        subject=tuple(_subject(asked, options, shown)),
        passages=tuple(_passages(readings, last, options, shown, context=context)),
        options=options or _replies(examples),
        examples=examples,
        fields={name: " ".join(text) for name, text in asked.fields},
    )


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message; its images and sounds have none."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _near(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    if len(messages) <= MAX_MESSAGES:
        yield from messages
    else:
        yield from messages[:4]
        yield from messages[4 - MAX_MESSAGES :]


def _last_user(turns: Sequence[tuple[str, str]]) -> int:
    """Where the last user message stands, or the last of all if there is none."""
    asked = [at for at, (role, _) in enumerate(turns) if role == "user"]
    return asked[-1] if asked else len(turns) - 1


def _results_first(
    turns: Sequence[tuple[str, str]], last: int
) -> tuple[Sequence[tuple[str, str]], int]:
    """The turns with the results of tools that came since the last user message before
    it, as they are material to answer it from; and where that message stands then."""
    results = [turn for turn in turns[last + 1 :] if turn[0] == "tool"]
    return [*turns[:last], *results, *turns[last:]], last + len(results)


def _options(
    readings: Sequence[Reading], asked: Reading, instructions: str
) -> tuple[Option, ...]:
    """The options of the request, each once, with all that describes them."""
    found = (
        next((r.options for r in readings if len(r.options) >= 2), None)
        or next(filter(None, map(mentioned, _short_lines(instructions))), None)
        or (_undeclared(readings, asked) if _SELECTION.search(instructions) else ())
    )
    options = {option.label.lower(): option for option in reversed(found)}
    return tuple(_described(option, readings) for option in reversed(options.values()))[
        :MAX_OPTIONS
    ]


def _repeated(asked: Reading) -> tuple[Option, ...]:
    """The values of the field that a prompt of solved cases leaves empty at its end."""
    if not asked.fields or asked.fields[-1][1]:
        return ()
    open_name = asked.fields[-1][0]
    values = [" ".join(text) for name, text in asked.fields[:-1] if name == open_name]
    return tuple(Option(value) for value in dict.fromkeys(values))


def _short_lines(text: str) -> list[str]:
    return [line[:MAX_SENTENCE] for line in text.splitlines()[:40]]


def _undeclared(readings: Sequence[Reading], asked: Reading) -> Sequence[Option]:
    """Options without a word that announces them: bullets, or `label: …` lines."""
    for reading in readings:
        bullets = [option for text in reading.bullets if (option := item(text))]
        if len(bullets) >= 2:
            return bullets
    named = [
        Option(name, " ".join(text))
        for name, text in asked.fields
        if text and not MATERIAL_FIELDS.intersection(name.split())
    ]
    return named if len(named) >= 3 else ()


def _described(option: Option, readings: Sequence[Reading]) -> Option:
    """`option` with what bullets, fields and sentences say about it."""
    label = option.label.lower()
    said = [option.description] if option.description else []
    for reading in readings:
        for bullet in reading.bullets:
            named = item(bullet)
            if named and named.label.lower() == label and named.description:
                said.append(named.description)
        said += [" ".join(text) for name, text in reading.fields if name == label]
        said += [
            s for s in reading.sentences + reading.instructions if _about(s, label)
        ]
    return Option(option.label, " ".join(dict.fromkeys(said)))


def _about(sentence: str, label: str) -> bool:
    """Whether a sentence begins with `label`, as definitions do."""
    begin = (
        sentence[: len(label) + 12].lower().removeprefix("the ").removeprefix("use ")
    )
    after = begin[len(label) : len(label) + 1]
    return begin.lstrip("\"'").startswith(label) and not after.isalnum()


def _examples(
    pairs: Sequence[tuple[Reading, Reading]],
    readings: Sequence[Reading],
    options: Sequence[Option],
) -> tuple[tuple[Example, ...], frozenset[str]]:
    """The solved cases in the request, and the texts they took from the material."""
    labels = {option.label.lower(): option.label for option in options}
    examples = []
    for before, reply in pairs:
        if label := _label(" ".join(reply.sentences), labels):
            text = " ".join(_material(before)) or " ".join(before.instructions)
            examples.append(Example(text, label))
    shown = [arrow for reading in readings for arrow in reading.arrows] + [
        (" ".join(text), " ".join(label))
        for reading in readings
        for (_, text), (_, label) in pairwise(reading.fields)
    ]
    inline = [
        Example(text, labels[label.lower().strip(" .")])
        for text, label in shown
        if text and label.lower().strip(" .") in labels
    ]
    taken = frozenset(part for e in inline for part in (e.text, e.label))
    return (*examples, *inline), taken


def _label(reply: str, labels: Mapping[str, str]) -> str | None:
    """The label a short reply gives, as the options write it."""
    bare = reply.strip().strip("\"'`*.!").strip()
    if labels:
        return labels.get(bare.lower())
    return bare if 1 <= len(bare.split()) <= 3 else None


def _replies(examples: Sequence[Example]) -> tuple[Option, ...]:
    """The labels of the examples, as options, where none were listed."""
    labels = dict.fromkeys(example.label for example in examples)
    return tuple(Option(label) for label in labels) if len(labels) >= 2 else ()


def _question(asked: Reading) -> str:
    if asked.questions:
        return " ".join(asked.questions)
    questions = [s for s in asked.instructions if s.endswith("?")]
    return next(iter([*questions[-1:], *asked.instructions, *asked.sentences]), "")


def _earlier(
    turns: Sequence[tuple[str, str]], last: int, question: str
) -> tuple[str, str]:
    """The question and the reply before `question`, if it leans on them."""
    if not (_PRONOUN.search(question) or len(stems(question)) < 3):
        return "", ""
    before = turns[:last]
    return tuple(  # type: ignore[return-value]
        next((text[-1000:] for role, text in reversed(before) if role == wanted), "")
        for wanted in ("user", "assistant")
    )


def _has_context(readings: Sequence[tuple[str, Reading]], last: int) -> bool:
    """Whether there is material to answer from besides the last free sentences."""
    asked = readings[last][1]
    given = asked.fields or asked.bullets
    before = any(r.sentences or r.fields or r.bullets for _, r in readings[:last])
    return bool(given) or before


def _material(reading: Reading, *, free: bool = True) -> list[str]:
    named = list(_field_sentences(reading.fields))
    return named + reading.sentences if free else named


def _field_sentences(fields: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """The sentences of fields, after the name where it is part of what is said."""
    for name, text in fields:
        said = [sentence for part in text for sentence in sentences(part)]
        if said and name.split()[-1] not in MATERIAL_FIELDS:
            said[0] = f"{name.capitalize()}: {said[0]}"
        yield from said


def _subject(
    asked: Reading, options: Sequence[Option], shown: frozenset[str]
) -> Iterable[str]:
    labels = {option.label.lower() for option in options}
    parts = [
        (name, text)
        for name, text in asked.fields
        if name not in labels and " ".join(text) not in shown
    ]
    longest = max((len(" ".join(text)) for _, text in parts), default=0)
    # Beside a ticket, "Customer tier: basic" is an attribute, not what it is about.
    yield from _field_sentences(
        (name, text) for name, text in parts if len(" ".join(text)) * 8 >= longest
    )
    # Sentences around the fields introduce them, unless there is more of them.
    if sum(map(len, asked.sentences)) > longest:
        yield from asked.sentences
    yield from _loose_bullets(asked, labels)


def _loose_bullets(reading: Reading, labels: set[str]) -> Iterator[str]:
    for bullet in reading.bullets:
        named = item(bullet)
        if named is None or named.label.lower() not in labels:
            yield bullet


def _passages(
    readings: Sequence[tuple[str, Reading]],
    last: int,
    options: Sequence[Option],
    shown: frozenset[str],
    *,
    context: bool,
) -> Iterable[Passage]:
    labels = {option.label.lower() for option in options}
    seen = set(shown)
    for at, (role, reading) in enumerate(readings[: last + 1]):
        # Recent messages count more, and what is said in passing less.
        weight = 0.7 + 0.3 * (at + 1) / (last + 1)
        weight *= _ROLE_WEIGHTS.get(role, 1.0)
        material = _material(reading, free=not (context and at == last))
        for sentence in (*material, *_loose_bullets(reading, labels)):
            # What the assistant repeats of the material is not said twice.
            if not sentence.endswith("?") and sentence not in seen:
                seen.add(sentence)
                yield Passage(sentence, weight)
