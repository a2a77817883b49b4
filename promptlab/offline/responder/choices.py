"""Options: the answers that a request lists to choose from."""

import re
from dataclasses import dataclass

from promptlab.offline.responder.keywords import NOT_LABELS

MAX_OPTIONS = 200
_MAX_LABEL_WORDS = 8

_BRACKETS = "[](){}<>"
_QUOTES = "\"'`\u201c\u201d\u2018\u2019*"
_ITEM = re.compile(
    r"^(?P<label>[^:(=]{1,80}?)"
    r"(?:\s*\((?P<inside>[^()]*)\)?|\s*(?::|=| [-\u2013\u2014] )\s*(?P<after>.*))?\s*$",
    re.DOTALL,
)
_CHOICE_CUE = re.compile(
    r"\b(?:one of|from|among|between|these|following)\b:?"
    r"(?: (?:the|these|this|following|"
    r"(?:teams?|labels?|categories|options|words|values|classes|genres)\b:?))*:? ",
    re.IGNORECASE,
)
_OR_CUE = re.compile(
    r"\b(?:either|whether|into|as|with|is|say|only|are|answer|reply)\b:?"
    r"(?: (?:the|this|it|is|just|only|either|as)\b)*:? ",
    re.IGNORECASE,
)
_COLON_CUE = re.compile(
    r"\b(?:which|choose|pick|select|classif\w*|one of|one word|labels?|only|either|"
    r"following|categor\w*|teams?|options?)\b",
    re.IGNORECASE,
)
_NO_COLON_CUE = re.compile(
    r"\b(?:json|keys?|fields?|format|sentences?|include|mention|tone)\b", re.IGNORECASE
)
_WHICH = re.compile(r"\W*(?:which|what|who)\b[^,]*, [^,]+ or ", re.IGNORECASE)
_QUOTED = re.compile(r"[\"\u201c'`]([^\"\u201c\u201d'`\n]{1,40})[\"\u201d'`]")
_IN_BRACKETS = re.compile(r"[(\[]([^()\[\]\n]{3,300})[)\]]")


@dataclass(frozen=True)
class Option:
    """A possible answer, and what the request says about it."""

    label: str
    description: str = ""


def item(text: str) -> Option | None:
    """The option in one list item: `label`, `label: description`, `label (…)`."""
    text = text.strip().replace("**", "")
    if (found := _ITEM.match(text)) is None:
        return None
    label = found["label"].strip().strip(_QUOTES + _BRACKETS).rstrip(".,;").strip()
    if not label or len(label.split()) > _MAX_LABEL_WORDS:
        return None
    return Option(label, (found["inside"] or found["after"] or "").strip())


def listed(text: str) -> tuple[Option, ...]:
    """The options in a list such as `a, b (for c) or d`; none if it is no list."""
    text = text.strip().rstrip(".?!:;").strip().strip("[]{}")
    if ";" in text:
        parts = text.split(";")
    elif "|" in text:
        parts = text.split("|")
    elif "/" in text and "," not in text:
        parts = text.split("/")
    else:
        parts = _outside_brackets(text)
    options = [item(part) for part in parts if part.strip()]
    found = tuple(option for option in options if option is not None)
    return found[:MAX_OPTIONS] if len(found) == len(options) >= 2 else ()


def _outside_brackets(text: str) -> list[str]:
    """`text` cut at commas, and at "or" or "and" in the last part, not in brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth <= 0:
            parts.append(text[start:at])
            start = at + 1
    last = text[start:]
    for joint in (" or ", " and "):
        before, found, after = last.rpartition(joint)
        if found and "(" not in after.replace("(", "", after.count(")")):
            return [*parts, before, after]
    return [*parts, re.sub(r"^\s*(?:or|and)\s+", "", last)]


def mentioned(sentence: str) -> tuple[Option, ...]:
    """The options that an instruction names in passing, such as "one of a, b or c"."""
    if "{" in sentence:
        # A template of JSON: its quoted words are keys.
        return ()
    quoted = tuple(dict.fromkeys(q.strip() for q in _QUOTED.findall(sentence)))
    if len(quoted) >= 2 and all(len(q.split()) <= 4 for q in quoted):
        return tuple(Option(label) for label in quoted)
    for inside in _IN_BRACKETS.findall(sentence):
        if options := _short(listed(inside), 3 if "," in inside else 2):
            return options
    head, colon, tail = sentence.partition(":")
    if colon and _COLON_CUE.search(head) and not _NO_COLON_CUE.search(head):
        options = _short(listed(tail))
        if options:
            return options
    if _WHICH.match(sentence):
        # "Which is better, A or B?": the options are all after the comma.
        sentence = sentence.partition(", ")[2] or sentence
    for cue in (*_CHOICE_CUE.finditer(sentence), *_OR_CUE.finditer(sentence)):
        tail = sentence[cue.end() :]
        joints = (" or ", ", ", " and ", "/") if cue.re is _CHOICE_CUE else (" or ",)
        if any(joint in tail for joint in joints) and (options := _short(listed(tail))):
            return options
    return _alternatives(sentence)


def _alternatives(sentence: str) -> tuple[Option, ...]:
    """The single words joined by "or", as in "Is it good, bad or fair?"."""
    before, found, after = sentence.rpartition(" or ")
    last = re.match(r"[\w-]+", after)
    if not found or last is None:
        return ()
    labels = [last[0]]
    parts = before.rstrip(", ").split(", ")
    for part in reversed(parts):
        word = re.search(r"[\w-]+$", part)
        if word is None:
            break
        labels.insert(0, word[0])
        if word[0] != part:
            break
    if any(label.lower() in NOT_LABELS or label.isdigit() for label in labels):
        return ()
    return tuple(Option(label) for label in labels)


def _short(options: tuple[Option, ...], at_least: int = 2) -> tuple[Option, ...]:
    """`options` if all look like labels rather than pieces of a sentence."""
    fits = len(options) >= at_least and all(
        len(option.label.split()) <= 3
        and not NOT_LABELS & set(option.label.lower().split())
        for option in options
    )
    return options if fits else ()
