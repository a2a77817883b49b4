"""Named scorers: their options, their registry, and how a config writes them."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from inspect import Parameter
from typing import Any, ParamSpec, TypedDict

import orjson

from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.results.record import Score
from promptlab.scoring.rows import Unreadable
from promptlab.scoring.scorer import Call, Scorer, by_row, made_scorer
from promptlab.scoring.transforms import TransformOption, made_transform

P = ParamSpec("P")


class Named(TypedDict, total=False):
    """The options of every named scorer."""

    name: str
    """Of the score; default: the scorer's."""
    weight: float
    """How much it counts in `weighted` and among the checks of a case; default: 1."""


class Measured(Named, total=False):
    """The options of a named scorer that gives a number."""

    threshold: float
    """The least number that is right; the greatest where lower is better."""


class Text(Named, total=False):
    """The options of a named scorer of the output's text."""

    transform: TransformOption
    """Takes the part to score, such as `last_line`."""
    ignore_case: bool
    """Default: False."""
    strip: bool
    """Whether white space around is left out; default: True."""


class MeasuredText(Text, Measured, total=False):
    """The options of a named scorer that measures the output's text."""


OPTIONS = {
    "transform": "Takes the part of the output to score: a function, such as "
    "scorers.last_line, its name, or a list of these.",
    "ignore_case": "Whether upper and lower case are the same; default: False.",
    "strip": "Whether white space around the output is left out; default: True.",
    "threshold": "The least number that is right; the greatest where lower is better.",
    "weight": "How much it counts in weighted and among the checks of a case.",
    "name": "Of the score; default: the scorer's.",
    "scale": "The lowest and the highest integer, such as (1, 5).",
    "examples": "Verdicts to go by, each with output and verdict.",
    "reasoning": "Whether it comes before the verdict, after it, or not (None).",
    "repeats": "How often each output is judged; default: 1.",
    "temperature": "Of the judge; default: the server's.",
    "max_tokens": "Of a judgement, reasoning included.",
    "base_url": "The server that is asked; default: that of the run.",
    "structured": "Whether a JSON Schema binds the reply; default: True.",
}

REGISTRY: dict[str, Callable[..., Scorer]] = {}
"""The named scorers, under each of their names."""


def named(
    options: type, *aliases: str
) -> Callable[[Callable[P, Scorer]], Callable[P, Scorer]]:
    """Makes a function that gives a scorer a named one: checks what it is given, and
    shows its options in its signature and its docstring."""

    def decorate(factory: Callable[P, Scorer]) -> Callable[P, Scorer]:
        name = factory.__name__
        own = inspect.signature(factory)
        taken = sorted(options.__annotations__, key=list(OPTIONS).index)
        parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        parameters += [
            Parameter(n, Parameter.KEYWORD_ONLY, default=None) for n in taken
        ]
        signature = own.replace(parameters=parameters)

        known = [
            n for n, p in signature.parameters.items() if p.kind is not p.VAR_POSITIONAL
        ]

        @wraps(factory)
        def make(*args: P.args, **given: P.kwargs) -> Scorer:
            options: dict[str, Any] = given
            for option in options:
                if option not in known:
                    raise SpecError(
                        f"{name}: unknown option {option!r}"
                        + (did_you_mean(option, known) or _valid(known))
                    )
            try:
                arguments = signature.bind(*args, **options).arguments
            except TypeError as error:
                raise SpecError(f"{name}: {error}{_valid(known)}") from None
            try:
                scorer = factory(*args, **given)
                common = ("name", "threshold", "weight")
                given_too = {n: options[n] for n in common if n in options}
                return replace(
                    scorer,
                    **{"name": scorer.name or name, **given_too},
                    plain=_plain(name, arguments),
                )
            except SpecError as error:
                raise SpecError(f"{name}: {error}") from None

        make.__dict__["__signature__"] = signature
        lines = [f"    {n}: {OPTIONS[n]}" for n in taken]
        make.__doc__ = "\n".join(
            [inspect.cleandoc(factory.__doc__ or ""), "", "Options:", *lines]
        )
        for each in (name, *aliases):
            REGISTRY[each] = make
        return make

    return decorate


def made(given: Any) -> Scorer:
    """A scorer from what may stand for one: a scorer, a function, the name of a named
    one, or `{name: value}` and `{name: {option: value}}`, as in a config.

    Raises:
        SpecError: it is none of these, or an option is wrong.
    """
    if isinstance(given, Scorer):
        return given
    if isinstance(given, str):
        return _factory(given)()
    if isinstance(given, Mapping):
        if len(given) != 1:
            raise SpecError(
                "expected one scorer with its value, such as {contains: please}, got "
                f"{brief(dict(given))}"
            )
        ((name, value),) = given.items()
        factory = _factory(name)
        if value is None:
            return factory()
        if isinstance(value, Mapping):
            return _with_options(factory, name, value)
        if isinstance(value, list) and name in ("all_of", "any_of", "weighted"):
            return factory(*value)
        return factory(value)
    if given in REGISTRY.values():
        return given()  # type: ignore[no-any-return]
    return made_scorer(given)


def _with_options(
    factory: Callable[..., Scorer], name: str, options: Mapping[str, Any]
) -> Scorer:
    options = dict(options)
    scorers = options.pop("scorers", None)
    if isinstance(scorers, list):
        return factory(*scorers, **options)
    if name in ("not_", "not") and not set(options) & {"scorer"}:
        return factory(options)
    return factory(**options)


def _factory(name: Any) -> Callable[..., Scorer]:
    """The named scorer of a name, as promptfoo writes it too: `contains-any`,
    `not-contains`."""
    word = str(name).replace("-", "_")
    if word in REGISTRY:
        return REGISTRY[word]
    if word == "not":
        return REGISTRY["not_"]
    positive = word.removeprefix("not_")
    if positive != word and positive in REGISTRY:
        inner = REGISTRY[positive]

        def negated(*args: Any, **options: Any) -> Scorer:
            common = {n: options.pop(n) for n in ("name", "weight") if n in options}
            return REGISTRY["not_"](inner(*args, **options), **common)

        return negated
    raise SpecError(
        f"no scorer is called {name!r}"
        + (did_you_mean(word, REGISTRY) or _valid(sorted(REGISTRY)))
    )


def _valid(names: Sequence[str]) -> str:
    return f"; valid names: {', '.join(names)}"


def _plain(name: str, arguments: Mapping[str, Any]) -> Any:
    """How a config writes it; None if that holds no such values."""
    plain = {
        key: [*map(_plain_value, value)]
        if isinstance(value, tuple)
        else _plain_value(value)
        for key, value in arguments.items()
        if value is not None
    }
    try:
        orjson.dumps(plain)
    except TypeError:
        return None
    if not plain:
        return name
    first, *rest = plain
    value = plain[first]
    if (
        not rest
        and not isinstance(value, Mapping)
        and first in ("value", "scorers", "values", "pattern", "path")
    ):
        return {name: value}
    return {name: plain}


def _plain_value(value: Any) -> Any:
    return value.plain or object() if isinstance(value, Scorer) else value


# The text that is scored.


def as_text(value: Any) -> str:
    """A value as a string; other values as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def reader(options: Mapping[str, Any]) -> Callable[[Any], str]:
    """Gives the text to score of an output: the part that `transform` takes, in NFC,
    without case if that is ignored."""
    part = options.get("transform")
    normal = normalizer(options)
    if part is None:
        return normal
    transform = made_transform(part)
    return lambda output: normal(transform(output))


def normalizer(options: Mapping[str, Any]) -> Callable[[Any], str]:
    """As `reader`, for what an output is compared with: without the transform."""
    strip = options.get("strip", True)
    ignore_case = options.get("ignore_case", False)
    for name, value in (("strip", strip), ("ignore_case", ignore_case)):
        if not isinstance(value, bool):
            raise SpecError(f"{name}: expected true or false, got {brief(value)}")
    normalize = unicodedata.normalize

    def normal(value: Any) -> str:
        text = normalize("NFC", value if type(value) is str else as_text(value))
        if ignore_case:
            text = normalize("NFC", text.casefold())
        return text.strip() if strip else text

    return normal


def compared(
    test: Callable[[Any, Any], Any],
    value: Any,
    to: str,
    options: Mapping[str, Any],
    *,
    wrong: bool | float = False,
    target: Callable[[Any], Any] | None = None,
    read: Callable[[Any], Any] | None = None,
    **more: Any,
) -> Scorer:
    """A scorer that tests each output against a value, or what a column has.

    Outputs are read by `read`, what they are compared with by `target`. An output that
    cannot be read is `wrong`; a row without anything to compare with has no score.
    """
    read = read or reader(options)
    target = target or normalizer(options)
    if value is not None:
        wanted = target(value)

        def against_value(output: str) -> Any:
            try:
                return test(read(output), wanted)
            except Unreadable as error:
                return Score(wrong, str(error))

        call = Call(against_value, ("output",))
    else:

        def against_column(output: str, expected: Any) -> Any:
            if expected is None:
                return Score(None, f"the case has no {to!r}")
            wanted = target(expected)
            try:
                return test(read(output), wanted)
            except Unreadable as error:
                return Score(wrong, str(error))

        call = Call(against_column, ("output", to))
    return Scorer(name="", evaluate=by_row(call), needs=call.arguments, **more)
