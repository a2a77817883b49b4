"""List prices: what providers publish, as genai-prices has it.

genai-prices (MIT) is a dated table that comes with the package: nothing is ever
downloaded. It says from which day a price holds where it knows; where it does not, the
version of the package is all that is known of a price's age.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from promptlab.money.price import Price
from promptlab.spec.address import is_local
from promptlab.spec.usage import HALF_HOUR_S, PriceContext

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LAST = 47
"""The last half hour of a day."""

BATCH = "batch"

OPENROUTER = "openrouter"
"""Whose models have free variants."""

FREE = Price(
    input=0.0,
    output=0.0,
    cached_input=0.0,
    cache_write=0.0,
    source="OpenRouter, free variants",
)

STANDARD_TIERS = (None, "auto", "default", "on_demand", "standard")
"""Names, at one provider or another, of the tier that the plain price is of."""

SPLIT = ("output_reasoning_mtok", "output_citation_mtok")
"""Kinds of output with a price of their own, of which a reply does not say enough."""


@lru_cache(maxsize=4096)
def list_price(context: PriceContext) -> Price | None:
    """What a call costs at list price; None if it is not known.

    It is the price of the provider whose address it is, or of the model by that name
    where the address is a gateway's.
    """
    if is_local(context.base_url):
        return None
    provider = _provider(context.base_url)
    for model in filter(None, (context.model, context.snapshot)):
        if _is_free_variant(model, provider) or _found(model, provider) is not None:
            tier, day, half_hour = context.service_tier, context.day, context.half_hour
            return provider_price(model, provider, tier, day, half_hour)
    return None


def provider_price(
    model: str, provider: str | None, tier: str | None, day: int, half_hour: int = LAST
) -> Price | None:
    """What a model costs at a provider at the end of a half hour of a day (days since
    1970)."""
    if _is_free_variant(model, provider):
        return FREE
    seconds = (half_hour + 1) * HALF_HOUR_S - 1
    moment = EPOCH + timedelta(days=day, seconds=seconds)
    found = _found(model, provider)
    return None if found is None else _price(*found, tier, moment)


def listed_models() -> Iterator[tuple[str, str]]:
    """The models that are listed: for each, the provider's name and its own."""
    for provider in _snapshot().providers:
        for model in provider.models:
            yield provider.id, model.id


def seller(model: str, provider: str | None) -> str | None:
    """The provider, if it has a model by that name or an alias; without one, the
    provider that models of such a name are known by."""
    found = _found(model, provider)
    return None if found is None else found[0].id


def _is_free_variant(model: str, provider: str | None) -> bool:
    """Whether it is a variant of a model that OpenRouter charges nothing for."""
    return provider == OPENROUTER and model.endswith(":free")


def _snapshot() -> DataSnapshot:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


def _provider(base_url: str) -> str | None:
    """The provider that genai-prices knows at an address."""
    try:
        return str(_snapshot().find_provider(None, None, base_url).id)
    except LookupError:
        return None


def _found(model: str, provider: str | None) -> tuple[Provider, ModelInfo] | None:
    try:
        return _snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None


def _price(
    provider: Provider, info: ModelInfo, tier: str | None, moment: datetime
) -> Price | None:
    """The price of a model at a time, if that of the tier is known."""
    from genai_prices import __version__

    tier = None if tier in STANDARD_TIERS else tier
    processing = {"processing": tier} if tier == BATCH else {"service_tier": tier or ""}
    own = any(info is model for model in provider.models)  # not another provider's
    variants = [
        variant
        for variant in (info.price_variants or () if own else ())
        if _is_active(variant, moment) and variant.when.items() <= processing.items()
    ]
    told_apart = tier and any(
        "service_tier" in variant.when
        for listed in (*provider.models, info)
        for variant in listed.price_variants or ()
    )
    if not variants and (tier == BATCH or told_apart):
        return None
    steps = info.prices if isinstance(info.prices, list) else []
    step = next((step for step in reversed(steps) if _is_active(step, moment)), None)
    constraints = [getattr(part, "constraint", None) for part in (step, *variants)]
    starts = [getattr(constraint, "start_date", None) for constraint in constraints]
    given = info.get_prices(moment, processing if variants else None)
    source = f"genai-prices {__version__}, {provider.id}"
    return _read(given, source, max(filter(None, starts), default=None))


def _is_active(part: Any, moment: datetime) -> bool:
    """Whether a step or a variant of a price holds at a time."""
    return part.constraint is None or bool(part.constraint.active(moment))


def _read(given: ModelPrice, source: str, as_of: date | None) -> Price | None:
    """A price of genai-prices as ours; None if input and output by the token are not
    all that it is of. Above each of its steps the price is the one in `long`."""
    rates = {
        "input": given.input_mtok,
        "output": given.output_mtok,
        "cached_input": given.cache_read_mtok,
        "cache_write": given.cache_write_mtok,
    }
    if rates["input"] is None or rates["output"] is None:
        return None
    if any(getattr(given, name) is not None for name in SPLIT):
        return None
    starts = {tier.start for rate in rates.values() for tier in _steps(rate)}
    call = float(getattr(given, "requests_kcount", None) or 0) / 1000
    price, until = None, None
    for start in (*sorted(starts, reverse=True), 0):
        at = {name: _rate(rate, start) for name, rate in rates.items()}
        price = Price(
            **{name: at["input"] if r is None else r for name, r in at.items()},
            call=call,
            long_from=until,
            long=price,
            source=source,
            as_of=as_of,
        )
        until = start
    return price


def _steps(rate: Any) -> Sequence[Any]:
    return getattr(rate, "tiers", ())


def _rate(rate: Any, start: int) -> Any:
    """A rate from that step on; None if not listed."""
    if rate is None:
        return None
    steps = [tier.price for tier in _steps(rate) if tier.start <= start]
    return float(steps[-1] if steps else getattr(rate, "base", rate))
