"""Schemas: the `response_format` that asks for JSON as a Python class describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from promptlab.errors import SpecError


def response_format(kind: type) -> dict[str, Any]:
    """The strict JSON Schema of a pydantic model, a dataclass or a TypedDict.

    Raises:
        SpecError: the class is not one of these, or holds what JSON cannot describe.
    """
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        schema = TypeAdapter(kind).json_schema()
    except (PydanticUserError, TypeError) as error:
        raise SpecError(
            f"{kind.__name__} has no JSON Schema: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(schema.get("properties"), dict):
        raise SpecError(
            f"expected a pydantic model or a dataclass for response_format, got "
            f"{kind.__name__}"
        )
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", kind.__name__)[:64]
    body = {"name": name, "schema": _strict(schema, schema), "strict": True}
    return {"type": "json_schema", "json_schema": body}


def _strict(schema: Any, root: Mapping[str, Any]) -> Any:
    """A schema as strict servers take it: every member is required, no other is
    allowed, none has a default, and a reference stands alone."""
    if isinstance(schema, list):
        return [_strict(item, root) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema and len(schema) > 1:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            made[key] = {name: _strict(item, root) for name, item in value.items()}
        elif key in ("items", "prefixItems", "anyOf", "allOf", "additionalProperties"):
            made[key] = _strict(value, root)
        elif key == "oneOf":
            made["anyOf"] = _strict(value, root)
        elif key not in ("default", "discriminator"):
            made[key] = value
    if isinstance(made.get("properties"), dict):
        made["required"] = list(made["properties"])
        made["additionalProperties"] = False
    return made
