"""JSON schemas: values that meet them, filled from what a request says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptlab.offline.responder.ranking import Ranking
from promptlab.offline.responder.sampling import Sampler

Schema = Mapping[str, Any]

MAX_DEPTH = 8
"""Levels of nesting it fills; deeper ones stay empty."""
MAX_ITEMS = 50
"""The longest array it fills, whatever minItems says."""
MAX_TEXT = 10_000
"""The longest string it pads, whatever minLength says."""

_REASONS = re.compile(
    r"reason|explan|why|evidence|quote|summary|rationale|comment|text"
)
_NUMBER = re.compile(r"-?\d{1,12}(?:,\d{3})*(?:\.\d{1,12})?")
_FORMATS = {
    "email": r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}",
    "date": r"\b\d{4}-\d\d-\d\d\b",
    "time": r"\b\d{1,2}:\d\d\b",
}
"""How a string of a format is found in a request."""
_DEFAULTS = {
    "email": "unknown@example.com",
    "date": "1970-01-01",
    "time": "00:00:00Z",
    "date-time": "1970-01-01T00:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
}
"""Strings of formats that are not in the request."""


@dataclass(frozen=True)
class Filler:
    """Fills one schema from one request."""

    ranking: Ranking
    sampler: Sampler
    schema: Schema

    def fill(self) -> Any:
        """A value that meets the schema, as far as its types and bounds say."""
        return self._value("answer", self.schema, 0)

    def _value(self, name: str, schema: object, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return self._string(name, {})
        match schema:
            case {"const": value}:
                return value
            case {"enum": [_, *_] as values}:
                return self._one_of({str(value): value for value in values})
            case {"$ref": str(reference)}:
                return self._value(name, self._resolved(reference), depth + 1)
            case {"anyOf": [one, *_]} | {"oneOf": [one, *_]} | {"allOf": [one, *_]}:
                return self._value(name, one, depth + 1)
        low: Any = schema.get("minimum")
        high: Any = schema.get("maximum")
        match _type(schema):
            case "object":
                properties = schema.get("properties")
                if not isinstance(properties, dict):
                    return {} if depth else {"answer": self._string("answer", {})}
                return {
                    name: self._value(name, inner, depth + 1)
                    for name, inner in properties.items()
                }
            case "array":
                return self._array(name, schema, depth)
            case "integer" if type(low) is type(high) is int and 0 <= high - low <= 100:
                return self.sampler.choose(self.ranking.marks(low, high))
            case "number" if (low, high) == (0, 1):
                return round(self.ranking.covered, 2)
            case "integer" | "number" as kind:
                found = _NUMBER.search(self._text)
                number = float(found[0].replace(",", "")) if found else 0.0
                number = max(number, low) if isinstance(low, int | float) else number
                number = min(number, high) if isinstance(high, int | float) else number
                return round(number) if kind == "integer" else number
            case "boolean":
                return self.ranking.covered >= 0.5
            case "null":
                return None
            case _:
                return self._string(name, schema)

    def _array(self, name: str, schema: Schema, depth: int) -> list[Any]:
        inner, most = schema.get("items", {}), _bound(schema.get("maxItems"), 3)
        number = min(max(_bound(schema.get("minItems"), 0), min(1, most)), MAX_ITEMS)
        if _type(inner) == "string" and "enum" not in inner:
            keywords = self.sampler.order(self.ranking.keywords, max(number, 3))
            if number <= len(keywords) <= most:
                return keywords
        # Nested arrays would multiply: 50 items of 50 items of 50 items.
        number = number if depth < 2 else min(number, 1)
        return [self._value(name, inner, depth + 1) for _ in range(number)]

    def _string(self, name: str, schema: Schema) -> str:
        """The string for the property `name`."""
        form, fields = schema.get("format"), self.ranking.task.fields
        passages = self.ranking.passages or [(self.ranking.task.question, 1.0)]
        if isinstance(form, str) and form in _DEFAULTS:
            found = re.search(_FORMATS.get(form, "(?!)"), self._text)
            text = found[0] if found else _DEFAULTS[form]
        elif name.lower() in fields:
            text = fields[name.lower()]
        elif _REASONS.search(name.lower()):
            text = self.ranking.clue(self._label) or passages[0][0]
        else:
            text = self._label or self.sampler.choose(passages)
        text = text.ljust(min(_bound(schema.get("minLength"), 0), MAX_TEXT), ".")
        return text[: _bound(schema.get("maxLength"), len(text))]

    def _one_of(self, values: Mapping[str, Any]) -> Any:
        """One of the values of an enum, which the request may describe."""
        if self._label in values:
            return values[self._label]
        texts = {
            label.lower(): text for label, text in self.ranking.task.choices.items()
        }
        described = {label: texts.get(label.lower(), "") for label in values}
        return values[self.sampler.choose(self.ranking.scored(described))]

    @cached_property
    def _label(self) -> str:
        """The label that all strings of the object speak of; "" if there is none."""
        choices = self.ranking.choices
        return self.sampler.choose(choices) if choices else ""

    @cached_property
    def _text(self) -> str:
        """All text in which numbers, dates and addresses may stand."""
        task = self.ranking.task
        return " ".join([*task.subject, *task.passages, task.instructions.text])

    def _resolved(self, reference: str) -> object:
        """What a local `$ref` points to; {} if nothing."""
        target: object = self.schema
        for part in filter(None, reference.removeprefix("#").split("/")):
            target = target.get(part) if isinstance(target, dict) else None
        return {} if target is None else target


def _type(schema: object) -> object:
    """The type a schema asks for; the first, where it lists several."""
    match schema:
        case {"type": [kind, *_]} | {"type": kind}:
            return kind
        case {"properties": _}:
            return "object"
        case _:
            return "string"


def _bound(value: object, default: int) -> int:
    return value if type(value) is int and value >= 0 else default
