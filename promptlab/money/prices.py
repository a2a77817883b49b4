"""Prices: what a model's tokens cost, from the user's own table, else genai-prices.

genai-prices (MIT) is a dated table of list prices that comes with the package: nothing
is ever downloaded. An own table wins over it. A price that neither knows is unknown:
the cost is NaN then, never 0.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from promptlab.errors import SpecError
from promptlab.money.usage import Terms, Usage
from promptlab.spec.address import is_local

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

EPOCH = date(1970, 1, 1)
PER_MILLION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model's tokens cost, in US dollars for a million of them."""

    input: float
    output: float
    cached_input: float
    """Of input that the provider reads from its own prompt cache."""
    cache_write: float
    """Of input that the provider writes to its own prompt cache."""
    call: float = 0.0
    """Of each call, whatever its tokens, in US dollars."""
    long_from: int | None = None
    """Above so many tokens of input `long` holds, for all tokens of the call."""
    long: Price | None = None
    source: str = ""
    """Whose table it is from."""
    as_of: date | None = None
    """The day of that table, or from which the price holds."""

    def cost_usd(
        self,
        input_tokens: Any,
        cached_input_tokens: Any,
        cache_write_tokens: Any,
        output_tokens: Any,
    ) -> Any:
        """What calls cost, in US dollars: numbers, or equally long arrays of them.

        Input read from or written to the provider's cache is part of all input;
        reasoning is part of the output, and costs as much (OpenAI, "Pricing").
        """
        tokens = input_tokens, cached_input_tokens, cache_write_tokens, output_tokens
        cost = self._flat_usd(*tokens)
        if self.long is None or self.long_from is None:
            return cost
        import numpy as np

        is_long = np.greater(input_tokens, self.long_from)
        return np.where(is_long, self.long.cost_usd(*tokens), cost)

    def at(self, input_tokens: int) -> Price:
        """The price of a call with so many tokens of input."""
        if self.long is None or input_tokens <= (self.long_from or 0):
            return self
        return self.long.at(input_tokens)

    def call_usd(self, usage: Usage) -> float | None:
        """What one call cost, in US dollars; None where its tokens are not known."""
        asked, given = usage.input_tokens, usage.output_tokens
        if asked is None or given is None:
            return None
        read, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        return float(self.at(asked)._flat_usd(asked, read, written, given))

    def prompt_cache_saved_usd(self, usage: Usage) -> float | None:
        """What the provider's own prompt cache took off the price of one call, less
        what writing to it cost; None where its tokens are not known."""
        if usage.input_tokens is None:
            return None
        read, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        if not read and not written:
            return 0.0
        here = self.at(usage.input_tokens)
        return PER_MILLION * (
            read * (here.input - here.cached_input)
            - written * (here.cache_write - here.input)
        )

    def _flat_usd(self, asked: Any, read: Any, written: Any, given: Any) -> Any:
        """What calls cost, however long they are."""
        return self.call + PER_MILLION * (
            (asked - read - written) * self.input
            + read * self.cached_input
            + written * self.cache_write
            + given * self.output
        )


@dataclass(frozen=True, kw_only=True)
class OwnPrice:
    """A line of the user's own table: a price, and what it is of."""

    model: str
    """A model's name, or a pattern such as `gpt-6*`."""
    price: Price
    valid_from: date | None = None
    """The first day it holds; None for ever."""


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
                "prices is a mapping of models to prices, such as "
                f'{{"gpt-6*": {{"input": 2, "output": 10}}}}, not {given!r:.60}'
            )
        return cls(tuple(own_price(m, line) for m, line in (given or {}).items()))

    def price(self, terms: Terms) -> Price | None:
        """What calls under these terms cost; None where no table knows."""
        day = EPOCH + timedelta(days=terms.day)
        for model in filter(None, (terms.model, terms.snapshot)):
            if (own := self._own(model, day)) is not None:
                return own
        return _listed(terms)

    def cost_usd(self, terms: Terms, usage: Usage) -> float:
        """What a call cost; NaN, never zero, where its price or tokens are unknown."""
        price = self.price(terms)
        cost_usd = None if price is None else price.call_usd(usage)
        return float("nan") if cost_usd is None else cost_usd

    def _own(self, model: str, day: date) -> Price | None:
        """The line that names the model, else the first pattern that fits; of several
        with one name, the latest that holds on that day."""
        holds = [o for o in self.own if o.valid_from is None or o.valid_from <= day]
        exact = [o for o in holds if o.model == model]
        found = exact or [o for o in holds if fnmatch.fnmatchcase(model, o.model)]
        if not found:
            return None
        same = [o for o in found if o.model == found[0].model]
        return max(same, key=lambda o: o.valid_from or date.min).price


KINDS = ("input", "output", "cached_input", "cache_write")
"""What a line of the user's own table may say the price of."""


def own_price(model: str, line: Mapping[str, Any]) -> OwnPrice:
    """A line of the user's own table: `input` and `output`, and maybe `cached_input`,
    `cache_write` (as dear as `input` if not given) and `valid_from`.

    Raises:
        SpecError: something else is in it, or a price is not a number from 0.
    """
    known = (*KINDS, "valid_from")
    if not isinstance(line, Mapping) or not {"input", "output"} <= set(line):
        raise SpecError(
            f"the price of {model!r} is a mapping with input and output, in US dollars "
            f"for a million tokens, not {line!r:.60}"
        )
    for name, value in line.items():
        if name not in known:
            raise SpecError(
                f"the price of {model!r} has {name!r}; there are {', '.join(known)}"
            )
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name != "valid_from" and not (number and 0 <= value < float("inf")):
            raise SpecError(
                f"the price of {model!r}: {name} is a number from 0, not {value!r}"
            )
    valid_from = _day(model, line.get("valid_from"))
    price = Price(
        input=line["input"],
        output=line["output"],
        cached_input=line.get("cached_input", line["input"]),
        cache_write=line.get("cache_write", line["input"]),
        source="own prices",
        as_of=valid_from,
    )
    return OwnPrice(model=model, price=price, valid_from=valid_from)


def _day(model: str, value: Any) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise SpecError(
            f"the price of {model!r}: valid_from is a day such as 2026-11-01, "
            f"not {value!r}"
        ) from error


@lru_cache(maxsize=4096)
def _listed(terms: Terms) -> Price | None:
    """The price in the table of genai-prices: of the provider whose address it is, or
    of the model by that name where the address is a gateway's."""
    if is_local(terms.base_url):
        return None
    from genai_prices import Usage as NoUsage
    from genai_prices import __version__, calc_price

    midnight = datetime.min.time()
    when = datetime.combine(EPOCH + timedelta(days=terms.day + 1), midnight, UTC)
    tier = terms.service_tier
    for model in filter(None, (terms.model, terms.snapshot)):
        try:
            found = calc_price(
                NoUsage(),
                model,
                provider_id=_provider(terms.base_url),
                genai_request_timestamp=when - timedelta(seconds=1),
                price_context={"service_tier": tier} if tier else None,
            )
        except LookupError:
            continue
        source = f"genai-prices {__version__}, {found.provider.id}"
        return _read(found.model_price, source)
    return None


def _provider(base_url: str) -> str | None:
    """The provider that genai-prices knows at an address."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        return str(get_snapshot().find_provider(None, None, base_url).id)
    except LookupError:
        return None


def _read(given: ModelPrice, source: str) -> Price | None:
    """A price of genai-prices as ours; None where it does not price both input and
    output by the token."""
    rates = {
        "input": given.input_mtok,
        "output": given.output_mtok,
        "cached_input": given.cache_read_mtok,
        "cache_write": given.cache_write_mtok,
    }
    if rates["input"] is None or rates["output"] is None:
        return None
    starts = {tier.start for rate in rates.values() for tier in _tiers(rate)}
    call = float(getattr(given, "requests_kcount", None) or 0) / 1000
    return _stepped(rates, [0, *sorted(starts)], call, source)


def _stepped(
    rates: Mapping[str, Any], starts: Sequence[int], call: float, source: str
) -> Price:
    """The price from the first of the steps on, with those that follow in `long`."""
    first, *later = starts
    at = {name: _rate(rate, first) for name, rate in rates.items()}
    plain = {name: at["input"] if r is None else r for name, r in at.items()}
    return Price(
        input=plain["input"] or 0.0,
        output=plain["output"] or 0.0,
        cached_input=plain["cached_input"] or 0.0,
        cache_write=plain["cache_write"] or 0.0,
        call=call,
        long_from=later[0] if later else None,
        long=_stepped(rates, later, call, source) if later else None,
        source=source,
    )


def _tiers(rate: Any) -> Sequence[Any]:
    return getattr(rate, "tiers", ())


def _rate(rate: Any, start: int) -> float | None:
    """A rate from that step on; None where there is none."""
    if rate is None:
        return None
    steps = [tier.price for tier in _tiers(rate) if tier.start <= start]
    return float(steps[-1] if steps else getattr(rate, "base", rate))
