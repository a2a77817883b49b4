"""Prices: those in force, from the user's own table, else the list prices.

An own table wins over the list: a mapping, or a file `prices.toml` with a `[[price]]`
for each line. A price that neither knows is unknown: the cost is NaN then, never 0.
"""

from __future__ import annotations

import fnmatch
import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from promptlab.errors import ConfigError, SpecError, brief, did_you_mean
from promptlab.money.list_prices import STANDARD_TIERS, list_price
from promptlab.money.own_prices import OwnPrice, about, own_price
from promptlab.money.price import Price
from promptlab.paths import check_regular, user_path
from promptlab.spec.address import is_local
from promptlab.spec.usage import PriceContext, Usage

EPOCH = date(1970, 1, 1)

PRIORITY = "priority"
"""The tier that may serve a call which asks for none, at a higher price."""


PRICES_FILE = "prices.toml"
"""The file that is read from the working directory where no prices are given."""

ENTRY = re.compile(r"^[ \t]*\[\[[ \t]*price[ \t]*\]\]", re.MULTILINE)

KEY = r"""(?:^|[{{,])[ \t]*(?:\[[ \t]*price[ \t]*\.[ \t]*)?["']?{}["']?[ \t]*[=\]]"""
"""A key, or the head of its table."""


@dataclass(frozen=True)
class Prices:
    """The prices in force: own ones, over those of genai-prices."""

    own: Sequence[OwnPrice] = field(default=())

    @classmethod
    def of(cls, given: Prices | Mapping[str, Mapping[str, Any]] | None) -> Prices:
        """Prices from a mapping of models to prices: `{"gpt-6*": {"input": 2, ...}}`,
        in US dollars for a million tokens.

        Raises:
            SpecError: a price is not one.
        """
        if isinstance(given, Prices):
            return given
        if not isinstance(given or {}, Mapping):
            raise SpecError(
                "prices: expected a mapping of models to prices, such as "
                f'{{"gpt-6*": {{"input": 2, "output": 10}}}}, got {given!r:.60}'
            )
        own = []
        for model, line in (given or {}).items():
            with about(str(model)):
                own.append(own_price(model, line))
        return cls(tuple(own))

    def price(self, context: PriceContext) -> Price | None:
        """What such a call costs; None if no table knows."""
        for model in filter(None, (context.model, context.snapshot)):
            if (own := self.own_line(model, context.day)) is not None:
                return own.of_tier(context.service_tier)
        return list_price(context)

    def candidate_prices(self, context: PriceContext) -> Sequence[Price]:
        """The prices that may apply to such a call: a project may
        have that tier as its usual one (OpenAI, "Priority processing"). Empty where
        none is known."""
        tiers = [context.service_tier]
        if context.service_tier in STANDARD_TIERS:
            tiers.append(PRIORITY)
        found = [self.price(replace(context, service_tier=tier)) for tier in tiers]
        return list(dict.fromkeys(price for price in found if price is not None))

    def cost_usd(self, context: PriceContext, usage: Usage) -> float:
        """What a call cost; NaN, never zero, where its price or tokens are unknown."""
        price = self.price(context)
        cost_usd = None if price is None else price.call_usd(usage)
        return float("nan") if cost_usd is None else cost_usd

    def own_line(self, model: str, day: int) -> OwnPrice | None:
        """The line that names a model, else the first pattern that fits; of several
        with one name, the latest that holds on that day (days since 1970)."""
        today = EPOCH + timedelta(days=day)
        holds = [o for o in self.own if o.valid_from is None or o.valid_from <= today]
        exact = [o for o in holds if o.model == model]
        found = exact or [o for o in holds if _of(o, model)]
        if not found:
            return None
        same = [o for o in found if o.model == found[0].model]
        return max(same, key=lambda o: o.valid_from or date.min)

    def misnamed(self, models: Collection[str]) -> str:
        """That own prices are of none of these models, while some of these have none;
        empty where it is not so: a table may be shared by experiments."""
        lacking = [m for m in models if not any(_of(line, m) for line in self.own)]
        names = [line.model for line in self.own if not _may_be(line, models)]
        if not lacking or not names:
            return ""
        hints = (did_you_mean(name, lacking) for name in names)
        wrong = ", ".join(map(repr, dict.fromkeys(names)))
        hint = next(filter(None, hints), "")
        are = "is not a model" if len(set(names)) == 1 else "are not models"
        return f"prices: {wrong} {are} in the grid{hint}"


def _of(line: OwnPrice, model: str) -> bool:
    return fnmatch.fnmatchcase(model, line.model)


def _may_be(line: OwnPrice, models: Collection[str]) -> bool:
    """Whether a line is of one of the models, or of a snapshot of one, such as
    `gpt-6-luna-2026-09-01`."""
    snapshots = tuple(f"{model}-" for model in models)
    return line.model.startswith(snapshots) or any(_of(line, m) for m in models)


def is_free(price: Price | None, context: PriceContext) -> bool:
    """Whether calls cost nothing: they go to this machine, and no own price says what
    that costs."""
    return price is None and is_local(context.base_url)


# Own prices as an option or a file gives them.

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
