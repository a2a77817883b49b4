"""Choices: the answers that a request lists, such as `Teams: a, b (for c) or d`."""

import re

from promptlab.offline.responder.lexicon import WORDS

Choices = dict[str, str]
"""Labels in the order listed, each with what the request says about it."""

MAX_CHOICES = 200
_MAX_LIST = 8000
"""Characters of a list that are read."""

SELECTION = re.compile(
    r"\b(?:which|choose|pick|select|classif|categor|label|route|routing|assign|one of|"
    r"one word|only|either|best|recommend|suggest|match|decide|rank|triage|name one)",
    re.IGNORECASE,
)
"""What an instruction to choose says."""

_ITEM = re.compile(
    r"([^:(=]{1,80}?)(?:\s*\(([^()]*)\)?|\s*(?::|=| [-\u2013\u2014] )\s*(.*))?\s*",
    re.DOTALL,
)
_OUTSIDE_BRACKETS = r"(?![^()]{0,200}\))"
_QUOTED = re.compile(r"[\"\u201c'`]([^\"\u201c\u201d'`\n]{1,40})[\"\u201d'`]")
_BRACKETED = re.compile(r"[(\[]([^()\[\]\n]{3,300})[)\]]")
_CUE = re.compile(
    r"(?:\b(?:one of|either|whether|among|between|from|these|following)\b:?"
    r"(?: (?:the|these|this|following|\w+s:))*|(?<=\w):) ",
    re.IGNORECASE,
)
_WHICH = re.compile(r"\W*(?:which|what|who)\b[^,]*, ", re.IGNORECASE)
_JOINED = re.compile(r"(?:\b[\w-]{1,40}, )*\b([\w-]{1,40}),? or ([\w-]{1,40})")
_FORM = re.compile(r"\{|\b(?:json|keys?|fields?|format|sentences?|tone)\b", re.I)


def item(text: str) -> tuple[str, str] | None:
    """The label of a list item and its description; None where it has no label."""
    if (found := _ITEM.fullmatch(text.strip().replace("**", ""))) is None:
        return None
    label = found[1].strip(" \"'`\u201c\u201d\u2018\u2019*[](){}<>.,;")
    if not 1 <= len(label.split()) <= 8:
        return None
    return label, (found[2] or found[3] or "").strip()


def listed(text: str) -> Choices:
    """The choices in a list such as `a, b (for c) or d`; none if it is no list."""
    text = text[:_MAX_LIST].strip().rstrip(".?!:;").strip("[]{} ")
    mark = next((mark for mark in ";|" if mark in text), ",")
    if mark == "," not in text and "/" in text:
        mark = "/"
    *parts, last = re.split(re.escape(mark) + _OUTSIDE_BRACKETS, text)
    parts += re.split(rf"(?:^|\s)(?:or|and)\s{_OUTSIDE_BRACKETS}", last)
    items = [item(part) for part in parts if part.strip()]
    if len(items) < 2 or None in items:
        return {}
    return dict([found for found in items if found][:MAX_CHOICES])


def mentioned(sentence: str) -> Choices:
    """The choices that an instruction names in passing, such as "one of a, b or c"."""
    if _FORM.search(sentence):
        return {}
    quoted = dict.fromkeys(label.strip() for label in _QUOTED.findall(sentence))
    if len(quoted) >= 2:
        return dict.fromkeys(quoted, "")
    lists = _BRACKETED.findall(sentence)
    if SELECTION.search(sentence):
        lists += [sentence[cue.end() :] for cue in _CUE.finditer(sentence)]
    for choices in map(listed, lists):
        if choices and all(map(_is_label, choices)):
            return choices
    # "Which is better, A or B?": the choices are all after the comma.
    which = _WHICH.match(sentence)
    joined = _JOINED.search(sentence, which.end() if which else 0)
    choices = listed(joined[0]) if joined else {}
    return choices if all(map(_is_label, choices)) else {}


def _is_label(text: str) -> bool:
    """Whether `text` looks like a label rather than a piece of a sentence."""
    words = text.lower().split()
    return (
        len(words) <= 3 and WORDS["not_labels"].isdisjoint(words) and not text.isdigit()
    )
