"""Scorers of structure: JSON, tool calls, and what the call itself took."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, Unpack

import orjson

from promptlab.errors import SpecError, brief
from promptlab.formats import shortened
from promptlab.results.json_answers import json_values, without_fences
from promptlab.results.record import Record, Score
from promptlab.scoring.jsonpath import Path
from promptlab.scoring.named import Measured, Named, Text, compared, named, normalizer
from promptlab.scoring.rows import Unreadable, parsed
from promptlab.scoring.scorer import Call, Scorer, by_row
from promptlab.scoring.transforms import made_transform
from promptlab.spec.schemas import response_format

Check = Callable[[Any], str | None]
"""What is wrong with a value; None if nothing is."""


# JSON.


class Json(Named, total=False):
    """The options of a scorer of JSON."""

    transform: Any
    """Takes the part to score, such as `strip_fences`."""


@named(Json)
def is_json(
    schema: Mapping[str, Any] | type | None = None, **options: Unpack[Json]
) -> Scorer:
    """Whether the whole output is JSON, and as the schema says: a JSON Schema, a
    pydantic class, a dataclass or a TypedDict."""
    check, transform = checker(schema), _transform(options)

    def row(output: str) -> bool | Score:
        try:
            wrong = check(parsed(transform(output)))
        except Unreadable as error:
            wrong = str(error)
        return Score(False, wrong) if wrong else True

    return _of_output(row)


@named(Json)
def contains_json(
    schema: Mapping[str, Any] | type | None = None, **options: Unpack[Json]
) -> Scorer:
    """Whether the output has a JSON object or list anywhere, as the schema says."""
    check, transform = checker(schema), _transform(options)

    def row(output: str) -> bool | Score:
        wrong: str | None = "the output has no JSON in it"
        try:
            for value in json_values(transform(output)):
                if (wrong := check(value)) is None:
                    return True
        except Unreadable as error:
            wrong = str(error)
        return Score(False, wrong)

    return _of_output(row)


@named(Text)
def json_field(
    path: str, value: Any = None, *, to: str = "expected", **options: Unpack[Text]
) -> Scorer:
    """Whether what a JSONPath, such as `$.label`, finds in the output's JSON is the
    value, or what the column `to` has.

    Where that is an object, the same path is looked up in it.
    """
    query, normal = Path(path), normalizer(options)
    part = made_transform(options.get("transform") or without_fences)

    def read(output: str) -> Any:
        document = part(output)
        return query.one(parsed(document) if isinstance(document, str) else document)

    def target(expected: Any) -> Any:
        if isinstance(expected, str) and expected.lstrip().startswith(("{", "[")):
            try:
                expected = parsed(expected)
            except Unreadable:
                return expected
        found = query.all(expected)
        return (found[0] if len(found) == 1 else found) if found else expected

    def test(found: Any, wanted: Any) -> bool | Score:
        if same(found, wanted, normal):
            return True
        return Score(False, f"{path} is {brief(found)}, not {brief(wanted)}")

    return compared(test, value, to, options, read=read, target=target)


def same(found: Any, wanted: Any, normal: Callable[[Any], str]) -> bool:
    """Whether two JSON values are the same. A string is as a number or a truth value
    that it is the JSON of, as in a CSV file."""
    if isinstance(wanted, str) and not isinstance(found, (dict, list)):
        return normal(found) == normal(wanted) or (
            not isinstance(found, str)
            and _loaded(wanted) == found
            and found is not None
        )
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, (int, float)) and isinstance(wanted, (int, float)):
        return math.isclose(found, wanted, rel_tol=1e-9)
    if isinstance(found, dict) and isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(
            same(found[key], wanted[key], normal) for key in found
        )
    if isinstance(found, list) and isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(
            same(a, b, normal) for a, b in zip(found, wanted, strict=True)
        )
    return bool(found == wanted)


def _loaded(text: str) -> Any:
    try:
        return orjson.loads(text.strip().lower())
    except orjson.JSONDecodeError:
        return None


def checker(schema: Any) -> Check:
    """Says what is wrong with a value, by a JSON Schema or a class.

    Raises:
        SpecError: it is neither, or not valid.
    """
    if schema is None:
        return lambda value: None
    if isinstance(schema, type):
        if hasattr(schema, "model_validate"):
            return _by_pydantic(schema)
        schema = response_format(schema)["json_schema"]["schema"]
    if not isinstance(schema, Mapping):
        raise SpecError(
            f"schema: expected a JSON Schema or a class, got {brief(schema)}"
        )
    from jsonschema import FormatChecker  # slow to import
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import validator_for

    kind = validator_for(schema)
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        raise SpecError(f"schema is not valid: {error.message}") from None
    validator = kind(schema, format_checker=FormatChecker())

    def check(value: Any) -> str | None:
        error = best_match(validator.iter_errors(value))
        return (
            None
            if error is None
            else shortened(f"{error.json_path}: {error.message}", 300)
        )

    return check


def _by_pydantic(model: Any) -> Check:
    def check(value: Any) -> str | None:
        try:
            model.model_validate_json(orjson.dumps(value))
        except ValueError as error:  # pydantic's ValidationError
            first = (
                error.errors()[0] if hasattr(error, "errors") else {"msg": str(error)}
            )
            place = ".".join(map(str, first.get("loc", ())))
            return f"{place}: {first['msg']}" if place else str(first["msg"])
        return None

    return check


# Tool calls.


@named(Named)
def tool_call(
    tool: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    *,
    schema: Mapping[str, Any] | type | None = None,
    to: str = "expected",
    **options: Unpack[Named],
) -> Scorer:
    """Whether the reply calls a tool as it should.

    Args:
        tool: The tool's name; default: what the column `to` has, a name or
            `{"name": ..., "arguments": {...}}`.
        arguments: The arguments that it must have, among others.
        schema: The JSON Schema, or the class, that its arguments must be valid by.
        to: The column.
    """
    check = checker(schema)
    normal = normalizer({})

    def test(calls: list[dict[str, Any]], wanted: Any, given: Any) -> bool | Score:
        if not calls:
            return Score(False, "no tool was called")
        of_name = [call for call in calls if call["name"] == wanted]
        if not of_name:
            names = ", ".join(str(call["name"]) for call in calls)
            return Score(False, f"called {names}, not {wanted}")
        for call in of_name:
            wrong = check(call["arguments"]) or _missing(
                call["arguments"], given, normal
            )
            if wrong is None:
                return True
        return Score(False, wrong)

    def row(calls: list[dict[str, Any]]) -> bool | Score:
        return test(calls, tool, arguments)

    def row_of_case(calls: list[dict[str, Any]], expected: Any) -> bool | Score:
        if expected is None:
            return Score(None, f"the case has no {to!r}")
        if isinstance(expected, str) and expected.lstrip().startswith("{"):
            expected = parsed(expected)
        if isinstance(expected, Mapping):
            given = expected.get("arguments") if arguments is None else arguments
            return test(calls, expected.get("name"), given)
        return test(calls, expected, arguments)

    call = Call(row, ("tool_calls",))
    if tool is None:
        call = Call(row_of_case, ("tool_calls", to))
    return Scorer(name="", evaluate=by_row(call), needs=call.arguments)


def _missing(
    found: Any, wanted: Any, normal: Callable[[Any], str], place: str = ""
) -> str | None:
    """What of the wanted arguments is not among those found."""
    if not isinstance(wanted, Mapping):
        if wanted is None or same(found, wanted, normal):
            return None
        return f"{place or 'arguments'} is {brief(found)}, not {brief(wanted)}"
    if not isinstance(found, Mapping):
        return f"{place or 'arguments'} is {brief(found)}, not {brief(wanted)}"
    for name, value in wanted.items():
        inner = f"{place}.{name}" if place else str(name)
        if name not in found:
            return f"{inner} is missing"
        if wrong := _missing(found[name], value, normal, inner):
            return wrong
    return None


# What the call took.


@named(Measured)
def latency(**options: Unpack[Measured]) -> Scorer:
    """The latency in seconds, as measured when the call was made."""
    return _as_it_is("latency_s")


@named(Measured)
def cost(**options: Unpack[Measured]) -> Scorer:
    """The cost in US dollars."""
    return _as_it_is("cost_usd")


@named(Measured)
def tokens(
    kind: Literal["output", "input", "reasoning", "cached_input"] = "output",
    **options: Unpack[Measured],
) -> Scorer:
    """The number of tokens of a kind."""
    kinds = ("output", "input", "reasoning", "cached_input")
    if kind not in kinds:
        raise SpecError(f"expected one of {', '.join(kinds)}, got {kind!r}")
    return _as_it_is(f"{kind}_tokens")


@named(Named)
def finish_reason(value: str = "stop", **options: Unpack[Named]) -> Scorer:
    """Whether the answer ended for this reason; default: `stop`."""

    def row(found: Any) -> bool | Score:
        return True if found == value else Score(False, f"finish_reason {found}")

    call = Call(row, ("finish_reason",))
    return Scorer(name="finished", evaluate=by_row(call), needs=call.arguments)


@named(Measured)
def perplexity(**options: Unpack[Measured]) -> Scorer:
    """The perplexity of the answer, 1 or more, from the logprobs of its tokens, which
    the parameter `logprobs: [true]` asks for."""

    def row(record: Record) -> float | Score:
        logprobs = [token.logprob for token in record.logprobs]
        known = [logprob for logprob in logprobs if logprob is not None]
        if not known:
            return Score(None, "the answer has no logprobs; ask with logprobs: [true]")
        return math.exp(-sum(known) / len(known))

    call = Call(row, ("record",))
    return Scorer(
        name="", evaluate=by_row(call), needs=call.arguments, lower_is_better=True
    )


def _as_it_is(column: str) -> Scorer:
    """A column of numbers as a score; lower is better."""
    call = Call(lambda value: value, (column,))
    return Scorer(
        name="", evaluate=by_row(call), needs=call.arguments, lower_is_better=True
    )


def _of_output(row: Callable[[str], Any]) -> Scorer:
    return Scorer(name="", evaluate=by_row(Call(row, ("output",))), needs=("output",))


def _transform(options: Mapping[str, Any]) -> Callable[[Any], Any]:
    option = options.get("transform")
    return (lambda output: output) if option is None else made_transform(option)
