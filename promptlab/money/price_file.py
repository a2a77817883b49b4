"""The file of own prices: `prices.toml`, one `[[price]]` for each line of the table."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptlab.errors import ConfigError, SpecError, brief
from promptlab.money.own_prices import OwnPrice, own_price
from promptlab.money.prices import Prices
from promptlab.paths import check_regular, user_path

PRICES_FILE = "prices.toml"
"""The file that is read from the working directory where no prices are given."""

ENTRY = re.compile(r"^[ \t]*\[\[[ \t]*price[ \t]*\]\]", re.MULTILINE)

KEY = r"""(?:^|[{{,])[ \t]*(?:\[[ \t]*price[ \t]*\.[ \t]*)?["']?{}["']?[ \t]*[=\]]"""
"""A key, or the head of its table."""

PricesOption = Prices | Mapping[str, Mapping[str, Any]] | str | os.PathLike[str]


def prices_in_force(given: PricesOption | None = None) -> Prices:
    """Own prices as an option gives them: a table, or the path of a TOML file; without
    one, those of `prices.toml` in the working directory, if there is one.

    Raises:
        SpecError: a price is not one.
        ConfigError: the file cannot be read, or is not a table of prices.
    """
    if isinstance(given, (str, os.PathLike)):
        return read_prices(user_path(given))
    if given is None and (file := Path(PRICES_FILE)).is_file():
        return read_prices(file)
    return Prices.of(given)


def read_prices(path: Path) -> Prices:
    """The table of own prices in a TOML file: `[[price]]`, with a `model` and what
    `own_price` takes. Several lines of one model differ in `valid_from`.

    Raises:
        ConfigError: the file cannot be read, or is not a table of prices; the message
            says which line.
    """
    text = _text(path)
    entries = _entries(path, text)
    starts = [m.start() for m in ENTRY.finditer(text)]
    own: list[OwnPrice] = []
    for number, entry in enumerate(entries):
        try:
            own.append(_read(entry, str(path), own))
        except SpecError as error:
            where = f"price {number + 1}"
            if len(starts) == len(entries):  # else some stand in one line, or in a text
                start, end = [*starts, len(text)][number : number + 2]
                where = _line(text, start, end, error.at)
            raise ConfigError(f"{path}, {where}: {error}") from error
    return Prices(tuple(own))


def _line(text: str, start: int, end: int, place: Sequence[str]) -> str:
    """The line of a value in the table that stands between `start` and `end`, as far as
    the names of its place are found there; else that of the table."""
    at = None
    for name in place:
        named = KEY.format(re.escape(name))
        found = re.compile(named, re.MULTILINE).search(text, at or start + 1, end)
        if found is None:
            break
        at = found.end()
    line = text.count("\n", 0, at or start) + 1
    return f"[[price]] from line {line}" if at is None else f"line {line}"


def _text(path: Path) -> str:
    try:
        check_regular(path)
        return path.read_text("utf-8-sig")
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"prices file {path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"prices file {path} is not UTF-8 text") from error


def _entries(path: Path, text: str) -> Sequence[Any]:
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    for name in document:
        if name != "price":
            raise ConfigError(
                f"{path} has {brief(name)}; prices stand in [[price]] tables, each "
                "with model, input and output (prices={} uses no file)"
            )
    entries = document.get("price", [])
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: price is a list of tables; write [[price]]")
    return entries


def _read(entry: Any, source: str, before: Sequence[OwnPrice]) -> OwnPrice:
    """A line of the table, which none before it contradicts."""
    if not isinstance(entry, Mapping):
        raise SpecError(f"a price: expected a table with model, got {brief(entry)}")
    line = dict(entry)
    model = line.pop("model", None)
    own = own_price(model, line, source)
    if any((o.model, o.valid_from) == (model, own.valid_from) for o in before):
        since = f"from {own.valid_from}" if own.valid_from else "without valid_from"
        raise SpecError(f"a second price of {model!r} {since}; give it another day")
    return own
