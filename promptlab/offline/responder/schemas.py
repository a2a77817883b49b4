"""JSON schemas: values that meet them, filled from the evidence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptlab.offline.responder.choices import Option
from promptlab.offline.responder.ranking import Evidence
from promptlab.offline.responder.sampling import Sampler
from promptlab.offline.responder.task import Task

Schema = Mapping[str, Any]

MAX_DEPTH = 8
"""Levels of nesting it fills; deeper ones stay empty."""
MAX_ITEMS = 50
"""The longest array it fills, whatever minItems says."""
MAX_TEXT = 10_000
"""The longest text it pads, whatever minLength says."""

_REASONS = re.compile(
    r"reason|explan|why|evidence|quote|summary|rationale|comment|text"
)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_FORMATS = {
    "email": re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}"),
    "date": re.compile(r"\b\d{4}-\d\d-\d\d\b"),
    "time": re.compile(r"\b\d{1,2}:\d\d\b"),
}
_DEFAULTS = {
    "email": "unknown@example.com",
    "date": "1970-01-01",
    "time": "00:00:00Z",
    "date-time": "1970-01-01T00:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
}


def property_schema(keys: Sequence[str]) -> Schema:
    """The schema of an object with a text under each of `keys`."""
    return {"type": "object", "properties": {key: {} for key in keys}}


@dataclass(frozen=True)
class Filler:
    """Fills one schema from one task."""

    task: Task
    evidence: Evidence
    sampler: Sampler
    schema: Schema

    def fill(self) -> Any:
        """A value that meets the schema, as far as its types and bounds say."""
        return self._value("answer", self.schema, 0)

    def _value(self, name: str, schema: object, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return self._text(name, {})
        if "const" in schema:
            return schema["const"]
        if isinstance(values := schema.get("enum"), list) and values:
            return self._one_of(values)
        if isinstance(reference := schema.get("$ref"), str):
            return self._value(name, self._resolved(reference), depth + 1)
        for union in ("anyOf", "oneOf", "allOf"):
            if isinstance(choices := schema.get(union), list) and choices:
                return self._value(name, choices[0], depth + 1)
        return self._typed(name, schema, depth)

    def _typed(self, name: str, schema: Schema, depth: int) -> Any:
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(name, schema, depth)
            case "integer":
                return self._integer(schema)
            case "number":
                return self._number(schema)
            case "boolean":
                return self.evidence.covered >= 0.5
            case "null":
                return None
            case _:
                return self._text(name, schema)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {} if depth else {"answer": self._text("answer", {})}
        return {
            name: self._value(name, inner, depth + 1)
            for name, inner in properties.items()
        }

    def _array(self, name: str, schema: Schema, depth: int) -> list[Any]:
        most = schema.get("maxItems")
        least = max(_bound(schema.get("minItems"), 0), min(1, _bound(most, 1)))
        number = min(least, MAX_ITEMS)
        inner = schema.get("items", {})
        if _type(inner) == "string" and isinstance(inner, dict) and "enum" not in inner:
            words = self.sampler.order(self.evidence.keywords, max(number, 3))
            if number <= len(words) <= _bound(most, 3):
                return words
        # Nested arrays would multiply: 50 items of 50 items of 50 items.
        number = number if depth < 2 else min(number, 1)
        return [self._value(name, inner, depth + 1) for _ in range(number)]

    def _integer(self, schema: Schema) -> int:
        low, high = schema.get("minimum"), schema.get("maximum")
        if type(low) is int and type(high) is int and low <= high <= low + 100:
            return self.sampler.choose(self.evidence.marks(low, high))
        return int(_within(round(self._first_number()), low, high))

    def _number(self, schema: Schema) -> float:
        low, high = schema.get("minimum"), schema.get("maximum")
        if low == 0 and high == 1:
            return round(self.evidence.covered, 2)
        return _within(self._first_number(), low, high)

    def _text(self, name: str, schema: Schema) -> str:
        text = self._said(name.lower(), schema.get("format"))
        least, most = _bound(schema.get("minLength"), 0), schema.get("maxLength")
        text = text.ljust(min(least, MAX_TEXT), ".")
        return text[: _bound(most, len(text))]

    def _said(self, name: str, form: object) -> str:
        """The text for the property `name`."""
        if isinstance(form, str) and form in _DEFAULTS:
            return self._formatted(form)
        if name in self.task.fields:
            return self.task.fields[name]
        chosen, passages = self._chosen, self.evidence.passages
        if _REASONS.search(name):
            clue = self.evidence.clue(chosen) if chosen else None
            return clue or (passages[0][0].text if passages else self.task.question)
        if chosen is not None:
            return chosen.label
        if passages:
            return self.sampler.choose(passages).text
        return self.task.question

    def _formatted(self, form: str) -> str:
        pattern = _FORMATS.get(form)
        found = pattern.search(self._material) if pattern else None
        return found[0] if found else _DEFAULTS[form]

    @cached_property
    def _chosen(self) -> Option | None:
        """The one option that all texts of the object speak of."""
        options = self.evidence.options
        return self.sampler.choose(options) if options else None

    @cached_property
    def _material(self) -> str:
        """All text in which numbers, dates and addresses may stand."""
        passages = (passage.text for passage in self.task.passages)
        return " ".join([*self.task.subject, *passages, self.task.instructions])

    def _one_of(self, values: Sequence[Any]) -> Any:
        """One of the values of an enum, which the request may describe."""
        described = {option.label.lower(): option for option in self.task.options}
        labels = [str(value) for value in values]
        options = [described.get(label.lower(), Option(label)) for label in labels]
        if self._chosen in options:
            return values[options.index(self._chosen)]
        return values[options.index(self.sampler.choose(self.evidence.scored(options)))]

    def _first_number(self) -> float:
        found = _NUMBER.search(self._material)
        # Twelve digits: enough for any amount, few enough to stay finite.
        return float(found[0].replace(",", "")[:12].rstrip(".-") or 0) if found else 0.0

    def _resolved(self, reference: str) -> object:
        """What a local `$ref` points to; {} if nothing."""
        target: object = self.schema
        for part in reference.removeprefix("#").strip("/").split("/"):
            if part:
                target = target.get(part) if isinstance(target, dict) else None
        return target if target is not None else {}


def _type(schema: object) -> str:
    """The type a schema asks for; the first, where it lists several."""
    if not isinstance(schema, dict):
        return "string"
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = kind[0]
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "string"


def _bound(value: object, default: int) -> int:
    return value if type(value) is int and value >= 0 else default


def _within(value: float, low: object, high: object) -> float:
    if isinstance(low, int | float) and value < low:
        return low
    if isinstance(high, int | float) and value > high:
        return high
    return value
