"""Own prices: lines of a table that the user keeps, over the list prices."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.money.price import Price

RATES = ("input", "output", "cached_input", "cache_write")
"""What has a price, in US dollars for a million tokens."""

LONG = ("long_from", "long")
"""Above how many tokens of input other rates hold, and these."""

TIERS = ("batch", "flex", "priority", "fast")
"""How a call may be served other than as usual, each with rates of its own."""

KEYS = (*RATES, "valid_from", *LONG, *TIERS)
"""What a line may hold."""

OWN = "own prices"

UNIT = "in US dollars for a million tokens"

LARGEST = 2**53
"""Numbers from here on are mistakes, and not exact."""


@dataclass(frozen=True, kw_only=True)
class OwnPrice:
    """A line of the user's own table: a price, and what it is of."""

    model: str
    """A model's name, or a pattern such as `gpt-6*`."""
    price: Price
    tiers: Mapping[str, Price] = field(default_factory=dict)
    """The price of calls that another tier than the usual one serves."""
    valid_from: date | None = None
    """The first day it holds; None for ever."""

    def of_tier(self, tier: str | None) -> Price:
        """The price of calls that a tier serves: its own, else the line's."""
        return self.tiers.get(tier or "", self.price)

    def to_plain(self) -> dict[str, Any]:
        """The line as JSON values: the `own_price` of its `model`, `line` and
        `source` is this one again."""
        line = _plain(self.price) | {t: _plain(p) for t, p in self.tiers.items()}
        if self.valid_from is not None:
            line["valid_from"] = self.valid_from.isoformat()
        return {"model": self.model, "line": line, "source": self.price.source}


def own_price(model: Any, line: Any, source: str = OWN) -> OwnPrice:
    """A line of the user's own table: `input` and `output`, and maybe `cached_input`,
    `cache_write` (each defaults to `input`), `valid_from`, `long_from` with the
    rates of `long`, and rates of `batch`, `flex`, `priority` and `fast`.

    Raises:
        SpecError: something else is in it, or a price is not a number >= 0.
    """
    if not isinstance(model, str) or not model:
        raise SpecError(
            f'expected a model, such as model = "gpt-6*", got {brief(model)}'
        )
    where = f"the price of {model!r}"
    _check(line, where, known=KEYS)
    as_of = _day(line.get("valid_from"), where)
    price, tiers = _price(line, where, source, as_of), {}
    for tier in (tier for tier in TIERS if tier in line):
        with about(tier):
            _check(line[tier], f"{where}, {tier}", known=(*RATES, *LONG))
            tiers[tier] = _price(line[tier], f"{where}, {tier}", source, as_of)
    return OwnPrice(model=model, price=price, tiers=tiers, valid_from=as_of)


def to_be_given(model: str) -> str:
    """How a price is given that is not known, for a message."""
    line = f'prices={{{model!r}: {{"input": ..., "output": ...}}}}'
    return f"give one, {UNIT}, in prices.toml, in a config (run: prices:) or as {line}"


@contextmanager
def about(*place: str) -> Iterator[None]:
    """Adds to a `SpecError` the position of what it is about."""
    try:
        yield
    except SpecError as error:
        error.at = (*place, *error.at)
        raise


def _check(line: Any, where: str, known: Collection[str]) -> None:
    """Whether it is a mapping of what may be in it, and of what must be."""
    if not isinstance(line, Mapping):
        raise SpecError(
            f"{where}: expected a mapping with input and output, {UNIT}, "
            f"got {brief(line)}"
        )
    for name in line:
        if name not in known:
            misspelt = name not in KEYS and did_you_mean(str(name), known)
            hint = misspelt or f"; valid names: {', '.join(known)}"
            raise SpecError(f"{where}: unknown key {name!r}{hint}", at=(str(name),))
    if missing := [name for name in ("input", "output") if name not in line]:
        are = "is" if len(missing) == 1 else "are"
        raise SpecError(f"{where}: {' and '.join(missing)} {are} missing, {UNIT}")


def _price(
    line: Mapping[str, Any], where: str, source: str, as_of: date | None
) -> Price:
    for name in RATES:
        _check_number(name, line.get(name, 0), where, above=False)
    long = None
    if any(name in line for name in LONG):
        if not all(name in line for name in LONG):
            raise SpecError(
                f"{where}: long_from, a number of tokens, and long, the rates above "
                "it, go together"
            )
        _check_number("long_from", line["long_from"], where, above=True)
        with about("long"):
            _check(line["long"], f"{where}, long", known=RATES)
            long = _price(line["long"], f"{where}, long", source, as_of)
    rates = {name: float(line.get(name, line["input"])) for name in RATES}
    return Price(
        **rates,
        long_from=line.get("long_from"),
        long=long,
        source=source,
        as_of=as_of,
    )


def _check_number(name: str, value: Any, where: str, *, above: bool) -> None:
    kinds = (int,) if above else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not (number and (1 if above else 0) <= value < LARGEST):
        kind = "an integer >= 1, of tokens" if above else "a number >= 0"
        raise SpecError(
            f"{where}, {name}: expected {kind}, got {brief(value)}", at=(name,)
        )


def _day(value: Any, where: str) -> date | None:
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise SpecError(
            f"{where}: valid_from: expected a day, such as 2026-11-01, "
            f"got {brief(value)}",
            at=("valid_from",),
        ) from error


def _plain(price: Price) -> dict[str, Any]:
    rates: dict[str, Any] = {name: getattr(price, name) for name in RATES}
    if price.long is not None:
        rates |= {"long_from": price.long_from, "long": _plain(price.long)}
    return rates
