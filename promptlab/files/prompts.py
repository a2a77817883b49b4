"""Prompts in files: a message list or a string each, or many in one file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from promptlab.errors import ConfigError, SpecError, brief, did_you_mean
from promptlab.files.datasets import ENDINGS, Rows, read_rows
from promptlab.files.text import ending_of, read_text
from promptlab.files.yaml_lines import LARGEST_CONFIG, YamlFile
from promptlab.paths import user_path

Made = TypeVar("Made")


def read_prompt(path: str | Path, make: Callable[[Any], Made]) -> Made:
    """What `make` makes of a prompt's file: YAML or JSON hold a list of messages,
    others a text.

    Raises:
        ConfigError: it cannot be read, or is no prompt.
    """
    path = user_path(path)
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        source = YamlFile.read(path)
        with source.blamed():
            return make(source.plain)
    text = read_text(path, "utf-8-sig", LARGEST_CONFIG)
    try:
        return make(text)
    except SpecError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_prompts(
    path: str | Path,
    make: Callable[[Any], Made],
    *,
    column: str | None = None,
    name: str | None = None,
) -> dict[str, Made]:
    """What `make` makes of each prompt in a file, by their names: those of a column, or
    the parts of a text between lines of `---`.

    Names stand in the column `name`; without one they are prompt_1, prompt_2, ...

    Raises:
        ConfigError: it cannot be read, has no such column, or a part is no prompt.
    """
    path = user_path(path)
    prompts = {}
    for label, text in read_texts(path, "prompt", column, name).items():
        try:
            prompts[label] = make(text)
        except SpecError as error:
            raise ConfigError(f"{path}, {label}: {error}") from error
    return prompts


DIVIDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
"""The line between two prompts in a file of text."""


def read_texts(
    path: Path, kind: str, column: str | None, name: str | None
) -> dict[str, str]:
    """The strings in a file, by their names."""
    if ending_of(path) not in ENDINGS:
        for given in (column, name):
            if given is not None:
                raise ConfigError(f"{path} has no column {given!r}: it is not a table")
        text = read_text(path, "utf-8-sig", LARGEST_CONFIG)
        parts = [part.strip("\n") for part in DIVIDER.split(text) if part.strip()]
        if not parts:
            raise ConfigError(f"{path} is empty")
        return {f"{kind}_{n}": part for n, part in enumerate(parts, start=1)}
    rows = [row for row in read_rows(path) if isinstance(row, Mapping)]
    column = _column(path, rows, column, name)
    texts: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        label = f"{kind}_{number}" if name is None else row.get(name)
        where = f"{path}, row {number}"
        if not isinstance(row.get(column), str):
            found = brief(row.get(column))
            raise ConfigError(f"{where}: {column!r}: expected a string, got {found}")
        if label is None or str(label) in texts:
            problem = "no name" if label is None else f"duplicate name {label!r}"
            raise ConfigError(f"{where}: {problem}; names in {name!r} must be unique")
        texts[str(label)] = row[column]
    return texts


def _column(path: Path, rows: Rows, column: str | None, name: str | None) -> str:
    """The column of the strings: the one that is named, or the only one beside that of
    names."""
    have = list(dict.fromkeys(key for row in rows for key in row))
    for given in filter(None, (column, name)):
        if given not in have:
            hint = did_you_mean(given, have) or f"; valid names: {', '.join(have)}"
            raise ConfigError(f"{path} has no column {given!r}{hint}")
    others = [key for key in have if key != name]
    if column is None and len(others) != 1:
        raise ConfigError(
            f"{path} has several columns; choose one with `column`: {', '.join(have)}"
        )
    return column or others[0]
