"""The task: what a request asks for, put together from its messages."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from promptlab.offline.responder.instructions import Instructions
from promptlab.offline.responder.lexicon import stems
from promptlab.offline.responder.parsing import (
    MAX_CHOICES,
    MAX_SENTENCE,
    SELECTION,
    Choices,
    Message,
    item,
    mentioned,
    parse_message,
)

MAX_MESSAGES = 64
"""Messages it reads: the first few, and the last."""
MAX_INSTRUCTIONS = 40
"""Sentences of instructions it reads."""

_ROLE_WEIGHTS = {"user": 0.9, "assistant": 0.6}
_PRONOUN = re.compile(
    r"\b(?:it|that|this|they|them|those|these|he|she|one|there|its|their|his|her|"
    r"and|also|else|same)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a request asks for."""

    instructions: Instructions
    question: str
    """What is asked last."""
    earlier: str
    """The question before it, if this one refers to it, and remarks beside it."""
    reply: str
    """The answer to that question."""
    subject: list[str]
    """Sentences of the last user message that are not instructions."""
    passages: Mapping[str, float]
    """All sentences of material, oldest first, and how much each counts."""
    choices: Choices
    """What to choose from; empty when the answer is free."""
    examples: list[tuple[str, str]]
    """The text and the label of each solved case in the request."""
    fields: Mapping[str, str]
    """The last user message's `Name: text` parts by lower-case name."""


def read_task(messages: Sequence[Mapping[str, Any]]) -> Task:
    """The task in the messages of a chat request."""
    if len(messages) > MAX_MESSAGES:
        messages = [*messages[:4], *messages[4 - MAX_MESSAGES :]]
    parsed = [parse_message(text_of(m), m["role"]) for m in messages]
    users = [index for index, m in enumerate(parsed) if m.role == "user"]
    last = users[-1] if users else len(parsed) - 1
    asked, before = parsed[last], parsed[:last]
    system = [m for m in parsed if m.role in ("system", "developer")]
    rules = [sentence for message in system for sentence in message.instructions]
    orders = [*rules, *asked.instructions, *asked.named("question")]
    orders = [order[:MAX_SENTENCE] for order in orders[:MAX_INSTRUCTIONS]]
    questions = [s for s in asked.instructions if s.endswith("?")]
    found = asked.named("question") or questions or asked.instructions[:1]
    question = found[-1] if found else next(asked.material(), "")
    choices = _choices([*system, asked, *before], asked, orders)
    examples = list(_examples([*before, asked], choices))
    if not choices:
        # Labels of solved cases are choices, unless all are the same.
        choices = {label: "" for _, label in examples}
        choices, examples = (choices, examples) if len(choices) >= 2 else ({}, [])
    known = {label.lower() for label in choices} | {s for e in examples for s in e}
    names = {name for m in [*before, asked] for name, _ in m.fields}
    facts = any(m.fields for m in before) or not names <= {"", "question"}
    remarks = asked.named("") if facts else []
    refers = _PRONOUN.search(question) or len(stems(question)) < 3
    turns = {m["role"]: text_of(m)[-1000:] for m in messages[:last]} if refers else {}
    # Beside a ticket, "Customer tier: basic" is an attribute, not what it is about.
    sizes: Counter[str] = Counter()
    for name, text in asked.fields:
        sizes[name] += len(" ".join(text))
    longest = max((size for name, size in sizes.items() if len(name) > 1), default=0)
    about = [
        (name, text)
        for name, text in asked.fields
        if (sizes[name] * 8 >= longest if name else sizes[name] > longest)
    ]
    return Task(
        instructions=Instructions("\n".join(orders), "\n".join(rules)),
        question=question,
        earlier=" ".join([turns.get("user", ""), *remarks]),
        reply=turns.get("assistant", ""),
        subject=list(replace(asked, fields=about).material(known)),
        passages={
            # Recent messages count more, and those of user and assistant less.
            text: _ROLE_WEIGHTS.get(message.role, 1.0) * (0.7 + 0.3 * at / len(parsed))
            for at, message in enumerate(parsed, start=1)
            for text in message.material(known)
            # Beside facts, "Done." is no answer.
            if not text.endswith("?")
            and not (facts and (text in remarks or " " not in text))
        },
        choices=choices,
        examples=examples,
        fields={name: " ".join(text) for name, text in asked.fields if name},
    )


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message; its images and sounds have none."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _choices(
    messages: Sequence[Message], asked: Message, orders: Sequence[str]
) -> Choices:
    """The choices of the request, each with all that describes it."""
    items = dict(filter(None, (item(b) for m in messages for b in m.named("-"))))
    selects = len(items) >= 2 and SELECTION.search("\n".join(orders))
    # A prompt of solved cases leaves the field of their labels empty at its end.
    last = asked.fields[-1] if asked.fields else ("", [""])
    found = (
        next((m.choices for m in messages if len(m.choices) >= 2), {})
        or next(filter(None, map(mentioned, orders)), {})
        or (items if selects else {})
        or ({} if last[1] else dict.fromkeys(filter(None, asked.named(last[0])), ""))
    )
    # Definitions are sentences that begin with a label.
    texts = [s for m in messages for _, text in m.fields for s in text] + [*orders]
    begins = {
        label: re.compile(rf"(?:the |use )?[\"']?{re.escape(label)}(?!\w).", re.I)
        for label in list(found)[:MAX_CHOICES]
    }
    return {
        label: " ".join(
            [found[label] or items.get(label, ""), *filter(begin.match, texts)]
        )
        for label, begin in begins.items()
    }


def _examples(
    messages: Sequence[Message], choices: Choices
) -> Iterator[tuple[str, str]]:
    """The solved cases: turns of the conversation, and fields that follow another."""
    labels = {label.lower(): label for label in choices}
    for case, reply in pairwise(messages):
        label = " ".join(reply.named("")).strip(" \"'`*.!")
        if (case.role, reply.role) == ("user", "assistant") and (
            label.lower() in labels or (not labels and 1 <= len(label.split()) <= 3)
        ):
            text = " ".join([*case.material(), *case.instructions])
            yield text, labels.get(label.lower(), label)
    for message in messages:
        for (name, solved), (_, answer) in pairwise(message.fields):
            label = " ".join(answer).lower().strip(" .")
            if name != "-" and solved and label in labels:
                yield " ".join(solved), labels[label]
