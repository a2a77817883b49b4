"""YAML with line numbers: plain values of a file, and the line each stands on.

YAML is 1.2: `no` and `off` are strings, and no tag is obeyed.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.errors import (
    ConfigError,
    DatasetError,
    PromptlabWarning,
    SpecError,
    brief,
)
from promptlab.files.text import read_text

LARGEST_CONFIG = 20_000_000
"""Bytes of a config or prompt file; datasets may be of any size."""

SLOW_YAML = 1_000_000
"""Characters of YAML from which on a warning says that reading is slow."""

DEEPEST = 50
MOST_VALUES = 2_000_000
"""Limits of a YAML file: levels of nesting, and values with those of aliases."""

YAML_HINTS = {
    "'\\t'": "; indent with spaces, not tabs",
    "but got '{'": "; put text with braces in quotes",
    "mapping values are not allowed": "; put text with a colon in quotes",
    "unknown escape character": "; put text with backslashes in single quotes, or "
    "write / in paths",
}
"""What to do about what the YAML parser says."""


@dataclass(frozen=True)
class YamlFile:
    """A YAML or JSON file: its values, and the lines that they stand on."""

    path: Path
    plain: Any
    lines: Mapping[tuple[Any, ...], int]

    @classmethod
    def read(cls, path: Path, encoding: str = "utf-8-sig") -> YamlFile:
        """Reads a file; raises `ConfigError` where it cannot be."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        text = read_text(path, encoding, LARGEST_CONFIG)
        if len(text) > SLOW_YAML:
            warnings.warn(
                f"{path}: {len(text) / 1e6:.1f} MB of YAML may take a minute to read; "
                "cases in a JSONL file are read in a second",
                PromptlabWarning,
                stacklevel=2,
            )
        try:
            yaml = YAML(typ="rt", pure=True)
            yaml.composer.warn_double_anchors = False  # YAML allows them
            tree = yaml.load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}" if mark else ""
            problem = " ".join(str(error.problem or error.context or error).split())
            hint = next((h for said, h in YAML_HINTS.items() if said in problem), "")
            raise ConfigError(
                f"{path}{line}: not valid YAML: {problem}{hint}"
            ) from error
        except (
            YAMLError,
            ValueError,
            RecursionError,
            AttributeError,
            TypeError,
            KeyError,
            IndexError,
            AssertionError,
            NotImplementedError,
        ) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(f"{path}: not valid YAML: {reason}") from error
        if tree is None:
            raise ConfigError(f"{path} is empty")
        reader = _TreeReader(path)
        plain = reader.plain(tree, ())
        return cls(path, plain, reader.lines)

    def line(self, place: Sequence[Any]) -> str:
        """`, line 7` for the innermost part of a place that stands on a line."""
        return _line(self.lines, place)

    @contextmanager
    def blamed(self, *default: str) -> Iterator[None]:
        """Turns a `SpecError` inside into a `ConfigError` that says the line."""
        try:
            yield
        except SpecError as error:
            place = self._place(error.at, default)
            if not _is_missing_file(error):
                if isinstance(error, ConfigError):
                    raise  # it says where in a file of its own
                if isinstance(error, DatasetError):
                    if not isinstance(self.plain["dataset"], list):
                        raise  # it names the file that the cases are in
                    place = ("dataset",)
            where = self.line(place)
            raise ConfigError(f"{self.path}{where}: {error}") from error

    def _place(self, at: tuple[Any, ...], default: tuple[str, ...]) -> tuple[Any, ...]:
        """The place in the file of what an error names; the default if it has none."""
        if at:
            groups = range(len(self.plain.get("zip") or ()))
            zipped = [("zip", group, *at) for group in groups]
            for place in [(*default, *at), ("grid", *at), *zipped, at]:
                if place[: 3 if place[0] == "zip" else 2] in self.lines:
                    return place
        return default


def _line(lines: Mapping[tuple[Any, ...], int], place: Sequence[Any]) -> str:
    for end in range(len(place), 0, -1):
        if (line := lines.get(tuple(place[:end]))) is not None:
            return f", line {line}"
    return ""


def _is_missing_file(error: BaseException) -> bool:
    """Whether it comes of a file that a config names and that cannot be read."""
    cause = error.__cause__
    return isinstance(cause, OSError) or (cause is not None and _is_missing_file(cause))


class _TreeReader:
    """Turns ruamel's tree into plain values, and notes their lines."""

    def __init__(self, path: Path) -> None:
        self.lines: dict[tuple[Any, ...], int] = {}
        self._path = path
        self._left = MOST_VALUES

    def plain(self, value: Any, place: tuple[Any, ...]) -> Any:
        self._left -= 1
        if len(place) > DEEPEST:
            where = _line(self.lines, place)
            raise ConfigError(
                f"{self._path}{where}: nested more than {DEEPEST} levels deep"
            )
        if self._left < 0:
            raise ConfigError(f"{self._path}: more than {MOST_VALUES:,} values")
        if isinstance(value, dict):
            return {
                (name := self._key(value, key)): self._member(
                    getattr(value, "lc", None), key, item, (*place, name)
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self._member(getattr(value, "lc", None), at, item, (*place, at))
                for at, item in enumerate(value)
            ]
        return self._scalar(value, place)

    def _key(self, owner: Any, key: Any) -> str:
        if isinstance(key, (str, int, float)) and not isinstance(key, bool):
            return str(key)
        known = hasattr(owner, "lc") and key in (owner.lc.data or {})
        where = f", line {owner.lc.data[key][0] + 1}" if known else ""
        if isinstance(key, Mapping):
            raise ConfigError(
                f"{self._path}{where}: put text that begins with {{{{ in quotes: "
                '"{{field}} ..."'
            )
        raise ConfigError(
            f"{self._path}{where}: expected a string, got {brief(key)}; quote it"
        )

    def _member(
        self, positions: Any, key: Any, item: Any, place: tuple[Any, ...]
    ) -> Any:
        """A member of a mapping or a list, whose line is noted."""
        if positions is not None and key in (positions.data or {}):
            self.lines[place] = positions.data[key][0] + 1
        return self.plain(item, place)

    def _scalar(self, value: Any, place: tuple[Any, ...]) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if type(value).__name__ == "ScalarBoolean":
            return bool(value)
        for kind in (str, int, float):
            if isinstance(value, kind):
                return kind(value)
        if isinstance(value, (datetime.date, datetime.time)):
            return value.isoformat()
        name = ".".join(map(str, place)) or "the file"
        where = _line(self.lines, place)
        raise ConfigError(
            f"{self._path}{where}: {name}: unsupported value (a YAML tag?)"
        )
