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
    r"reason|explan|why|evidence|quote|summary|rationale|comment|text", re.IGNORECASE
)
_NUMBER = re.compile(r"-?\d{1,12}(?:,\d{3})*(?:\.\d{1,12})?")
_FORMATS = {
    "email": (
        r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}",
        "unknown@example.com",
    ),
    "date": (r"\b\d{4}-\d\d-\d\d\b", "1970-01-01"),
    "time": (r"\b\d{1,2}:\d\d\b", "00:00:00Z"),
    "date-time": (r"(?!)", "1970-01-01T00:00:00Z"),
    "uri": (r"https?://[\w./-]{1,200}", "https://example.com/"),
    "uuid": (r"(?!)", "00000000-0000-0000-0000-000000000000"),
}
"""How a string of a format is found in a request, and what it is otherwise."""


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
            case {"type": [kind, *_]} | {"type": kind}:
                pass
            case _:
                kind = "object" if "properties" in schema else "string"
        match kind:
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
            case "integer" | "number":
                return self._number(kind, schema.get("minimum"), schema.get("maximum"))
            case "boolean":
                return self.ranking.covered >= 0.5
            case "null":
                return None
        return self._string(name, schema)

    def _number(self, kind: str, low: Any, high: Any) -> float:
        if (
            kind == "integer"
            and type(low) is type(high) is int
            and 0 <= high - low <= 100
        ):
            return self.sampler.choose(self.ranking.marks(low, high))
        if kind == "number" and (low, high) == (0, 1):
            return round(self.ranking.covered, 2)
        found = _NUMBER.search(self._text)
        number = float(found[0].replace(",", "")) if found else 0.0
        number = max(number, low) if isinstance(low, int | float) else number
        number = min(number, high) if isinstance(high, int | float) else number
        return round(number) if kind == "integer" else number

    def _array(self, name: str, schema: Schema, depth: int) -> list[Any]:
        inner, most = schema.get("items", {}), _bound(schema.get("maxItems"), 3)
        number = min(max(_bound(schema.get("minItems"), 0), min(1, most)), MAX_ITEMS)
        plain = isinstance(inner, dict) and inner.keys() <= {"type", "description"}
        if plain and inner.get("type", "string") == "string":
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
        if isinstance(form, str) and form in _FORMATS:
            pattern, default = _FORMATS[form]
            found = re.search(pattern, self._text)
            text = found[0] if found else default
        elif name.lower() in fields:
            text = fields[name.lower()]
        elif _REASONS.search(name):
            text = self.ranking.clue(self._label) or passages[0][0]
        else:
            text = self._label or self.sampler.choose(passages)
        text = text.ljust(min(_bound(schema.get("minLength"), 0), MAX_TEXT), ".")
        return text[: _bound(schema.get("maxLength"), len(text))]

    def _one_of(self, values: Mapping[str, Any]) -> Any:
        """One of the values of an enum, which the request may describe."""
        if self._label in values:
            return values[self._label]
        about = {c.lower(): text for c, text in self.ranking.task.choices.items()}
        described = {label: about.get(label.lower(), "") for label in values}
        return values[self.sampler.choose(self.ranking.scored(described))]

    @cached_property
    def _label(self) -> str:
        """The label that all strings of the object speak of; "" if it has none."""
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


def _bound(value: object, default: int) -> int:
    return value if type(value) is int and value >= 0 else default
