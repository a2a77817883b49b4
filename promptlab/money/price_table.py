"""The table of prices: those that a run would use."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promptlab.errors import SpecError, did_you_mean
from promptlab.money.list_prices import (
    STANDARD_TIERS,
    listed_models,
    provider_price,
    seller,
)
from promptlab.money.own_prices import TIERS
from promptlab.money.price import Price
from promptlab.money.prices import EPOCH, Prices, PricesOption, prices_in_force

if TYPE_CHECKING:
    import pandas as pd

HOME = "openai"
"""The provider that requests go to unless a base URL is given."""

RATES = ("input", "cached_input", "cache_write", "output")


NAMES = {"pattern": "'gpt-6*'", "provider": "'anthropic'", "tier": "'batch'"}
"""An example of each argument."""


def prices(
    pattern: str = "*",
    provider: str | None = None,
    *,
    tier: str | None = None,
    day: date | str | None = None,
    prices: PricesOption | None = None,
) -> pd.DataFrame:
    """The prices in force of models whose names fit a pattern, such as `gpt-6*`: own
    ones first, then list prices, with an own price where one holds.

    Columns are `model`, `provider`, `input`, `cached_input`, `cache_write`, `output`
    in US dollars for a million tokens, `long_from` (above so many tokens of input a
    call costs more), `source` and `as_of`, the day from which the price is known to
    hold.

    Args:
        provider: whose list prices, such as `anthropic`; else those of OpenAI, and
            where it has no such model, of all providers.
        tier: `batch`, `flex`, `priority` or whatever a reply may say; else the usual.
        day: on which day (UTC); else today.
        prices: own prices as `run` takes them; else those of `prices.toml`.

    Raises:
        SpecError: no price fits, or own prices are not valid.
    """
    for name, given in (("pattern", pattern), ("provider", provider), ("tier", tier)):
        if not isinstance(given, str) and (given is not None or name == "pattern"):
            raise SpecError(
                f"{name}: expected a name such as {NAMES[name]}, got {given!r}"
            )
    table, number = prices_in_force(prices), _day_number(day)
    provider, tier = provider.lower() if provider else None, tier or None
    listed = list(listed_models())
    rows = list(_own_rows(table, pattern, tier, number))
    for of, model in _fitting(listed, pattern, provider):
        own = table.own_line(model, number)
        if own is None:
            rows.append((model, of, provider_price(model, of, tier, number)))
        elif own.model != model:
            rows.append((model, of, own.of_tier(tier)))
    known = [row for row in rows if row[2] is not None]
    if not known:
        raise SpecError(_nothing(pattern, provider, tier, table, listed, number))
    models, providers, found = zip(*known, strict=True)
    return price_frame({"model": models, "provider": providers}, found)


def price_frame(
    names: Mapping[str, Sequence[Any]], found: Sequence[Price | None]
) -> pd.DataFrame:
    """Prices as a table, one row each, after columns that say what they are of."""
    import pandas as pd

    def of_each(name: str) -> list[Any]:
        return [getattr(price, name, None) for price in found]

    return pd.DataFrame(
        {
            **{name: pd.Series(said, dtype="str") for name, said in names.items()},
            **{rate: pd.Series(of_each(rate), dtype="float64") for rate in RATES},
            "long_from": pd.Series(of_each("long_from"), dtype="Int64"),
            "source": pd.Series(of_each("source"), dtype="str"),
            "as_of": pd.Series(of_each("as_of"), dtype="datetime64[s]"),
        }
    )


Row = tuple[str, str | None, Price | None]


def _own_rows(table: Prices, pattern: str, tier: str | None, day: int) -> Iterator[Row]:
    """The lines of the user's own table that hold and may be of such models."""
    for name in dict.fromkeys(line.model for line in table.own):
        line = table.own_line(name, day)
        holds = line is not None and line.model == name
        if line and holds and (_fits(name, pattern) or _fits(pattern, name)):
            yield name, None, line.of_tier(tier)


def _fitting(
    listed: Sequence[tuple[str, str]], pattern: str, provider: str | None
) -> list[tuple[str, str]]:
    """The listed models that fit, by the provider who sells them."""
    fitting = [(of, model) for of, model in listed if _fits(model, pattern)]
    found = [(of, model) for of, model in fitting if of == (provider or HOME)]
    if not found and not set(pattern) & set("*?["):  # a name, of a snapshot perhaps
        of = seller(pattern, provider or HOME)
        found = [(of, pattern)] if of else []
    if found or provider is not None:
        return found
    of = seller(pattern, None)
    return fitting or ([(of, pattern)] if of else [])


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())


def _day_number(day: date | str | None) -> int:
    """A day as `PriceContext` counts it."""
    try:
        at = date.fromisoformat(day) if isinstance(day, str) else day
        at = at or datetime.now(UTC)
        return (date(at.year, at.month, at.day) - EPOCH).days
    except (AttributeError, ValueError) as error:
        raise SpecError(
            f"day: expected a day such as 2026-11-01, got {day!r}"
        ) from error


def _nothing(
    pattern: str,
    provider: str | None,
    tier: str | None,
    table: Prices,
    listed: Sequence[tuple[str, str]],
    day: int,
) -> str:
    """Why the table would be empty, in one line."""
    providers = list(dict.fromkeys(of for of, _ in listed))
    if provider is not None and provider not in providers:
        known = f"; valid names: {', '.join(providers)}"
        return f"no provider {provider!r}{did_you_mean(provider, providers) or known}"
    if tier is not None and tier not in (
        tiers := [*TIERS, *map(str, STANDARD_TIERS[1:])]
    ):
        return f"no tier {tier!r}; valid names: {', '.join(tiers)}"
    today = EPOCH + timedelta(days=day)
    if to_come := _to_come(table, pattern, today):
        return f"the price of {pattern!r} is known only from {to_come} on"
    names = [model for of, model in listed if of == (provider or HOME)]
    names += [line.model for line in table.own]
    names += [model for _, model in listed] if provider is None else []
    what = f"no {tier} price" if tier else "no price"
    at = f" at {provider}" if provider else ""
    hint = "; give one in prices.toml or with prices="
    there = any(_fits(name, pattern) for name in names)  # of another tier
    close = "" if there else did_you_mean(pattern.strip("*"), dict.fromkeys(names))
    return f"{what} is known for {pattern!r}{at}{close or hint}"


def _to_come(table: Prices, pattern: str, today: date) -> date | None:
    """The first day of the user's own prices of such models that holds later."""
    days = [
        line.valid_from
        for line in table.own
        if _fits(line.model, pattern) or _fits(pattern, line.model)
        if line.valid_from is not None and line.valid_from > today
    ]
    return min(days, default=None)
