"""List prices: what providers publish, as genai-prices has it.

genai-prices (MIT) is a dated table that comes with the package: nothing is ever
downloaded. It says from which day a price holds where it knows; where it does not, the
version of the package is all that is known of a price's age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from promptlab.money.price import Price
from promptlab.spec.address import is_local
from promptlab.spec.usage import HALF_HOUR_S, PriceContext

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider

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
    if _is_free_variant(context.model, provider):
        return FREE
    for model in filter(None, (context.model, context.snapshot)):
        if (found := _found(model, provider)) is not None:
            moment = _end_of(context.day, context.half_hour)
            return _price(*found, context.service_tier, moment)
    return None


def provider_price(
    model: str, provider: str, tier: str | None, day: int
) -> Price | None:
    """What a model costs at a provider at the end of a day (days since 1970)."""
    if _is_free_variant(model, provider):
        return FREE
    found = _found(model, provider)
    return None if found is None else _price(*found, tier, _end_of(day, LAST))


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


def _end_of(day: int, half_hour: int) -> datetime:
    """The last second of a half hour."""
    return EPOCH + timedelta(days=day, seconds=(half_hour + 1) * HALF_HOUR_S - 1)


def _price(
    provider: Provider, info: ModelInfo, tier: str | None, moment: datetime
) -> Price | None:
    """The price of a model at a time, where that of the tier is known."""
    from genai_prices import __version__

    tier = None if tier in STANDARD_TIERS else tier
    processing = {"processing": tier} if tier == BATCH else {"service_tier": tier or ""}
    own = any(info is model for model in provider.models)  # not another provider's
    variants = list(_in_force(info, processing, moment)) if own else []
    differs = tier == BATCH or (tier and _tells_tiers_apart(provider, info))
    if differs and not variants:
        return None
    given = info.get_prices(moment, processing if variants else None)
    source = f"genai-prices {__version__}, {provider.id}"
    return _read(given, source, _holds_from(info, variants, moment))


def _in_force(
    model: ModelInfo, processing: Mapping[str, str], moment: datetime
) -> Iterator[PriceVariant]:
    """The rates of a tier, where they are known at that time."""
    for variant in model.price_variants or ():
        active = variant.constraint is None or variant.constraint.active(moment)
        if active and variant.when.items() <= processing.items():
            yield variant


def _tells_tiers_apart(provider: Provider, model: ModelInfo) -> bool:
    """Whether the table knows that tiers of the provider, or the model, differ in
    price."""
    return any(
        "service_tier" in variant.when
        for listed in (*provider.models, model)
        for variant in listed.price_variants or ()
    )


def _holds_from(
    model: ModelInfo, variants: Sequence[PriceVariant], moment: datetime
) -> date | None:
    """The first day on which all parts of a price are known to have held."""
    steps = model.prices if isinstance(model.prices, list) else []
    active = (s.constraint for s in reversed(steps) if _is_active(s, moment))
    constraints = [next(active, None), *(variant.constraint for variant in variants)]
    starts = [getattr(constraint, "start_date", None) for constraint in constraints]
    return max((start for start in starts if start is not None), default=None)


def _is_active(step: Any, moment: datetime) -> bool:
    return step.constraint is None or bool(step.constraint.active(moment))


def _read(given: ModelPrice, source: str, as_of: date | None) -> Price | None:
    """A price of genai-prices as ours; None if input and output by the token are
    not all that it is of."""
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
    return _stepped(rates, [0, *sorted(starts)], call, source, as_of)


def _stepped(
    rates: Mapping[str, Any],
    starts: Sequence[int],
    call: float,
    source: str,
    as_of: date | None,
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
        long=_stepped(rates, later, call, source, as_of) if later else None,
        source=source,
        as_of=as_of,
    )


def _steps(rate: Any) -> Sequence[Any]:
    return getattr(rate, "tiers", ())


def _rate(rate: Any, start: int) -> float | None:
    """A rate from that step on; None if there is none."""
    if rate is None:
        return None
    steps = [tier.price for tier in _steps(rate) if tier.start <= start]
    return float(steps[-1] if steps else getattr(rate, "base", rate))
