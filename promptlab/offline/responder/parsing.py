"""Parsing: the parts of one message.

The parser knows nothing of the subject. It tells apart instructions (questions, and
sentences that begin with a verb such as Answer or Write), lists of choices, named
fields (`Ticket: …`, `<ticket>…</ticket>`, headings) and plain material.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from promptlab.offline.responder.lexicon import WORDS, words

Choices = dict[str, str]
"""Labels in the order listed, each with what the request says about it."""

MAX_CHARACTERS = 40_000
"""Characters it reads of one message: half from either end."""
MAX_SENTENCE = 600
"""Characters of a sentence it looks for instructions in."""
MAX_CHOICES = 200

SELECTION = re.compile(
    r"\b(?:which|choose|pick|select|classif|categor|label|route|routing|assign|one of|"
    r"one word|only|either|best|recommend|suggest|match|decide|rank|triage|name one)",
    re.IGNORECASE,
)
"""What an instruction to choose says."""

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
_WRAPPED = re.compile(r"(?<=[^\n]{50}[^\W\d_])\n(?=[a-z])")
"""The end of a line that was broken within a sentence."""
_BULLET = re.compile(r"\s*(?:[-*•]|\(?\d{1,3}[.)]|[A-Za-z][.)])\s+(\S.*)")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]{0,2}\s+(?=\S)|\n")
_ORDER = re.compile(
    r"\b(?:choose the|which (?:of|team|label|category|option|one|department|book|"
    r"product|queue|candidate|answer)|(?:one|single|\d+) (?:words?|sentences?)|"
    r"answer (?:with|in|only)|(?:the|a|in|as|valid) json|bullet points?|"
    r"the following|step by step|you (?:are|will|must|should) (?:a|an|given)\b)\b",
    re.IGNORECASE,
)
_SYSTEM_ORDER = re.compile(r"^your?\b|\b(?:answer|repl(?:y|ies)|respon[ds])", re.I)
_ITEM = re.compile(
    r"([^:(=]{1,80}?)(?:\s*\(([^()]*)\)?|\s*(?::|=| [-\u2013\u2014] )\s*(.*))?\s*",
    re.DOTALL,
)
_OUTSIDE_BRACKETS = r"(?![^()]{0,200}\))"
_CUE = re.compile(
    r"(?:\b(?:one of|either|whether|among|between|from|these|following)\b:?"
    r"(?: (?:the|these|this|following|\w+s:))*|(?<=\w):) ",
    re.IGNORECASE,
)
_WHICH = re.compile(r"\W*(?:which|what|who)\b[^,]*, ", re.IGNORECASE)
_JOINED = re.compile(
    r"(?:(?<![\w-])[\"']?[\w-]{1,40}[\"']?, )*[\"']?\b[\w-]{1,40}[\"']?,? or "
    r"[\"']?[\w-]{1,40}\b[\"']?"
)
_FORM = re.compile(r"\{|\b(?:json|keys?|fields?|format|sentences?|tone)\b", re.I)


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
        for name, found in self.fields:
            listed_as = item(found[0]) if name == "-" and found else None
            label = listed_as[0] if listed_as else name
            skipped = name == "question" or " ".join(found) in known
            if not found or skipped or label.lower() in known:
                continue
            # "Step 1: Fry an onion" says something by its name, "Facts: …" does not.
            titled = len(name) > 1 and name.split()[-1] not in WORDS["material"]
            yield f"{name.capitalize()}: {found[0]}" if titled else found[0]
            yield from found[1:]


def parse_message(text: str, role: str) -> Message:
    """The parts of one message."""
    if len(text) > MAX_CHARACTERS:
        half = MAX_CHARACTERS // 2
        text = f"{text[:half]}\n{text[-half:]}"
    message = Message(role)
    if role in ("assistant", "tool"):
        message.fields.append(("", sentences(text)))
        return message
    for name, body in _blocks(text):
        first, *more = re.split(r"\n\s*\n", body.strip("\n "))
        kind = _kind(name)
        if kind == "list":
            choices, rest = _take_list(first)
            message.choices.update(choices)
            first, more = "", [rest, *more]
        elif kind == "question":
            first, _, rest = first.partition("\n")
            more.insert(0, rest)
        elif kind in ("material", "other") and "\n" not in text:
            # In a message of one line, a field goes on to the next instruction.
            found = sentences(first)
            kept = list(takewhile(lambda sentence: not is_order(sentence), found))
            first, more = " ".join(kept), found[len(kept) :]
        _add(message, name, first)
        for paragraph in more:
            # Material goes on to the next instruction, anything else does not.
            if kind not in ("material", "other") or is_order(paragraph):
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

    def named(tag: re.Match[str]) -> str:
        body = re.sub(r"\n\s*\n", "\n", tag[2])
        return f"\n\n{tag[1]}: {body}\n\0\n"

    text = _WRAPPED.sub(" ", _TAGGED.sub(named, text.replace("\0", " ")))
    name, start = "", 0
    for mark in _BLOCK.finditer(text):
        found = (mark["heading"] or mark["field"] or mark["inline"] or "").lower()
        known = found in WORDS["material"] or _LIST_NAME.fullmatch(found)
        if mark["field"] and is_order(found) and not known:
            continue
        yield name, text[start : mark.start()]
        name, start = found, mark.end()
    yield name, text[start:]


def _add(message: Message, name: str, paragraph: str) -> None:
    """Put a paragraph of the part called `name` where it belongs."""
    lines = [(_BULLET.fullmatch(line), line) for line in paragraph.splitlines()]
    bare = [bullet[1] if bullet else line for bullet, line in lines]
    kind = _kind(name)
    if kind == "orders":
        message.instructions.extend(sentences(f"{name}: " + "\n".join(bare)))
    elif kind and kind != "list":
        called = "question" if kind == "question" else name
        message.fields.append((called, sentences("\n".join(bare))))
    else:
        for text, (bullet, _) in zip(bare, lines, strict=True):
            heading = message.instructions[-1] if message.instructions else ""
            if bullet and heading.endswith(":") and not SELECTION.search(heading):
                message.instructions.insert(-1, text)
            elif bullet and not is_order(text):
                message.fields.append(("-", [text]))
            else:
                _add_line(message, text)


def _add_line(message: Message, line: str) -> None:
    """Tell the instructions of a line from its material."""
    for sentence in sentences(line):
        order = is_order(sentence) or (
            message.role != "user" and _SYSTEM_ORDER.search(sentence[:MAX_SENTENCE])
        )
        if order or sentence.endswith("?"):
            message.instructions.append(sentence)
        # A question may be the ticket's own: it is material too, for the choices.
        if not order:
            message.fields.append(("", [sentence]))


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line's end is the end of one."""
    return [found.strip() for found in _SENTENCE_END.split(text) if found.strip()]


def is_order(text: str) -> bool:
    """Whether a text begins by telling the model what to do, whatever it is about."""
    first = text[:MAX_SENTENCE].partition("\n")[0]
    begin = [word for word in words(first[:60]) if word not in WORDS["lead_ins"]]
    return bool(begin and begin[0] in WORDS["verbs"]) or bool(_ORDER.search(first))


def item(text: str) -> tuple[str, str] | None:
    """The label of a list item and its description; None if it has no label."""
    if (found := _ITEM.fullmatch(text.strip().replace("**", ""))) is None:
        return None
    label = found[1].strip(" \"'`\u201c\u201d\u2018\u2019*[](){}<>.,;")
    if not 1 <= len(label.split()) <= 8:
        return None
    return label, (found[2] or found[3] or "").strip()


def mentioned(order: str) -> Choices:
    """The choices that an instruction names in passing, such as "one of a, b or c"."""
    if _FORM.search(order):
        return {}
    # "Which is better, A or B?": the choices are all after the comma.
    which = _WHICH.match(order)
    joined = _JOINED.search(order, which.end() if which else 0)
    cues = _CUE.finditer(order) if SELECTION.search(order) else ()
    for text in [*(order[cue.end() :] for cue in cues), joined[0] if joined else ""]:
        if (choices := _listed(text)) and all(map(_is_label, choices)):
            return choices
    return {}


def _listed(text: str) -> Choices:
    """The choices in a list such as `a, b (for c) or d`; empty if it is no list."""
    text = text[:8000].strip().rstrip(".?!:;").strip("[]{} ")
    mark = next((mark for mark in ";|," if mark in text), "/")
    *parts, last = re.split(re.escape(mark) + _OUTSIDE_BRACKETS, text)
    parts += re.split(rf"(?:^|\s)(?:or|and)\s{_OUTSIDE_BRACKETS}", last)
    items = [item(part) for part in parts if part.strip()]
    if len(items) < 2 or None in items:
        return {}
    return dict([found for found in items if found][:MAX_CHOICES])


def _is_label(text: str) -> bool:
    """Whether `text` looks like a label rather than a piece of a sentence."""
    found = text.lower().split()
    return (
        len(found) <= 3 and WORDS["not_labels"].isdisjoint(found) and not text.isdigit()
    )


def _take_list(text: str) -> tuple[Choices, str]:
    """The choices that a text begins with, in one line or a line each, and the rest."""
    lines = text.splitlines() or [""]
    head, _, rest = _SENTENCE_END.sub("\n", lines[0]).partition("\n")
    if not _BULLET.fullmatch(head) and (choices := _listed(head)):
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
