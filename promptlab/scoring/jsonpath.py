"""JSONPath: queries such as `$.label` into an output's JSON."""

from __future__ import annotations

from typing import Any

from promptlab.errors import SpecError
from promptlab.scoring.rows import Unreadable


class Path:
    """A JSONPath query, as RFC 9535 has it; `$.` in front may be left out.

    Raises:
        SpecError: it is not valid.
    """

    def __init__(self, text: str) -> None:
        from jsonpath import JSONPathError, compile  # slow to import

        self.text = text
        try:
            self._query = compile(text)
        except (JSONPathError, TypeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise SpecError(
                f"JSONPath {text!r} is not valid: {reason}; "
                "an example is $.items[0].label"
            ) from None

    def all(self, document: Any) -> list[Any]:
        """Everything that it finds."""
        if not isinstance(document, (dict, list)):
            return []
        return list(self._query.findall(document))

    def one(self, document: Any) -> Any:
        """What it finds; a list if that is several values.

        Raises:
            Unreadable: it finds nothing.
        """
        found = self.all(document)
        if not found:
            raise Unreadable(f"the output has nothing at {self.text}")
        return found[0] if len(found) == 1 else found
