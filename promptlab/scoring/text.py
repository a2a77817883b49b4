"""Scorers of text: the same, contained, a number, a choice, how similar."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Unpack

import orjson

from promptlab.errors import SpecError, brief
from promptlab.results.record import Score
from promptlab.scoring.named import (
    MeasuredText,
    Named,
    Text,
    compared,
    named,
    normalizer,
    reader,
)
from promptlab.scoring.rows import Unreadable
from promptlab.scoring.scorer import Call, Scorer, by_row
from promptlab.scoring.transforms import compiled_regex
from promptlab.spec.response import is_withheld

# The same, or contained.


@named(Text, "equals")
def exact(
    value: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether the output is the value, or what the column `to` has."""
    return compared(str.__eq__, value, to, options)


@named(Text)
def contains(
    value: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether the output contains the value, or what the column `to` has."""
    return compared(
        str.__contains__, value, to, options, target=_sought(normalizer(options))
    )


@named(Text)
def icontains(
    value: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """As `contains`, whatever the case of letters."""
    return contains.__wrapped__(  # type: ignore[attr-defined,no-any-return]
        value, to=to, **{**options, "ignore_case": True}
    )


@named(Text)
def contains_any(
    values: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether the output contains one of the values, or of what the column `to` has, a
    list."""

    def test(output: str, values: Sequence[str]) -> bool:
        return any(value in output for value in values)

    return compared(test, values, to, options, target=_several(options))


@named(Text)
def contains_all(
    values: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether the output contains each of the values, or of what the column `to` has, a
    list."""

    def test(output: str, values: Sequence[str]) -> bool | Score:
        missing = [repr(value) for value in values if value not in output]
        return Score(False, f"missing: {', '.join(missing)}") if missing else True

    return compared(test, values, to, options, target=_several(options))


@named(Text)
def icontains_any(
    values: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """As `contains_any`, whatever the case of letters."""
    return contains_any.__wrapped__(  # type: ignore[attr-defined,no-any-return]
        values, to=to, **{**options, "ignore_case": True}
    )


@named(Text)
def icontains_all(
    values: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """As `contains_all`, whatever the case of letters."""
    return contains_all.__wrapped__(  # type: ignore[attr-defined,no-any-return]
        values, to=to, **{**options, "ignore_case": True}
    )


@named(Text)
def starts_with(
    value: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether the output starts with the value, or what the column `to` has."""
    return compared(
        str.startswith, value, to, options, target=_sought(normalizer(options))
    )


@named(Text)
def one_of(
    values: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether the output is one of the values, or of what the column `to` has, a
    list."""

    def test(output: str, values: Sequence[str]) -> bool:
        return output in values

    return compared(test, values, to, options, target=_several(options))


@named(Text)
def regex(
    pattern: str | None = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether Python's regular expression is found anywhere in the output; default: the
    one that the column `to` has."""
    ignore_case = options.pop("ignore_case", False)

    @lru_cache(maxsize=256)
    def target(pattern: str) -> re.Pattern[str]:
        return compiled_regex(pattern, ignore_case=ignore_case)

    def test(output: str, pattern: re.Pattern[str]) -> bool:
        return pattern.search(output) is not None

    return compared(test, pattern, to, options, target=target)


def _sought(normal: Callable[[Any], str]) -> Callable[[Any], str]:
    """What is looked for in an output, which cannot be empty."""

    def target(value: Any) -> str:
        if not (text := normal(value)):
            raise SpecError("an empty string is in every output; say what to look for")
        return text

    return target


def _several(options: Mapping[str, Any]) -> Callable[[Any], tuple[str, ...]]:
    """The values of a list, also of one that is written as JSON, as in a CSV file."""
    sought = _sought(normalizer(options))

    def target(values: Any) -> tuple[str, ...]:
        if isinstance(values, str) and values.lstrip().startswith("["):
            try:
                values = orjson.loads(values)
            except orjson.JSONDecodeError:
                values = [values]
        elif not isinstance(values, (list, tuple, set, frozenset)):
            values = [values]
        if not values:
            raise SpecError("expected a list of strings, got an empty one")
        return tuple(sought(value) for value in values)

    return target


# Numbers and choices.


@named(Text)
def number(
    value: float | str | None = None,
    *,
    to: str = "expected",
    tolerance: float = 0.0,
    relative: float = 1e-9,
    which: Literal["last", "first", "only"] = "last",
    decimal: Literal[".", ","] = ".",
    **options: Unpack[Text],
) -> Scorer:
    """Whether the last number of the output is the value, or what the column `to` has.

    Units, currencies and thousands separators are left out: `$1,234.50` is 1234.5.

    Args:
        value: The number; default: what the column `to` has.
        to: The column.
        tolerance: How far it may be away.
        relative: How far it may be away, as a share of the value.
        which: Which number of the output counts: the last, the first, or the only one.
        decimal: The decimal separator of the output, `.` or `,`.
    """
    if decimal not in (".", ",") or which not in ("last", "first", "only"):
        raise SpecError(
            "expected decimal '.' or ',' and which 'last', 'first' or 'only', got "
            f"{decimal!r} and {which!r}"
        )
    text = reader(options)

    def read(output: Any) -> float:
        found = numbers(text(output), decimal)
        if not found:
            raise Unreadable("no number in the output")
        if which == "only" and len(set(found)) > 1:
            raise Unreadable(f"{len(found)} numbers in the output")
        return found[0 if which == "first" else -1]

    def target(value: Any) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        found = numbers(str(value), ".")
        if len(found) != 1:
            raise SpecError(f"expected a number, got {brief(value)}")
        return found[0]

    def test(got: float, wanted: float) -> bool | Score:
        right = math.isclose(got, wanted, rel_tol=relative, abs_tol=tolerance)
        return True if right else Score(False, f"{got:g} is not {wanted:g}")

    return compared(test, value, to, options, read=read, target=target)


NUMBER = {
    decimal: re.compile(
        rf"(?<![\w{decimal}])[-+\u2212]?"  # not in a word, nor in another number
        rf"(?:\d{{1,3}}(?:[{group}\u00a0\u202f'’]\d{{3}})+(?!\d)|\d+)"
        rf"(?:[{decimal}]\d+)?(?:[eE][-+]?\d+(?!\w))?"
        rf"|(?<![\w{decimal}])[-+\u2212]?[{decimal}]\d+"
    )
    for decimal, group in ((".", ","), (",", "."))
}
GROUPS = str.maketrans("", "", "\u00a0\u202f'’")


def numbers(text: str, decimal: str = ".") -> list[float]:
    """The numbers in a text."""
    group = "," if decimal == "." else "."
    found = []
    for match in NUMBER[decimal].findall(text):
        plain = match.replace(group, "").replace(decimal, ".").replace("\u2212", "-")
        found.append(float(plain.translate(GROUPS)))
    return found


@named(Text)
def choice(
    choices: Sequence[str] | Mapping[str, str] | None = None,
    *,
    value: str | None = None,
    to: str = "expected",
    **options: Unpack[Text],
) -> Scorer:
    """Whether the choice in the output, a letter or a label, is the value, or what the
    column `to` has: `B`, `B)`, `(b) Paris`, `**Answer: B**`.

    Args:
        choices: The labels, or the label of each letter; default: the letters A to Z.
        value: The right one; default: what the column `to` has.
        to: The column.
    """
    find = _Choices(choices)
    text = reader({**options, "ignore_case": False})

    def test(got: str, wanted: str) -> bool | Score:
        return True if got == wanted else Score(False, f"chose {got}")

    def target(value: Any) -> str:
        try:
            return find(str(value))
        except Unreadable:
            if choices is not None:
                raise SpecError(
                    f"expected one of {', '.join(find.names)}, got {brief(value)}"
                ) from None
            return str(value)

    return compared(
        test, value, to, options, read=lambda o: find(text(o)), target=target
    )


class _Choices:
    """Finds the choice that a text makes."""

    def __init__(self, choices: Sequence[str] | Mapping[str, str] | None) -> None:
        if isinstance(choices, Mapping):
            self.names = {str(k): str(label) for k, label in choices.items()}
        elif choices is None:
            self.names = dict.fromkeys(string.ascii_uppercase, "")
        elif isinstance(choices, Sequence) and not isinstance(choices, str):
            self.names = {str(label): "" for label in choices}
        else:
            raise SpecError(f"choices: expected a list of labels, got {brief(choices)}")
        if not self.names:
            raise SpecError("choices: expected a list of labels, got none")
        self._by_word = {
            word.casefold(): name
            for name, label in self.names.items()
            for word in (label, name)
            if word
        }
        given = sorted(
            {*self.names, *self.names.values()} - {""}, key=len, reverse=True
        )
        words = "|".join(map(re.escape, given))
        # A lone letter within a sentence counts in its own case only, as "a" is a word.
        word = rf"(?:({words})(?=[^\w\s]|\s*$)|((?-i:{words}))(?!\w))"
        self._signs = [
            re.compile(sign, re.IGNORECASE | re.MULTILINE)
            for sign in (
                rf"\b(?:answer|choice|option|label)\b(?:\s+is|\s*[:=])?\W{{0,12}}{word}",
                rf"\\boxed\{{\W*({words})\W*\}}|[(\[]({words})[)\]]",
                rf"^[^\w\n]*({words})[^\w\n]*$",
                rf"\A\W*({words})[).:\]](?!\w)",
            )
        ]
        letters = all(len(word) == 1 for word in given)
        self._any = re.compile(
            rf"(?<!\w)({words})(?!\w)", 0 if letters else re.IGNORECASE
        )

    def __call__(self, text: str) -> str:
        if name := self._by_word.get(text.strip().casefold()):
            return name
        for sign in self._signs:
            if found := [w for match in sign.findall(text) for w in _whole(match) if w]:
                return self._by_word[found[-1].casefold()]
        words = self._any.findall(text)
        names = dict.fromkeys(
            self._by_word[word.casefold()] for word in words if word not in ("A", "I")
        )
        if len(names) == 1:
            return next(iter(names))
        if names:
            raise Unreadable(f"the output names {', '.join(names)}")
        raise Unreadable("no choice in the output")


def _whole(match: str | tuple[str, ...]) -> tuple[str, ...]:
    return (match,) if isinstance(match, str) else match


# How similar, how long.


@named(MeasuredText)
def levenshtein(
    value: Any = None,
    *,
    to: str = "expected",
    distance: bool = False,
    **options: Unpack[MeasuredText],
) -> Scorer:
    """How similar the output is to the value, or to what the column `to` has: 1 minus
    the number of edits as a share of the longer text; with `distance`, that number."""
    from rapidfuzz.distance import Levenshtein

    measure = Levenshtein.distance if distance else Levenshtein.normalized_similarity
    return compared(
        lambda output, target: measure(output, target),
        value,
        to,
        options,
        lower_is_better=distance,
    )


@named(MeasuredText)
def rouge(
    value: Any = None,
    *,
    to: str = "expected",
    kind: Literal["rouge1", "rouge2", "rougeL"] = "rougeL",
    measure: Literal["f", "precision", "recall"] = "f",
    **options: Unpack[MeasuredText],
) -> Scorer:
    """ROUGE, 0 to 1: how many words (`rouge1`), pairs of words (`rouge2`), or words in
    their order (`rougeL`) the output shares with the value, or with what the column
    `to` has. Words are letters and digits in lower case, without stemming."""
    if kind not in ("rouge1", "rouge2", "rougeL") or measure not in MEASURES:
        raise SpecError(
            "expected kind 'rouge1', 'rouge2' or 'rougeL' and measure 'f', 'precision' "
            f"or 'recall', got {kind!r} and {measure!r}"
        )
    length = {"rouge1": 1, "rouge2": 2}.get(kind)

    def test(output: str, target: str) -> float:
        got, wanted = _words(output), _words(target)
        if length is None:
            common = _in_order(got, wanted)
            return MEASURES[measure](common, len(got), len(wanted))
        ours, theirs = _grams(got, length), _grams(wanted, length)
        common = (ours & theirs).total()
        return MEASURES[measure](common, ours.total(), theirs.total())

    return compared(test, value, to, options, wrong=0.0)


def _share(common: int, total: int) -> float:
    return common / total if total else 0.0


MEASURES: dict[str, Callable[[int, int, int], float]] = {
    "f": lambda common, got, wanted: _share(2 * common, got + wanted),
    "precision": lambda common, got, wanted: _share(common, got),
    "recall": lambda common, got, wanted: _share(common, wanted),
}


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _grams(words: Sequence[str], length: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(length)), strict=False))


def _in_order(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """The length of the longest sequence of words that both have in order."""
    from rapidfuzz.distance import LCSseq

    return LCSseq.similarity(ours, theirs)


@named(MeasuredText)
def bleu(
    value: Any = None, *, to: str = "expected", **options: Unpack[MeasuredText]
) -> Scorer:
    """BLEU of the sentence, 0 to 1, by sacrebleu."""
    return _sacrebleu("sentence_bleu", value, to, options)


@named(MeasuredText)
def chrf(
    value: Any = None, *, to: str = "expected", **options: Unpack[MeasuredText]
) -> Scorer:
    """chrF, 0 to 1, by sacrebleu."""
    return _sacrebleu("sentence_chrf", value, to, options)


def _sacrebleu(
    function: str, value: Any, to: str, options: Mapping[str, Any]
) -> Scorer:
    try:
        import sacrebleu
    except ImportError:
        raise SpecError(
            "it needs sacrebleu: pip install 'promptlab-notebook[metrics]'"
        ) from None
    measure = getattr(sacrebleu, function)
    references = _references(options)

    def test(output: str, targets: Sequence[str]) -> float:
        return min(
            float(measure(output, targets).score) / 100, 1.0
        )  # 100.00000000000004

    return compared(test, value, to, options, wrong=0.0, target=references)


def _references(options: Mapping[str, Any]) -> Callable[[Any], list[str]]:
    """One reference, or several in a list."""
    normal = normalizer(options)
    return lambda value: [
        normal(each) for each in (value if isinstance(value, list) else [value])
    ]


UNITS: dict[str, Callable[[str], int]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
    "lines": lambda text: len(text.splitlines()),
}


@named(MeasuredText)
def length(
    unit: Literal["characters", "words", "lines"] = "words",
    *,
    least: int | None = None,
    most: int | None = None,
    **options: Unpack[MeasuredText],
) -> Scorer:
    """How many words, characters or lines the output has; with `least` or `most`,
    whether it is within these, both included."""
    if unit not in UNITS:
        raise SpecError(f"expected one of {', '.join(UNITS)}, got {unit!r}")
    read, count = reader(options), UNITS[unit]

    def row(output: str) -> int | Score:
        try:
            found = count(read(output))
        except Unreadable as error:
            return Score(None, str(error))
        if least is None and most is None:
            return found
        within = (least is None or found >= least) and (most is None or found <= most)
        return Score(within, f"{found:,} {unit}")

    return Scorer(name="", evaluate=by_row(Call(row, ("output",))), needs=("output",))


CANNOT = r"(?:can't|cannot|am unable to|am not able to|won't|will not|must decline to)"
REFUSALS = re.compile(
    rf"\bI(?:'m| am) (?:\w+ )?sorry,? (?:but )?(?:I )?{CANNOT}"
    rf"|\bI {CANNOT} (?:help|assist|provide|comply|fulfill|answer|do that|create"
    r"|generate|support|write|discuss|engage|share|offer)\b"
    rf"|\bas an AI(?: language model)?,? I (?:{CANNOT}|do not|don't)"
    r"|\b(?:can't|cannot|unable to) (?:help|assist|comply) with (?:that|this|your)\b",
    re.IGNORECASE,
)


@named(Named)
def refusal(**options: Unpack[Named]) -> Scorer:
    """Whether the model did not answer: it says so in its reply, a content filter
    withheld the answer, or the answer begins as refusals do in English."""

    def row(
        output: str, refusal: Any = None, finish_reason: Any = None
    ) -> bool | Score:
        if isinstance(refusal, str) and refusal:
            return Score(True, "the reply is a refusal")
        if is_withheld(finish_reason):
            return Score(True, f"finish_reason {finish_reason}")
        match = REFUSALS.search(output[:400].replace("’", "'"))
        return Score(True, f"says {match[0]!r}") if match else False

    call = Call.of(row, "refusal")
    return Scorer(name="is_refusal", evaluate=by_row(call), needs=("output",))
