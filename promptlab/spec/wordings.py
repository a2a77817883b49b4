"""Wordings: one prompt written in several ways that mean the same."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product
from math import factorial
from typing import Any, NamedTuple

from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.spec.prompt import Message, Prompt

WORDING = "wording"
"""The column that says which wording of its prompt a trial has."""

DRAWN = ("formats", "shots_order", "seed")
"""What may stand beside wordings in YAML: how many others are drawn, and by what."""

AS_WRITTEN = "as written"
"""The wording that a prompt is given in; the only one of other prompts."""


@dataclass(frozen=True, init=False)
class Wordings:
    """One prompt in several wordings that mean the same, to see how much that matters.

    In a grid it is one prompt: the table has its wordings in a column `wording`, the
    leaderboard averages over them, and `pl.sensitivity` says how far they are apart.
    They are the prompt as it is written, then paraphrases, then other formats, then
    other orders of its examples; each differs from the first in one way only.

    A format changes how fields and lists are written, and no word: of lines such as
    `Ticket: {{ticket}}` the separator, the letters' case and what stands between two of
    them; of lists the signs (`1.`, `1)`, `(1)`). A name counts as that of a field where
    a hole or nothing follows it, and wherever else it begins a line. Holes, code
    between ``` and what an assistant says are left as they are. The formats are those
    of FormatSpread (Sclar et al. 2024, arXiv:2310.11324), but for casings of values.

    An order changes which example comes first: of pairs of a user's and an assistant's
    message, or of lines such as `Ticket: The app closes` and `Team: technical`.

    >>> wordings = Wordings("Ticket: {{ticket}}\\nTeam:", formats=2)
    >>> list(wordings.prompts)
    ['as written', 'blank lines', 'two colons, lower case, blank lines']
    >>> wordings.prompts["two colons, lower case, blank lines"].to_plain()
    'ticket:: {{ticket}}\\n\\nteam::'

    Args:
        prompt: A string, messages, or a `Prompt`.
        paraphrases: The prompt in other words: by name, or a list.
        formats: How many other formats, drawn by `seed`.
        shots_order: How many other orders of the examples, drawn by `seed`.
        seed: The same seed draws the same formats and orders.

    Raises:
        SpecError: nothing is varied, the prompt has no fields, lists or examples that
            could be written in another way, or not so many.
    """

    prompts: Mapping[str, Prompt]
    """By the name of the wording; the first is the prompt as it is written."""

    def __init__(
        self,
        prompt: str | Prompt | Iterable[Message | Mapping[str, Any]],
        *,
        paraphrases: Mapping[str, Any] | Sequence[Any] = (),
        formats: int = 0,
        shots_order: int = 0,
        seed: int = 0,
    ) -> None:
        for name, given in (("formats", formats), ("shots_order", shots_order)):
            if isinstance(given, bool) or not isinstance(given, int) or given < 0:
                raise SpecError(f"{name}: expected an integer >= 0, got {brief(given)}")
        first = _prompt(prompt)
        prompts = {AS_WRITTEN: first, **_paraphrases(paraphrases)}
        prompts |= _formatted(first, formats, seed)
        prompts |= _reordered(first, shots_order, seed)
        if len(prompts) < 2:
            raise SpecError(
                "expected other wordings, got only the prompt as it is written; give "
                "formats=5, shots_order=3 or paraphrases=[...]"
            )
        object.__setattr__(self, "prompts", prompts)

    def __hash__(self) -> int:
        return hash(tuple(self.prompts.items()))

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        return f"Wordings({len(self)}: {', '.join(map(repr, self.prompts))})"

    def to_plain(self) -> dict[str, Any]:
        """The wordings as JSON and YAML write them."""
        return {"wordings": {n: one.to_plain() for n, one in self.prompts.items()}}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Wordings:
        """The wordings that `to_plain` wrote, or somebody by hand, who may give
        `formats`, `shots_order` and `seed` beside them.

        Raises:
            SpecError: it is no mapping of names to prompts, the first called
                'as written', another key is beside it, or as of `Wordings`.
        """
        drawn = {name: value for name, value in plain.items() if name != "wordings"}
        for name in drawn:
            if name not in DRAWN:
                raise SpecError(
                    f"unknown key {name!r} beside 'wordings'"
                    f"{did_you_mean(name, DRAWN)}; valid names: {', '.join(DRAWN)}"
                )
        named = plain["wordings"]
        if not isinstance(named, Mapping) or next(iter(named), None) != AS_WRITTEN:
            raise SpecError(
                f"wordings: expected a mapping of names to prompts, {AS_WRITTEN!r} "
                f"first, got {brief(named)}"
            )
        first, *others = named.items()
        return cls(first[1], paraphrases=dict(others), **drawn)


def _prompt(given: Any) -> Prompt:
    return given if isinstance(given, Prompt) else Prompt(given)


def _paraphrases(given: Any) -> dict[str, Prompt]:
    if isinstance(given, str) or not isinstance(given, (Mapping, Sequence)):
        raise SpecError(f"paraphrases: expected a list of prompts, got {brief(given)}")
    if not isinstance(given, Mapping):
        given = {f"paraphrase {n}": one for n, one in enumerate(given, start=1)}
    for name in given:
        if not isinstance(name, str) or not name or name == AS_WRITTEN:
            raise SpecError(
                f"paraphrases: expected a string other than {AS_WRITTEN!r} as a name, "
                f"got {name!r}"
            )
    return {name: _prompt(one) for name, one in given.items()}


# Formats: the same words, with other signs around them.


class Format(NamedTuple):
    """How fields and lists are written: names of what stands below; None is as is."""

    separator: str | None = None
    casing: str | None = None
    gap: str | None = None
    sign: str | None = None


SEPARATORS = {"dash": " - ", "equals": " = ", "two colons": ":: ", "new line": ":\n"}
"""Between the name of a field and its value."""

CASINGS: Mapping[str | None, Callable[[str], str]] = {
    None: str,
    "upper case": str.upper,
    "lower case": str.lower,
}
"""Of the names of fields."""

GAPS = {None: "\n", "blank lines": "\n\n", "bars": " | "}
"""Between two fields of which one follows the other."""

SIGNS = {"1.": "-", "1)": "*", "(1)": "•"}
"""Of numbered lists, and of others in the same format."""

KEPT = re.compile(
    r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}"
    r"|```.*?(?:```|\Z)|[\ue000\ue001]",
    re.DOTALL,
)
"""What no format changes: holes and other parts of templates, and code."""

MASKED = re.compile("\ue000([0-9]+)\ue001")
HOLE = "\ue000"

FIELD = re.compile(r"([^\W\d_][\w'’/-]*(?: [\w'’/-]+){0,2})[ \t]*:(?:[ \t]+|$)(.*)")
"""A line that begins with the name of a field, of at most three words."""

ITEM = re.compile(
    r"([ \t]*)(?:([0-9]{1,3}|[A-Za-z])[.)]|\(([0-9]{1,3}|[A-Za-z])\)|([-*•]))[ \t]+(.*)"
)
"""A line of a list: its indent, its number or sign, its text."""


def _formatted(prompt: Prompt, count: int, seed: int) -> dict[str, Prompt]:
    """The prompt in so many other formats, by their names."""
    if not count:
        return {}
    fields, written = _field_names(prompt), prompt.messages

    def in_format(one: Format) -> Prompt:
        return _rewritten(prompt, partial(_in_format, one=one, fields=fields))

    values: list[Iterable[str | None]] = [SEPARATORS, CASINGS, GAPS, SIGNS]
    parts = [
        [None, *(n for n in of if in_format(Format(**{part: n})).messages != written)]
        for part, of in zip(Format._fields, values, strict=True)
    ]
    formats = [Format(*chosen) for chosen in product(*parts)]
    random.Random(seed).shuffle(formats)
    seen, found = {written}, {}
    for one in formats:
        made = in_format(one)
        if made.messages not in seen:
            seen.add(made.messages)
            found[", ".join(part for part in one if part)] = made
        if len(found) == count:
            return found
    raise SpecError(
        f"formats={count}: this prompt can be written in {len(found)} other formats"
        if found
        else f"formats={count}: this prompt has nothing to write in another format; "
        "it needs lines such as 'Ticket: {{ticket}}', or a list, or give "
        "paraphrases=[...]"
    )


def _rewritten(prompt: Prompt, change: Callable[[str], str]) -> Prompt:
    """The prompt with another text in each message but those of assistants."""
    return prompt.with_messages(
        message
        if message.role in ("assistant", "tool")
        else replace(message, content=_changed(message.content, change))
        for message in prompt.messages
    )


def _changed(content: Any, change: Callable[[str], str]) -> Any:
    if isinstance(content, str):
        return change(content)
    if not isinstance(content, (list, tuple)):
        return content
    return [
        {**part, "text": change(part["text"])}
        if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        else part
        for part in content
    ]


def _field_names(prompt: Prompt) -> frozenset[str]:
    """What stands before a colon at the beginning of a line, where a hole or nothing
    follows it."""
    names = set()

    def look(text: str) -> str:
        for line in _masked(text)[0].split("\n"):
            if (found := FIELD.fullmatch(line)) and found[2][:1] in ("", HOLE):
                names.add(found[1])
        return text

    _rewritten(prompt, look)
    return frozenset(names)


def _masked(text: str) -> tuple[str, list[str]]:
    """The text with a number in place of each part that is kept, and these."""
    kept: list[str] = []

    def mask(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\ue000{len(kept) - 1}\ue001"

    return KEPT.sub(mask, text), kept


def _unmasked(text: str, kept: Sequence[str]) -> str:
    return MASKED.sub(lambda found: kept[int(found[1])], text)


def _in_format(text: str, one: Format, fields: frozenset[str]) -> str:
    masked, kept = _masked(text)
    lines = masked.split("\n")
    names = [_field(line, fields) for line in lines]
    items = [ITEM.fullmatch(line) for line in lines]
    parts: list[str] = []
    for place, line in enumerate(lines):
        if place:
            beside = bool(names[place - 1] and names[place])
            parts.append(GAPS[one.gap] if beside else "\n")
        if field := names[place]:
            line = _written(field, one)
        elif (item := items[place]) and _in_list(items, place):
            line = _listed(line, item, one.sign)
        parts.append(line)
    return _unmasked("".join(parts), kept)


def _field(line: str, fields: frozenset[str]) -> re.Match[str] | None:
    found = FIELD.fullmatch(line)
    return found if found and found[1] in fields else None


def _written(field: re.Match[str], one: Format) -> str:
    name = CASINGS[one.casing](field[1])
    if one.separator is None:
        return name + field[0][len(field[1]) :]
    return name + (SEPARATORS[one.separator] + field[2]).rstrip()


def _in_list(items: Sequence[re.Match[str] | None], place: int) -> bool:
    """Whether another item is next to it: a line alone may be a sentence."""
    beside = (*items[max(place - 1, 0) : place], *items[place + 1 : place + 2])
    return any(item is not None for item in beside)


def _listed(line: str, item: re.Match[str], sign: str | None) -> str:
    if sign is None:
        return line
    indent, number, enclosed, _, rest = item.groups()
    number = number or enclosed
    written = sign.replace("1", number) if number else SIGNS[sign]
    return f"{indent}{written} {rest}"


# Orders of the examples.


def _reordered(prompt: Prompt, count: int, seed: int) -> dict[str, Prompt]:
    """The prompt with its examples in so many other orders, by their names."""
    if not count:
        return {}
    in_messages = _message_shots(prompt)
    fields = _field_names(prompt)
    in_text = [
        len(_text_shots(text, fields))
        for text in (m.content for m in prompt.messages)
        if isinstance(text, str)
    ]
    shots = len(in_messages) or max(in_text, default=0)
    if shots < 2:
        raise SpecError(
            f"shots_order={count}: this prompt has no examples to reorder; it needs "
            "two or more, as messages of user and assistant, or as lines such as "
            "'Ticket: The app closes' and 'Team: technical'"
        )
    most = factorial(shots) - 1
    if count > most:
        raise SpecError(
            f"shots_order={count}: {shots} examples have {most} other "
            f"order{'s' * (most != 1)}"
        )
    found = {}
    for order in _orders(shots, count, seed):
        name = f"examples {' '.join(str(place + 1) for place in order)}"
        if in_messages:
            found[name] = prompt.with_messages(_moved(prompt, in_messages, order))
        else:
            found[name] = _rewritten(
                prompt, partial(_shots_moved, order=order, fields=fields)
            )
    return found


def _orders(shots: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """So many other orders of these, no two of them alike."""
    usual = tuple(range(shots))
    dice = random.Random(seed)
    if shots <= 6:
        every = [order for order in permutations(usual) if order != usual]
        return dice.sample(every, count)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        order = tuple(dice.sample(usual, shots))
        if order != usual:
            found[order] = None
    return list(found)


def _message_shots(prompt: Prompt) -> list[range]:
    """The places of the messages of each example: a user's and what answers it; the
    longest row of examples that follow each other."""
    roles = [message.role for message in prompt.messages]
    rows: list[list[range]] = [[]]
    place = 0
    while place < len(roles):
        end = place + 1
        while end < len(roles) and roles[end] in ("assistant", "tool"):
            end += 1
        if roles[place] == "user" and end > place + 1 and end < len(roles):
            rows[-1].append(range(place, end))
        else:
            rows.append([])
        place = end
    longest = max(rows, key=len)
    return longest if len(longest) > 1 else []


def _moved(
    prompt: Prompt, shots: Sequence[range], order: Sequence[int]
) -> Iterator[Message]:
    first, last = shots[0].start, shots[-1].stop
    yield from prompt.messages[:first]
    for place in order:
        yield from (prompt.messages[n] for n in shots[place])
    yield from prompt.messages[last:]


def _text_shots(text: str, fields: frozenset[str]) -> list[list[int]]:
    """The numbers of the lines of each example in a text: fields with values and no
    holes, the same ones in each."""
    lines = _masked(text)[0].split("\n")
    rows: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(lines):
        field = _field(line, fields)
        if field and field[2].strip() and HOLE not in field[2]:
            rows[-1].append((number, field[1]))
        elif line.strip():
            rows.append([])
    longest = max((_split(row) for row in rows), key=len)
    return longest if len(longest) > 1 else []


def _split(row: Sequence[tuple[int, str]]) -> list[list[int]]:
    """The examples in fields that follow each other: each begins with the same name
    and has the same names; none if they do not."""
    shots: list[list[tuple[int, str]]] = []
    for number, name in row:
        if name == row[0][1]:
            shots.append([])
        shots[-1].append((number, name))
    alike = {tuple(name for _, name in shot) for shot in shots}
    return [[number for number, _ in shot] for shot in shots] if len(alike) == 1 else []


def _shots_moved(text: str, order: Sequence[int], fields: frozenset[str]) -> str:
    shots = _text_shots(text, fields)
    if len(shots) != len(order):
        return text
    masked, kept = _masked(text)
    old = masked.split("\n")
    new = list(old)
    for shot, place in zip(shots, order, strict=True):
        for here, there in zip(shot, shots[place], strict=True):
            new[here] = old[there]
    return _unmasked("\n".join(new), kept)
