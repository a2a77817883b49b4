"""Prices: list prices and own ones, and what is unknown is NaN, never 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import promptlab as pl
from promptlab.errors import ConfigError, SpecError
from promptlab.formats import dollars
from promptlab.money.own_prices import own_price
from promptlab.money.prices import prices_in_force, read_prices
from promptlab.spec.usage import PriceContext, when


def day_of(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


TODAY = day_of(2026, 11, 24)
OPENAI = "https://api.openai.com/v1"


def context(
    model: str = "gpt-6-sol",
    *,
    base_url: str = OPENAI,
    snapshot: str | None = None,
    tier: str | None = None,
    day: int = TODAY,
) -> PriceContext:
    return PriceContext(base_url, model, snapshot, tier, day)


def test_cached_input_is_part_of_all_input_and_costs_less() -> None:
    usage = pl.Usage(input_tokens=2006, cached_input_tokens=1920, output_tokens=300)

    cost = pl.Prices().cost_usd(context(), usage)

    assert cost == pytest.approx((86 * 2 + 1920 * 0.2 + 300 * 10) / 1e6)


TIERS = {
    "gpt-6-sol": ("flex", "priority", "batch"),
    "gpt-6-luna": ("flex", "priority", "batch"),
    "gpt-5.4-mini": ("flex", "priority", "batch"),
    "gpt-4.1": ("priority", "batch"),
}
"""The tiers of some models that have rates of their own."""


@given(
    st.integers(0, 400_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 50_000),
    st.sampled_from(sorted(TIERS)).flatmap(
        lambda model: st.tuples(
            st.just(model), st.sampled_from([None, "default", *TIERS[model]])
        )
    ),
)
def test_what_a_call_costs_is_what_genai_prices_says(
    tokens: int, read: float, written: float, output: int, asked: tuple[str, str | None]
) -> None:
    model, tier = asked
    cached = int(tokens * read)
    wrote = int((tokens - cached) * written) if "6" in model else 0
    processing = {"processing" if tier == "batch" else "service_tier": tier}
    theirs = calc_price(
        TheirUsage(
            input_tokens=tokens,
            cache_read_tokens=cached,
            cache_write_tokens=wrote,
            output_tokens=output,
        ),
        model,
        provider_id="openai",
        genai_request_timestamp=datetime(2026, 11, 24, tzinfo=UTC),
        price_context=processing if tier else None,
    )

    ours = pl.Prices().cost_usd(
        context(model, tier=tier), pl.Usage(tokens, cached, output, 0, wrote)
    )

    assert ours == pytest.approx(float(theirs.total_price), rel=1e-9)


def test_a_long_prompt_makes_the_whole_call_dearer() -> None:
    def cost(tokens: int) -> float:
        return pl.Prices().cost_usd(context(), pl.Usage(tokens, 2_000, 1_000, 0, 3_000))

    assert cost(272_000) == pytest.approx(
        (267_000 * 2 + 2_000 * 0.2 + 3_000 * 2.5 + 1_000 * 10) / 1e6
    )
    assert cost(272_001) == pytest.approx(
        (267_001 * 4 + 2_000 * 0.4 + 3_000 * 5 + 1_000 * 15) / 1e6
    )


def test_input_written_to_the_providers_cache_is_part_of_it_and_costs_more() -> None:
    usage = pl.Usage(2_000, 500, 0, 0, cache_write_tokens=1_000)

    cost = pl.Prices().cost_usd(context(), usage)

    assert cost == pytest.approx((500 * 2 + 500 * 0.2 + 1_000 * 2.5) / 1e6)


def test_reasoning_is_output_and_not_paid_for_twice() -> None:
    usage = pl.Usage(0, 0, output_tokens=1_000, reasoning_tokens=900)

    assert pl.Prices().cost_usd(context(), usage) == pytest.approx(1_000 * 10 / 1e6)


def test_numbers_and_arrays_cost_the_same() -> None:
    price = pl.Prices().price(context())
    assert price is not None
    calls = [(10, 0, 0, 5), (300_000, 1_000, 0, 10), (272_000, 0, 0, 1)]

    together = price.cost_usd(*map(np.asarray, zip(*calls, strict=True)))

    assert together.tolist() == [float(price.cost_usd(*call)) for call in calls]


def test_the_tier_that_served_decides() -> None:
    usage = pl.Usage(100_000, 0, 0)

    costs = {
        tier: pl.Prices().cost_usd(context("gpt-6-luna", tier=tier), usage)
        for tier in (None, "default", "flex", "priority", "fast", "batch")
    }

    assert costs == pytest.approx(
        {
            None: 0.01,
            "default": 0.01,
            "flex": 0.005,
            "priority": 0.02,
            "fast": 0.02,
            "batch": 0.005,
        }
    )


@pytest.mark.parametrize(
    "unknown",
    [
        context("gpt-6-luna", tier="flex", day=day_of(2026, 10, 11)),
        context("gpt-6-luna", tier="batch", day=day_of(2026, 10, 13)),
        context("gpt-6-luna", tier="scale"),
        context("gpt-4.1", tier="flex"),
        context("gpt-6-cyber", tier="batch"),
        context("gpt-6-cyber", tier="flex"),
        context("gpt-6-sol", tier="flex", base_url="https://our.openai.azure.com"),
    ],
    ids=[
        *("flex before its first day", "batch before its first day", "scale"),
        *("a tier that the model is not sold at", "a model without batches"),
        *("a model without tiers, of a provider with some", "at another provider"),
    ],
)
def test_a_tier_whose_rates_are_not_known_has_no_price(unknown: PriceContext) -> None:
    assert pl.Prices().price(replace(unknown, service_tier=None)) is not None
    assert pl.Prices().price(unknown) is None


def test_a_tier_makes_no_difference_where_the_table_knows_of_none() -> None:
    groq = context("llama-3.1-8b-instant", base_url="https://api.groq.com/openai/v1")

    prices = {pl.Prices().price(replace(groq, service_tier=t)) for t in (None, "flex")}

    assert len(prices) == 1
    assert None not in prices


def test_a_price_says_whose_it_is_and_from_when_if_that_is_known() -> None:
    found = {
        tier: pl.Prices().price(context("gpt-6-luna", tier=tier))
        for tier in (None, "flex", "batch")
    }
    cheaper = pl.Prices().price(context("o3"))

    sources = {price.source for price in found.values() if price}
    assert sources == {f"genai-prices {version('genai-prices')}, openai"}
    assert {tier: price.as_of for tier, price in found.items() if price} == {
        None: None,
        "flex": date(2026, 10, 12),
        "batch": date(2026, 10, 14),
    }
    assert cheaper is not None
    assert cheaper.as_of == date(2025, 6, 10)


def test_a_price_is_that_of_the_day() -> None:
    usage = pl.Usage(1_000_000, 0, 0)

    before = pl.Prices().cost_usd(context("o3", day=day_of(2025, 6, 9)), usage)
    after = pl.Prices().cost_usd(context("o3", day=day_of(2025, 6, 10)), usage)

    assert (before, after) == (10, 2)


@given(st.integers(0, 47))
def test_a_price_that_changes_in_a_day_is_that_of_the_hour(half_hour: int) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    moment = midnight + timedelta(minutes=30 * half_hour, seconds=5)
    theirs = calc_price(
        TheirUsage(input_tokens=1_000_000),
        "deepseek-v4-pro",
        provider_id="deepseek",
        genai_request_timestamp=moment,
    )
    asked = context("deepseek-v4-pro", base_url="https://api.deepseek.com")

    ours = pl.Prices().cost_usd(
        replace(asked, half_hour=half_hour), pl.Usage(1_000_000, 0, 0)
    )

    assert when(moment.timestamp()) == (TODAY, half_hour)
    assert ours == pytest.approx(float(theirs.total_price))


def test_a_model_whose_reasoning_has_a_price_of_its_own_has_none_here() -> None:
    asked = context("sonar-deep-research", base_url="https://api.perplexity.ai")

    assert pl.Prices().price(asked) is None


@pytest.mark.parametrize(
    "unknown",
    [
        context("a-model-of-ours"),
        context("gpt-6-sol", base_url="http://localhost:11434/v1"),
        context("offline/small", base_url="offline://1"),
        context("gpt-6-sol", base_url="https://api.groq.com/openai/v1"),
    ],
    ids=["model", "this machine", "offline", "not the provider's"],
)
def test_an_unknown_price_is_nan_and_never_0(unknown: PriceContext) -> None:
    assert math.isnan(pl.Prices().cost_usd(unknown, pl.Usage(10, 0, 10)))


@pytest.mark.parametrize("usage", [pl.Usage(), pl.Usage(10), pl.Usage(None, None, 10)])
def test_without_token_counts_the_cost_is_unknown(usage: pl.Usage) -> None:
    assert math.isnan(pl.Prices().cost_usd(context(), usage))


def test_free_variants_of_openrouter_cost_nothing_and_have_a_price() -> None:
    free = context("nobody/new:free", base_url="https://openrouter.ai/api/v1")
    usage = pl.Usage(input_tokens=2006, output_tokens=300)

    assert pl.Prices().cost_usd(free, usage) == 0
    elsewhere = replace(free, base_url="https://gateway.test/v1")
    assert math.isnan(pl.Prices().cost_usd(elsewhere, usage))


def test_behind_a_gateway_the_model_has_its_own_makers_price() -> None:
    gateway = context("gpt-6-sol", base_url="https://gateway.example/v1")

    assert pl.Prices().cost_usd(gateway, pl.Usage(1_000, 0, 0)) == 0.002


def test_a_deployment_is_priced_as_the_model_that_answers() -> None:
    deployment = context("our-deployment", snapshot="gpt-6-sol")

    assert pl.Prices().cost_usd(deployment, pl.Usage(1_000, 0, 0)) == 0.002


# Own prices.


def test_own_prices_win_by_name_then_by_pattern() -> None:
    prices = pl.Prices.of(
        {
            "offline/*": {"input": 1, "output": 2},
            "offline/small": {"input": 3, "output": 4, "cached_input": 0.5},
        }
    )

    def cost(model: str) -> float:
        offline = context(model, base_url="offline://1")
        return prices.cost_usd(offline, pl.Usage(1_000_000, 500_000, 0))

    assert cost("offline/small") == 0.5 * 3 + 0.5 * 0.5
    assert cost("offline/large") == 1
    assert prices.cost_usd(context(), pl.Usage(1_000, 0, 0)) == 0.002


def test_a_price_holds_from_its_day() -> None:
    prices = pl.Prices.of(
        {"m": {"input": 2, "output": 2, "valid_from": "2026-11-24"}},
    )

    assert prices.cost_usd(context("m"), pl.Usage(1_000_000, 0, 0)) == 2
    assert math.isnan(prices.cost_usd(context("m", day=TODAY - 1), pl.Usage(1, 0, 0)))


def test_of_several_lines_the_latest_that_holds_decides() -> None:
    lines = ({}, {"valid_from": "2026-11-01"}, {"valid_from": date(2026, 12, 1)})
    prices = pl.Prices(
        tuple(
            own_price("m*", {"input": rate, "output": 0} | line)
            for rate, line in enumerate(lines, start=1)
        )
    )

    def cost(*day: int) -> float:
        return prices.cost_usd(
            context("m", day=day_of(*day)), pl.Usage(1_000_000, 0, 0)
        )

    assert cost(2026, 10, 31) == 1
    assert cost(2026, 11, 1) == cost(2026, 11, 30) == 2
    assert cost(2026, 12, 1) == 3


def test_own_prices_may_tell_tiers_and_long_prompts_apart() -> None:
    line = {
        "input": 2,
        "output": 10,
        "long_from": 1_000,
        "long": {"input": 4, "output": 15},
        "batch": {"input": 1, "output": 5, "cached_input": 0.1},
    }
    prices = pl.Prices.of({"m": line})

    def cost(tokens: int, tier: str | None = None) -> float:
        usage = pl.Usage(tokens, 500, 0)
        return prices.cost_usd(context("m", tier=tier), usage) * 1e6

    assert cost(1_000) == pytest.approx(1_000 * 2)
    assert cost(1_001) == pytest.approx(1_001 * 4)
    assert cost(1_001, "batch") == pytest.approx(501 * 1 + 500 * 0.1)
    assert cost(1_000, "flex") == cost(1_000)  # the line says nothing else of it


def test_a_line_is_the_same_again_from_what_a_record_keeps() -> None:
    rates = {"input": 2, "output": 10, "cached_input": 0.5, "cache_write": 3}
    line = own_price(
        "m*",
        {
            **rates,
            "valid_from": "2026-11-01",
            "long_from": 1_000,
            "long": rates,
            "flex": {"input": 1, "output": 5, "long_from": 9, "long": rates},
        },
        "mine.toml",
    )

    kept = orjson.loads(orjson.dumps(line.to_plain()))

    assert own_price(**kept) == line


RATES = {"input": 1, "output": 1}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["offline/smalll"],
            "prices: 'offline/smalll' is not a model in the grid; did you mean",
        ),
        (["offline/smalll", "offline/large"], "did you mean 'offline/small'"),
        (["gpt-*", "mine"], "prices: 'gpt-*', 'mine' are not models in the grid"),
        (["*"], ""),
        (["offline/small", "offline/large", "another experiment's"], ""),
        (["offline/large", "offline/small-2026-09-01"], ""),
        ([], ""),
    ],
    ids=str,
)
def test_a_name_that_no_model_has_is_told_where_a_model_has_no_price(
    names: list[str], said: str
) -> None:
    prices = pl.Prices.of({name: {"input": 1, "output": 2} for name in names})

    told = prices.misnamed(["offline/small", "offline/large"])

    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ([1], "prices: expected a mapping of models to prices"),
        ({5: RATES}, 'expected a model, such as model = "gpt-6.", got 5'),
        ({"m": 3}, "the price of 'm': expected a mapping with input and output"),
        (
            {"m": {"input": 1}},
            "the price of 'm': output is missing, in US dollars for a million tokens",
        ),
        ({"m": {}}, "the price of 'm': input and output are missing"),
        (
            {"m": {"inptu": 1, "output": 2}},
            r"the price of 'm': unknown key 'inptu'; did you mean 'input'\?",
        ),
        ({"m": {"input": 1, "output": -1}}, "output: expected a number >= 0, got -1"),
        ({"m": {"input": "1", "output": 1}}, "input: expected a number >= 0, got '1'"),
        ({"m": {"input": 1, "output": float("inf")}}, "a number >= 0, got inf"),
        (
            {"m": {"input": 1, "output": 1, "zz": 1}},
            "unknown key 'zz'; valid names: input",
        ),
        (
            {"m": {"input": 1, "output": 1, "valid_from": "soon"}},
            "valid_from: expected a day, such as 2026-11-01, got 'soon'",
        ),
        (
            {"m": {**RATES, "valid_from": 5}},
            "valid_from: expected a day, such as .*, got 5",
        ),
        (
            {"m": {**RATES, "valid_from": datetime(2026, 11, 1)}},
            "valid_from: expected a day, such as 2026-11-01, got datetime",
        ),
        (
            {"m": {**RATES, "cached_input": True}},
            "cached_input: expected a number >= 0",
        ),
        (
            {"m": {**RATES, "flex": 1}},
            "price of 'm', flex: expected a mapping with input",
        ),
        (
            {"m": {**RATES, "flex": {**RATES, "valid_from": "2026-11-01"}}},
            "the price of 'm', flex: unknown key 'valid_from'; valid names: input",
        ),
        ({"m": {**RATES, "long": RATES}}, "long_from, .* and long, .* go together"),
        (
            {"m": {**RATES, "long_from": 0, "long": RATES}},
            "long_from: expected an integer >= 1, of tokens, got 0",
        ),
        (
            {"m": {**RATES, "long_from": 9, "long": {"input": 1, "output": "x"}}},
            "the price of 'm', long, output: expected a number >= 0, got 'x'",
        ),
    ],
)
def test_a_wrong_table_is_told(given_: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        pl.Prices.of(given_)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (0.0000012, "$0.0000012"),
        (0.00343, "$0.0034"),
        (0.5, "$0.50"),
        (0.9999, "$1.00"),
        (12.3, "$12.30"),
        (1234.5, "$1,234"),
        (1e12, "$1,000B"),
        (1.5e9, "$1.5B"),
        (1e-10, "<$0.0000001"),
        (float("nan"), "–"),
    ],
)
def test_amounts_are_shown_with_two_digits_that_say_something(
    amount: float, text: str
) -> None:
    assert dollars(amount) == text


def test_the_price_of_the_model_asked_wins_over_that_of_the_one_that_answered() -> None:
    prices = pl.Prices.of(
        {"gpt-6*": {"input": 1, "output": 1}, "fast": {"input": 2, "output": 2}}
    )

    price = prices.price(context("fast", snapshot="gpt-6-sol"))

    assert price is not None
    assert price.input == 2


def test_a_call_that_asks_for_no_tier_may_be_served_at_the_dearest() -> None:
    line = {"input": 1, "output": 1, "priority": {"input": 2, "output": 2}}
    prices = pl.Prices.of({"m": {**line, "flex": {"input": 0.5, "output": 0.5}}})

    def inputs(tier: str | None) -> list[float]:
        return [
            price.input for price in prices.candidate_prices(context("m", tier=tier))
        ]

    assert inputs(None) == inputs("default") == [1, 2]
    assert inputs("flex") == [0.5]


# The file of own prices.

TABLE = """\
# US dollars for a million tokens
[[price]]
model = "gpt-6*"
input = 2
output = 10
cached_input = 0.2
cache_write = 2.5
long_from = 272_000
long = { input = 4, output = 15 }
flex = { input = 1, output = 5 }

[price.batch]
input = 0.9
output = 4.5

[[price]]
model = "gpt-6*"
valid_from = 2026-12-01
input = 1.5
output = 8
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes, name: str = "prices.toml") -> Path:
        content = text.encode() if isinstance(text, str) else text
        Path(name).write_bytes(content)
        return Path(name)

    return write


def test_a_file_holds_one_line_after_the_other(write: Write) -> None:
    old, new = read_prices(write(TABLE)).own

    assert (old.model, old.valid_from, old.price.source) == (
        "gpt-6*",
        None,
        "prices.toml",
    )
    assert (old.price.input, old.price.output) == (2, 10)
    assert (old.price.cached_input, old.price.cache_write) == (0.2, 2.5)
    assert old.price.long_from == 272_000
    assert old.price.long is not None
    assert (old.price.long.input, old.price.long.output) == (4, 15)
    assert {tier: price.input for tier, price in old.tiers.items()} == {
        "flex": 1,
        "batch": 0.9,
    }
    assert (new.valid_from, new.price.as_of) == (date(2026, 12, 1), date(2026, 12, 1))
    assert new.price.input == 1.5


def test_prices_toml_in_the_working_directory_is_used(write: Write) -> None:
    assert prices_in_force().own == ()
    write(TABLE)

    assert len(prices_in_force().own) == 2
    assert prices_in_force({}).own == ()
    assert prices_in_force(pl.Prices()).own == ()


def test_another_file_takes_its_place(write: Write) -> None:
    write(TABLE)
    path = write('[[price]]\nmodel = "m"\ninput = 1\noutput = 1\n', "other.toml")

    for given_ in (path, "other.toml"):
        assert [line.model for line in prices_in_force(given_).own] == ["m"]


def test_a_byte_order_mark_is_no_part_of_a_file(write: Write) -> None:
    assert len(read_prices(write(b"\xef\xbb\xbf" + TABLE.encode())).own) == 2


ONE = '[[price]]\nmodel = "m"\ninput = 1\noutput = 1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price]]\nmodel = \n", r"prices.toml: not valid TOML: .*line 2"),
        (b"\xff\xfe", "prices file prices.toml is not UTF-8 text"),
        ("a = " + "[" * 5_000, "prices.toml: not valid TOML"),
        (
            '["gpt-6*"]\ninput = 1\n',
            r"prices.toml has 'gpt-6\*'; prices stand in \[\[price\]\] tables, each "
            r"with model, input and output \(prices=\{\} uses no file\)",
        ),
        ('[price]\nmodel = "m"\n', r"price is a list of tables; write \[\[price\]\]"),
        (
            ONE + "\n[[price]]\ninput = 1\n",
            r"\[\[price\]\] from line 6: expected a model",
        ),
        ("price = " + "1" * 5_000, "prices.toml: not valid TOML: Exceeds the limit"),
        (
            ONE.replace("input = 1", "input = 1" + "0" * 400),
            "input: expected a number >= 0",
        ),
        ("[[price]]\nmodel = 3\n", 'expected a model, such as .*"gpt-6.*, got 3'),
        (
            ONE + ONE.replace("input = 1", "input = '1'"),
            "prices.toml, line 7: the price of 'm', input: expected a number >= 0, got",
        ),
        (
            ONE + "inputs = 1\n",
            "prices.toml, line 5: the price of 'm': unknown key 'inputs'; did you mean",
        ),
        (
            ONE.replace("output = 1\n", ""),
            r"prices.toml, \[\[price\]\] from line 1: the price of .m.: output is m",
        ),
        (
            ONE + "flex = {input = 1, output = 'x'}",
            "line 5: the price of 'm', flex, out",
        ),
        (
            ONE + "\n[price.batch]\ninput = 1\n",
            "line 6: the price of 'm', batch: output is missing",
        ),
        (
            ONE + "\n[price.batch]\ninput = true\noutput = 1\n",
            "line 7: the price of 'm', batch, input: expected a number >= 0, got True",
        ),
        (
            ONE.replace("input = 1", "input = nan"),
            "input: expected a number >= 0, got nan",
        ),
        (
            ONE + "valid_from = 2026-11-01T10:00:00Z\n",
            "valid_from: expected a day, such as",
        ),
        (ONE + "flex = 1\n", "line 5: the price of 'm', flex: expected a mapping"),
        (
            ONE + ONE,
            r"\[\[price\]\] from line 5: a second price of 'm' without valid_from; g",
        ),
        (
            'price = [{model = "m"}]',
            "prices.toml, price 1: the price of 'm': input and",
        ),
        ("price = [3]", "price 1: a price: expected a table with model, got 3"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_says_where(
    write: Write, text: str | bytes, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_prices(write(text))

    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=r"prices file .* cannot be read: "):
            prices_in_force(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.text("[]price=.modl \n\"'{}0123456789-,inputo"))
def test_any_text_is_read_or_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_bytes(text.encode(errors="replace"))

    with suppress(ConfigError):
        assert isinstance(read_prices(path), pl.Prices)
