"""Braces: where a template's source has holes, tags and comments.

Jinja2 reads templates; this only finds what stands between braces, for what Jinja2
does not know: columns of any name, other tools' templates, and messages that show the
place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

QUOTED = r""" "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' """

CONSTRUCT = re.compile(
    rf"""
    (?P<raw> \{{%[-+]?\s*raw\s*-?%\}} .*? \{{%[-+]?\s*endraw\s*[-+]?%\}} )
  | (?P<comment> \{{\#.*?\#\}} )
  | (?P<tag> \{{% (?: [^"'%] | %(?!\}}) | {QUOTED} )* %\}} )
  | (?P<hole> \{{\{{ (?: [^{{}}"]* | (?: [^"'}}] | \}}(?!\}}) | {QUOTED} )* ) \}}\}} )
    """,
    re.DOTALL | re.VERBOSE,
)

LONE = re.compile(r"(?<![{$\w])\{\s*([^{}\n]+?)\s*\}(?!\})")

WORDS = ("none", "None", "true", "True", "false", "False", "self", "loop")
"""What means something to Jinja2 where it stands alone, and to nobody else."""

NO_NAME = re.compile(r"^[#/^&>!]\w|^\d+$|[{}|\"=<>~\\\n]|^\W*$")
"""What shows that something between braces is no name of a column."""


@dataclass(frozen=True)
class Part:
    """A hole, a tag, a comment or a raw part of a source, or the text between two."""

    kind: Literal["text", "raw", "comment", "tag", "hole"]
    source: str
    line: int
    """That it begins on, from 1."""

    @property
    def inner(self) -> str:
        """What stands between the braces of a hole, without white space."""
        return normal(self.source[2:-2].removeprefix("-").removesuffix("-").strip())


@cache
def parts(source: str) -> tuple[Part, ...]:
    """What a source is made of, in order."""
    return tuple(_parts(source))


def _parts(source: str) -> Iterator[Part]:
    end, line = 0, 1
    for found in CONSTRUCT.finditer(source):
        for kind, text in (
            ("text", source[end : found.start()]),
            (found.lastgroup, found[0]),
        ):
            if text:
                yield Part(kind, text, line)  # type: ignore[arg-type]
                line += text.count("\n")
        end = found.end()
    if source[end:]:
        yield Part("text", source[end:], line)


def lone_names(source: str) -> dict[str, int]:
    """What stands in single braces, as in `{name}`, and the line of the first."""
    names: dict[str, int] = {}
    for part in parts(source):
        if part.kind == "text":
            for found in LONE.finditer(part.source):
                line = part.line + part.source.count("\n", 0, found.start())
                names.setdefault(normal(found[1]), line)
    return names


def is_name(inner: str) -> bool:
    """Whether what stands in a hole can be a column's name, if it is no expression."""
    balanced = inner.count("(") == inner.count(")")
    return balanced and not NO_NAME.search(inner)


def normal(name: str) -> str:
    """A name in the one form (NFC) in which names that look the same are the same."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def shown(name: str) -> str:
    """A name for a message: signs that cannot be seen are written out."""
    return name if name.isprintable() else ascii(name)


def hole(name: str) -> str:
    """How a template writes the field of that name: `{{name}}` where that will do.

    >>> hole("ticket"), hole("User Question"), hole("a|b")
    ('{{ticket}}', '{{User Question}}', '{{inputs["a|b"]}}')
    """
    if name.isprintable() and is_name(name):
        return "{{" + name + "}}"
    signs = (
        sign
        if sign.isprintable() and sign not in '"\\'
        else "\\" + sign
        if sign in '"\\'
        else sign.encode("unicode-escape").decode()
        for sign in name
    )
    return '{{inputs["' + "".join(signs) + '"]}}'
