"""Transforms: the part of an output that is scored, such as its last line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.results.json_answers import without_fences
from promptlab.scoring.jsonpath import Path
from promptlab.scoring.rows import Unreadable, parsed

Transform = Callable[[Any], Any]
TransformOption = str | Mapping[str, Any] | Transform | Sequence[Any]
"""A transform, its name, `{name: argument}`, or a list of these, first to last."""


def strip_fences(output: str) -> str:
    """The output without the Markdown fence around it."""
    return without_fences(output)


def first_line(output: str) -> str:
    """The first line that is not blank."""
    return next((line for line in output.splitlines() if line.strip()), "")


def last_line(output: str) -> str:
    """The last line that is not blank."""
    return next((line for line in reversed(output.splitlines()) if line.strip()), "")


def first_word(output: str) -> str:
    """The first word, without punctuation around it."""
    words = re.search(r"\w+(?:['’-]\w+)*", output)
    return words[0] if words else ""


def json_path(path: str) -> Transform:
    """What a JSONPath finds in the output's JSON: `json_path("$.label")`; a string as
    it is, anything else as JSON has it."""
    query = Path(path)

    def transform(output: Any) -> Any:
        document = parsed(without_fences(output)) if isinstance(output, str) else output
        return query.one(document)

    return transform


def regex_group(pattern: str, group: int | str = 1) -> Transform:
    """What a group of a regular expression matches, where it is first found."""
    compiled = compiled_regex(pattern)
    if group not in (0, *range(1, compiled.groups + 1), *compiled.groupindex):
        raise SpecError(
            f"regex_group: {pattern!r} has no group {group!r}; put ( ) around the part "
            "to take, or write group: 0"
        )

    def transform(output: str) -> str:
        match = compiled.search(output)
        if match is None or match[group] is None:
            raise Unreadable(f"nothing matches {pattern!r}")
        return match[group]

    return transform


PLAIN: dict[str, Transform] = {
    f.__name__: f for f in (strip_fences, first_line, last_line, first_word)
}
MADE: dict[str, Callable[..., Transform]] = {
    "json_path": json_path,
    "regex_group": regex_group,
}
"""Those that take an argument."""


def made_transform(option: TransformOption) -> Transform:
    """The transform that an option names.

    Raises:
        SpecError: it names none.
    """
    if callable(option):
        return option
    if isinstance(option, str) and option in PLAIN:
        return PLAIN[option]
    if isinstance(option, Mapping) and len(option) == 1:
        ((name, argument),) = option.items()
        if name in MADE:
            if isinstance(argument, Mapping):
                return MADE[name](**argument)
            return MADE[name](argument)
    elif isinstance(option, Sequence) and not isinstance(option, str):
        steps = [made_transform(step) for step in option]

        def transform(output: Any) -> Any:
            for step in steps:
                output = step(output)
            return output

        return transform
    names = (*PLAIN, *MADE)
    hint = did_you_mean(option, names) if isinstance(option, str) else ""
    raise SpecError(
        f"transform: expected a function or a name, got {brief(option)}"
        + (hint or f"; valid names: {', '.join(names)}")
    )


def compiled_regex(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A regular expression.

    Raises:
        SpecError: it is not valid.
    """
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, TypeError) as error:
        raise SpecError(f"regex {pattern!r} is not valid: {error}") from None
