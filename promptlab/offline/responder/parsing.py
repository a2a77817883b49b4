"""Reading: the parts of one message, told apart line by line.

The reader knows nothing of the subject. It tells apart instructions (questions, and
sentences that begin with a verb such as Answer or Write), options (lists of labels),
fields (`Ticket: …`, `<ticket>…</ticket>`, headings) and plain material.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from promptlab.offline.responder.choices import Option, item, listed
from promptlab.offline.responder.keywords import (
    FORM_FIELDS,
    LEAD_INS,
    MATERIAL_FIELDS,
    OPTION_FIELDS,
    QUESTION_FIELDS,
    RULE_FIELDS,
    VERBS,
)
from promptlab.offline.responder.stemming import stems, words

MAX_CHARACTERS = 40_000
"""Characters it reads of one message: half from either end."""
_WRAPPED = 50
"""Characters from which a line may have been broken for its length."""
MAX_SENTENCE = 600
"""Characters of a sentence it looks for instructions in."""

_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.)]|[A-Za-z][.)])\s+(\S.*)$")
_FIELD = re.compile(r"^\W{0,4}([^\W\d_][\w'/ -]{0,30}?)\W{0,3}:(?:\s+|\W{0,3}$)(.*)$")
_HEADING = re.compile(r"^#{1,6}\s+(\S[^\n]{0,60}?):?\s*$")
_TAG = re.compile(r"(</?[A-Za-z_][\w-]{0,30}>)")
_FENCE = re.compile(r"^\s*(?:\"\"\"|'''|```|---+|===+)\w*\s*$")
_ARROW = re.compile(r"^(.{3,400}?)\s*(?:->|=>|→)\s*(\S.{0,60})$")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]{0,2}\s+(?=\S)")

_OPTION_HEAD = re.compile(
    r"\b(?:one of|choose|pick|possible|available|allowed)\b", re.I
)
_META = re.compile(
    r"\b(?:choose the|which (?:of|team|label|category|option|one|department|book|"
    r"product|queue|candidate|answer)|(?:one|single|\d+) (?:words?|sentences?)|"
    r"answer (?:with|in|only)|(?:the|a|in|as|valid) json|bullet points?|"
    r"the following|step by step|"
    r"you (?:are|will|must|should) (?:a|an|given|be|answer|reply|choose))\b",
    re.IGNORECASE,
)
_SYSTEM_RULE = re.compile(
    r"^(?:you|your)\b|\b(?:answers?|repl(?:y|ies)|respond|responses?)\b", re.IGNORECASE
)
_RULES_FOLLOW = re.compile(r"\b(?:each|steps?|rules?|how)\b[^:]{0,40}:$", re.IGNORECASE)


@dataclass
class Reading:
    """The parts of one message, in order; filled by `read_message`."""

    instructions: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    fields: list[tuple[str, list[str]]] = field(default_factory=list)
    bullets: list[str] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    arrows: list[tuple[str, str]] = field(default_factory=list)


def read_message(text: str, role: str) -> Reading:
    """The parts of one message."""
    reader = _Reader(role)
    closed = {tag for tag in _TAG.findall(text) if tag.startswith("</")}
    for line in _lines(text):
        reader.read_line(line, closed)
    return reader.reading


def _lines(text: str) -> Iterator[str]:
    if len(text) > MAX_CHARACTERS:
        half = MAX_CHARACTERS // 2
        text = f"{text[:half]}\n{text[-half:]}"
    if "<" in text:
        text = _TAG.sub(r"\n\1\n", text)
    return _unwrapped(text.splitlines())


def _unwrapped(lines: Sequence[str]) -> Iterator[str]:
    """`lines`, with those put together that were broken within a sentence."""
    open_line = ""
    for line in lines:
        if open_line and not line[:1].islower():
            yield open_line
            open_line = ""
        joined = f"{open_line} {line}" if open_line else line
        if len(line) > _WRAPPED and line[-1:].isalpha():
            open_line = joined
        else:
            open_line = ""
            yield joined
    if open_line:
        yield open_line


def sentences(text: str) -> list[str]:
    """The sentences of one line or paragraph."""
    return [s.strip() for s in _SENTENCE_END.split(text) if s.strip()]


class _Reader:
    """Reads one message line by line; `block` is the field, or list, it is within."""

    _OPTIONS, _RULES, _QUESTION = "(options)", "(rules)", "(question)"

    def __init__(self, role: str) -> None:
        self.reading = Reading()
        self._role = role
        self._block: str | None = None
        self._locked = False
        self._after_blank = True

    def read_line(self, line: str, closed: set[str]) -> None:
        """Take in one line; `closed` holds the closing tags of the message."""
        if not line.strip():
            self._after_blank = True
            if self._block == self._RULES or (
                self._block == self._OPTIONS and self.reading.options
            ):
                self._block = None
        elif self._role == "assistant":
            self.reading.sentences += sentences(line)
        elif not self._read_mark(line, closed):
            if (bullet := _BULLET.match(line)) and not self._locked:
                self._read_bullet(bullet[1])
            else:
                for at, sentence in enumerate(sentences(line)):
                    self._read_sentence(sentence, first=at == 0)
            self._after_blank = False

    def _read_mark(self, line: str, closed: set[str]) -> bool:
        """Whether `line` only opens or closes a part: a tag, a fence, a heading."""
        mark = line.strip()
        if mark.startswith("</") and mark in closed:
            self._block, self._locked = None, False
        elif mark.startswith("<") and f"</{mark[1:]}" in closed:
            self._open(mark[1:-1])
            self._locked = self._block != self._OPTIONS
        elif _FENCE.match(line):
            self._locked = not self._locked
            if self._locked:
                self._open("text")
            else:
                self._block = None
        elif heading := _HEADING.match(line):
            self._open(heading[1])
        else:
            return False
        return True

    def _open(self, name: str, text: str = "") -> None:
        """Begin the part called `name`, with `text` as its beginning."""
        lower = name.lower()
        if _is_option_head(lower):
            self.reading.options += listed(text)
            self._block = None if text else self._OPTIONS
        elif lower.split()[-1] in RULE_FIELDS:
            self._block = self._RULES
            self.reading.instructions += sentences(text)
        elif lower.split()[-1] in QUESTION_FIELDS:
            self._block = self._QUESTION
            self.reading.questions += sentences(text)
        elif lower in FORM_FIELDS and text:
            self.reading.instructions.append(f"{name}: {text}")
            self._block = None
        else:
            self.reading.fields.append((lower, [text] if text else []))
            self._block = lower

    def _read_bullet(self, text: str) -> None:
        if self._block == self._OPTIONS:
            if (option := item(text)) is not None:
                self.reading.options.append(option)
        elif self._block == self._RULES:
            self.reading.instructions.append(text)
        elif self._block is None and not _is_order(text):
            self.reading.bullets.append(text)
        else:
            for sentence in sentences(text):
                self._read_sentence(sentence, first=False)

    def _read_sentence(self, sentence: str, *, first: bool) -> None:
        short = sentence[:MAX_SENTENCE]
        if not self._locked and self._begins(sentence, short, first=first):
            return
        match self._block:
            case None:
                self._read_free(sentence, short)
            case self._RULES:
                self.reading.instructions.append(sentence)
            case self._QUESTION:
                self.reading.questions.append(sentence)
            case _:
                self.reading.fields[-1][1].append(sentence)

    def _begins(self, sentence: str, short: str, *, first: bool) -> bool:
        """Whether `sentence` was taken in as a field or option; may end the block."""
        named = _FIELD.match(short)
        if named and _is_field(named[1], first=first):
            self._read_field(named[1].strip(), sentence[named.start(2) :].strip())
            return True
        if self._block == self._OPTIONS:
            option = item(short)
            if option and (option.description or len(short.split()) <= 4):
                self.reading.options.append(option)
                return True
            self._block = None
        if self._block == self._QUESTION and self.reading.questions:
            self._block = None
        if self._after_blank and self._block is not None and _is_order(short):
            # Instructions after the material: the paragraph is theirs.
            self._block = self._RULES
        return False

    def _read_field(self, name: str, text: str) -> None:
        if self._block == self._OPTIONS and name.lower() not in MATERIAL_FIELDS:
            self.reading.options.append(Option(name, text))
        else:
            self._open(name, text)

    def _read_free(self, sentence: str, short: str) -> None:
        order = _is_order(short)
        asks = sentence.endswith("?")
        rule = self._role != "user" and bool(_SYSTEM_RULE.search(short))
        if order or asks or rule:
            self.reading.instructions.append(sentence)
            if _RULES_FOLLOW.search(short):
                self._block = self._RULES
        if arrow := _ARROW.match(short):
            self.reading.arrows.append((arrow[1], arrow[2]))
        # A question may be the ticket's own: it is material too, for the options.
        elif not (order or rule):
            self.reading.sentences.append(sentence)


def _is_option_head(name: str) -> bool:
    return bool(_OPTION_HEAD.search(name)) or not OPTION_FIELDS.isdisjoint(
        stem
        for stem, word in zip(stems(name), words(name), strict=False)
        if word.endswith("s") or word in ("catalogue", "catalog", "menu", "shortlist")
    )


def _is_field(name: str, *, first: bool) -> bool:
    """Whether `Name:` begins a field here; unknown names do at a line's start only."""
    named = name.lower().split()
    if len(named) > 4:
        return False
    if _is_order(name) and name.lower() not in MATERIAL_FIELDS:
        return False
    return first or named[-1] in MATERIAL_FIELDS or _is_option_head(name.lower())


def _is_order(sentence: str) -> bool:
    """Whether a sentence tells the model what to do, whatever it is about."""
    begin = words(sentence[:60])
    while begin and begin[0] in LEAD_INS:
        begin = begin[1:]
    return bool(begin and begin[0] in VERBS) or bool(_META.search(sentence))
