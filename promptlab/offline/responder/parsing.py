"""Parsing: the parts of one message.

The parser knows nothing of the subject. It tells apart instructions (questions, and
sentences that begin with a verb such as Answer or Write), lists of choices, named
fields (`Ticket: …`, `<ticket>…</ticket>`, headings) and plain material.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from promptlab.offline.responder.choices import SELECTION, Choices, item, listed
from promptlab.offline.responder.lexicon import WORDS
from promptlab.offline.responder.stemming import words

MAX_CHARACTERS = 40_000
"""Characters it reads of one message: half from either end."""
MAX_SENTENCE = 600
"""Characters of a sentence it looks for instructions in."""

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

    def material(self, known: Container[str] = ()) -> Iterator[str]:
        """The sentences of fields, but not of `known` names, labels and texts."""
        for name, sentences in self.fields:
            listed_as = item(sentences[0]) if name == "-" and sentences else None
            label = listed_as[0] if listed_as else name
            skipped = name == "question" or " ".join(sentences) in known
            if not sentences or skipped or label.lower() in known:
                continue
            # "Step 1: Fry an onion" says something by its name, "Facts: …" does not.
            titled = len(name) > 1 and name.split()[-1] not in WORDS["material"]
            title = f"{name.capitalize()}: " if titled else ""
            yield f"{title}{sentences[0]}"
            yield from sentences[1:]


def parse_message(text: str, role: str) -> Message:
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
                found = _sentences(first)
                kept = list(takewhile(lambda sentence: not _is_order(sentence), found))
                first, more = " ".join(kept), found[len(kept) :]
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
    """The choices that a text begins with, in one line or a line each, and the rest."""
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
