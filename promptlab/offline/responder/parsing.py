"""Parsing: what a request asks for, put together from its messages.

The parser knows nothing of the subject. It tells apart instructions (questions, and
sentences that begin with a verb such as Answer or Write), lists of choices, named
fields (`Ticket: …`, `<ticket>…</ticket>`, headings) and plain material.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import Any

from promptlab.offline.responder.choices import (
    MAX_CHOICES,
    SELECTION,
    Choices,
    item,
    listed,
    mentioned,
)
from promptlab.offline.responder.instructions import Instructions
from promptlab.offline.responder.lexicon import WORDS
from promptlab.offline.responder.stemming import stems, words

MAX_MESSAGES = 64
"""Messages it reads: the first few, and the last."""
MAX_CHARACTERS = 40_000
"""Characters it reads of one message: half from either end."""
MAX_INSTRUCTIONS = 40
"""Sentences of instructions it reads, each up to `MAX_SENTENCE` characters."""
MAX_SENTENCE = 600

_LISTS = "|".join(sorted(WORDS["lists"]))
_NAMES = "|".join(sorted(WORDS["lists"] | WORDS["material"]))
_LIST_NAME = re.compile(rf"(?!how )(?:.* )?(?:one of|choose|pick|{_LISTS})")
_BLOCK = re.compile(
    r"^#{1,6} +(?P<heading>\w[^\n:]{0,60}):?$|^(?P<end>\0)$"
    r"|^\*{0,2}(?P<field>[^\W\d_][\w'/ -]{0,40}?)\*{0,2}:(?=\s|\*|$)"
    rf"|(?<=[.!?] )(?P<inline>{_NAMES}):(?=\s)",
    re.MULTILINE | re.IGNORECASE,
)
"""The beginning of a named part of a message."""
_TAGGED = re.compile(r"<([A-Za-z_][\w-]{0,30})>([^<]*)</\1>")
_FENCED = re.compile(r"^(\"\"\"|'''|```|---+)\w*\n((?:.*\n)*?)\1$", re.MULTILINE)
_WRAPPED = re.compile(r"(?<=[^\n]{50}[^\W\d_])\n(?=[a-z])")
"""The end of a line that was broken within a sentence."""
_BULLET = re.compile(r"\s*(?:[-*•]|\(?\d{1,3}[.)]|[A-Za-z][.)])\s+(\S.*)")
_ARROW = re.compile(r"(.{3,400}?)\s*(?:->|=>|→)\s*(\S.{0,60})")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]{0,2}\s+(?=\S)|\n")
_ORDER = re.compile(
    r"\b(?:choose the|which (?:of|team|label|category|option|one|department|book|"
    r"product|queue|candidate|answer)|(?:one|single|\d+) (?:words?|sentences?)|"
    r"answer (?:with|in|only)|(?:the|a|in|as|valid) json|bullet points?|"
    r"the following|step by step|you (?:are|will|must|should) (?:a|an|given)\b)\b",
    re.IGNORECASE,
)
_SYSTEM_ORDER = re.compile(r"^your?\b|\b(?:answer|repl(?:y|ies)|respon[ds])", re.I)
_PRONOUN = re.compile(
    r"\b(?:it|that|this|they|them|those|these|he|she|one|there|its|their|his|her|"
    r"and|also|else|same)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Message:
    """What one message says, each in order."""

    role: str
    instructions: list[str] = field(default_factory=list)
    fields: list[tuple[str, list[str]]] = field(default_factory=list)
    """The sentences of each part by its name in lower case: "" where it has none, "-"
    for an item of a list, "question" for what is asked."""
    choices: Choices = field(default_factory=dict)

    def named(self, name: str) -> list[str]:
        """The text of each field of that name."""
        return [" ".join(text) for found, text in self.fields if found == name]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a request asks for."""

    instructions: Instructions
    question: str
    """What is asked last."""
    earlier: str
    """The question before it, where this one refers to it, and what is said beside."""
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
    parsed = [_parse(text_of(message), message["role"]) for message in messages]
    users = [index for index, m in enumerate(parsed) if m.role == "user"]
    last = users[-1] if users else len(parsed) - 1
    asked, before = parsed[last], parsed[:last]
    system = [m for m in parsed if m.role in ("system", "developer")]
    rules = [sentence for message in system for sentence in message.instructions]
    orders = [*rules, *asked.instructions, *asked.named("question")]
    orders = [order[:MAX_SENTENCE] for order in orders[:MAX_INSTRUCTIONS]]
    questions = [s for s in asked.instructions if s.endswith("?")]
    questions = asked.named("question") or questions or asked.instructions[:1]
    question = questions[-1] if questions else next(_material(asked.fields), "")
    choices = _choices([*system, asked, *before], asked, orders)
    examples = list(_examples([*before, asked], choices))
    if not choices:
        choices = {label: "" for _, label in examples}
        choices, examples = (choices, examples) if len(choices) >= 2 else ({}, [])
    known = {label.lower() for label in choices} | {s for e in examples for s in e}
    # Beside facts to answer from, "Done." is said in passing: it helps to find them.
    facts = any(m.fields for m in before) or any(
        name not in ("", "question") for name, _ in asked.fields
    )
    aside = asked.named("") if facts else []
    passages: dict[str, float] = {}
    for index, message in enumerate(parsed, start=1):
        # Recent messages count more, and what is said in passing less.
        weight = {"user": 0.9, "assistant": 0.6}.get(message.role, 1.0)
        for text in _material(message.fields, known):
            told = text in aside or (facts and " " not in text)
            if not told and not text.endswith("?"):
                passages.setdefault(text, weight * (0.7 + 0.3 * index / len(parsed)))
    refers = _PRONOUN.search(question) or len(stems(question)) < 3
    said = {m["role"]: text_of(m)[-1000:] for m in messages[:last]} if refers else {}
    return Task(
        instructions=Instructions("\n".join(orders), "\n".join(rules)),
        question=question,
        earlier=" ".join([said.get("user", ""), *aside]),
        reply=said.get("assistant", ""),
        subject=_subject(asked, known),
        passages=passages,
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
    """The choices of the request, each with all that is said about it."""
    items = dict(filter(None, (item(b) for m in messages for b in m.named("-"))))
    selects = len(items) >= 2 and SELECTION.search("\n".join(orders))
    # A prompt of solved cases leaves the field of their labels empty at its end.
    open_name = (
        asked.fields[-1][0] if asked.fields and not asked.fields[-1][1] else "label"
    )
    found = (
        next((m.choices for m in messages if len(m.choices) >= 2), {})
        or next(filter(None, map(mentioned, orders)), {})
        or (items if selects else {})
        or {label: "" for label in asked.named(open_name) if label}
    )
    said = [s for m in messages for _, text in m.fields for s in text] + [*orders]
    return {
        label: " ".join([text or items.get(label, ""), *_about(label, said)])
        for label, text in list(found.items())[:MAX_CHOICES]
    }


def _about(label: str, said: Sequence[str]) -> Iterator[str]:
    """The sentences that begin with a label, as definitions do."""
    begins = re.compile(
        rf"(?:the |use )?[\"']?{re.escape(label)}(?!\w).", re.IGNORECASE
    )
    return filter(begins.match, said)


def _examples(
    messages: Sequence[Message], choices: Choices
) -> Iterator[tuple[str, str]]:
    """The solved cases: turns of the conversation, and fields that follow another."""
    labels = {label.lower(): label for label in choices}
    for said, reply in pairwise(messages):
        label = " ".join(reply.named("")).strip(" \"'`*.!")
        if (said.role, reply.role) == ("user", "assistant") and (
            label.lower() in labels or (not labels and 1 <= len(label.split()) <= 3)
        ):
            text = " ".join([*_material(said.fields), *said.instructions])
            yield text, labels.get(label.lower(), label)
    for message in messages:
        for (name, case), (_, solved) in pairwise(message.fields):
            label = " ".join(solved).lower().strip(" .")
            if name != "-" and case and label in labels:
                yield " ".join(case), labels[label]


def _material(
    fields: Sequence[tuple[str, list[str]]], known: Container[str] = ()
) -> Iterator[str]:
    """The sentences of fields but those of `known` names, labels and texts."""
    for name, text in fields:
        label = item(text[0]) if name == "-" else (name, "")
        whole = " ".join(text)
        if (
            not text
            or name == "question"
            or whole in known
            or (label and label[0].lower() in known)
        ):
            continue
        # "Step 1: Fry an onion" says something by its name, "Facts: …" does not.
        told = len(name) > 1 and name.split()[-1] not in WORDS["material"]
        yield f"{name.capitalize()}: {text[0]}" if told else text[0]
        yield from text[1:]


def _subject(asked: Message, known: Container[str]) -> list[str]:
    """What the last message is about: its longest fields, or what is around them."""
    sizes: Counter[str] = Counter()
    for name, text in asked.fields:
        sizes[name] += len(" ".join(text))
    longest = max((size for name, size in sizes.items() if len(name) > 1), default=0)
    # Beside a ticket, "Customer tier: basic" is an attribute, not what it is about.
    about = [
        (name, text)
        for name, text in asked.fields
        if (sizes[name] * 8 >= longest if name else sizes[name] > longest)
    ]
    return list(_material(about, known))


def _parse(text: str, role: str) -> Message:
    """The parts of one message."""
    if len(text) > MAX_CHARACTERS:
        half = MAX_CHARACTERS // 2
        text = f"{text[:half]}\n{text[-half:]}"
    message = Message(role)
    if role in ("assistant", "tool"):
        message.fields.append(("", _sentences(text)))
        return message
    listing = False
    for name, body in _blocks(text):
        first, *more = re.split(r"\n\s*\n", body.strip("\n "))
        kind = _kind(name)
        if kind == "list":
            choices, rest = _take_list(first)
            message.choices.update(choices)
            listing = not choices
            more.insert(0, rest)
        elif listing and kind == "other":
            message.choices[name] = first
        else:
            listing = False
            if kind == "question":
                first, _, rest = first.partition("\n")
                more.insert(0, rest)
            elif kind and kind != "orders" and "\n" not in text:
                # In a message of one line, a field goes on to the next instruction.
                told = _sentences(first)
                kept = list(takewhile(lambda sentence: not _is_order(sentence), told))
                first, more = " ".join(kept), told[len(kept) :]
            _add(message, name, first)
        for paragraph in more:
            # Material goes on to the next instruction, anything else does not.
            if kind not in ("material", "other") or _is_order(paragraph):
                name, kind = "", ""
            _add(message, name, paragraph)
    return message


def _kind(name: str) -> str:
    """What the part of that name holds: "" for a part without one."""
    last = name.split()[-1] if name.strip() else ""
    if last in ("question", "q"):
        return "question"
    if last in WORDS["orders"] or name.startswith("how "):
        return "orders"
    if _LIST_NAME.fullmatch(name):
        return "list"
    return last and ("material" if last in WORDS["material"] else "other")


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The named parts of a message, in lower case and in order; "" where unnamed."""

    def named(name: str, body: str) -> str:
        body = re.sub(r"\n\s*\n", "\n", body)
        return f"\n\n{name}: {body}\n\0\n"

    text = _TAGGED.sub(lambda tag: named(tag[1], tag[2]), text.replace("\0", " "))
    text = _FENCED.sub(lambda fence: named("text", fence[2]), text)
    text = _WRAPPED.sub(" ", text)
    name, start = "", 0
    for mark in _BLOCK.finditer(text):
        found = (mark["heading"] or mark["field"] or mark["inline"] or "").lower()
        known = found in WORDS["material"] or _LIST_NAME.fullmatch(found)
        if mark["field"] and _is_order(found) and not known:
            continue
        yield name, text[start : mark.start()]
        name, start = found, mark.end()
    yield name, text[start:]


def _add(message: Message, name: str, paragraph: str) -> None:
    """Put a paragraph of the part called `name` where it belongs."""
    lines = [(_BULLET.fullmatch(line), line) for line in paragraph.splitlines()]
    bare = "\n".join(bullet[1] if bullet else line for bullet, line in lines)
    match _kind(name):
        case "question":
            message.fields.append(("question", _sentences(bare)))
        case "orders":
            message.instructions.extend(_sentences(f"{name}: {bare}"))
        case "":
            for bullet, line in lines:
                heading = message.instructions[-1] if message.instructions else ""
                if bullet and heading.endswith(":") and not SELECTION.search(heading):
                    message.instructions.insert(-1, bullet[1])
                elif bullet and not _is_order(bullet[1]):
                    message.fields.append(("-", [bullet[1]]))
                elif arrow := _ARROW.fullmatch(line[:MAX_SENTENCE]):
                    message.fields.append(("example", [arrow[1]]))
                    message.fields.append(("label", [arrow[2]]))
                else:
                    _add_line(message, bullet[1] if bullet else line)
        case _:
            message.fields.append((name, _sentences(bare)))


def _add_line(message: Message, line: str) -> None:
    """Tell the instructions of a line from its material."""
    for sentence in _sentences(line):
        order = _is_order(sentence) or (
            message.role != "user" and _SYSTEM_ORDER.search(sentence[:MAX_SENTENCE])
        )
        if order or sentence.endswith("?"):
            message.instructions.append(sentence)
        # A question may be the ticket's own: it is material too, for the choices.
        if not order:
            message.fields.append(("", [sentence]))


def _take_list(text: str) -> tuple[Choices, str]:
    """The choices that a text begins with, in one line or one a line, and the rest."""
    lines = text.splitlines() or [""]
    head, _, rest = _SENTENCE_END.sub("\n", lines[0]).partition("\n")
    if not _BULLET.fullmatch(head) and (choices := listed(head)):
        return choices, "\n".join([rest, *lines[1:]])
    choices = {}
    while lines:
        bullet = _BULLET.fullmatch(lines[0])
        found = item(bullet[1] if bullet else lines[0])
        if not found or not (bullet or found[1] or len(lines[0].split()) <= 4):
            break
        choices[found[0]] = found[1]
        lines.pop(0)
    return choices, "\n".join(lines)


def _sentences(text: str) -> list[str]:
    """The sentences of a text; a line's end is the end of one."""
    return [found.strip() for found in _SENTENCE_END.split(text) if found.strip()]


def _is_order(text: str) -> bool:
    """Whether a text begins by telling the model what to do, whatever it is about."""
    first = text[:MAX_SENTENCE].partition("\n")[0]
    begin = [word for word in words(first[:60]) if word not in WORDS["lead_ins"]]
    return bool(begin and begin[0] in WORDS["verbs"]) or bool(_ORDER.search(first))
