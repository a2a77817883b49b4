"""Tokens: estimated, counted by tiktoken, and corrected by what servers count."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.money.estimate import Estimate
from promptlab.money.price import Price
from promptlab.money.tokens import (
    ADDRESS,
    ERROR,
    ESTIMATE,
    KEPT,
    PER_REPLY,
    REMEMBERED_AS_IT_IS,
    TEXTS,
    Calibration,
    Observations,
    TokenCounter,
    calibration,
    counter_for,
    encoding_of,
    estimated_tokens,
    remembered,
)
from promptlab.spec.usage import Usage

# The estimate.


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Привет, как дела? Я хотел бы узнать, где моя посылка." * 5, 85),
        ("我想知道我的包裹在哪里，它应该星期一到。" * 5, 66),
        ("Wo ist mein Paket? Es sollte am Montag ankommen, ich möchte eine "
         "Rückerstattung." * 5, 95),
        ("أين طردي؟ كان من المفترض أن يصل يوم الاثنين" * 5, 70),
    ],
    ids=["Russian", "Chinese", "German", "Arabic"],
)  # fmt: skip
def test_the_estimate_is_as_near_as_it_says(text: str, tokens: int) -> None:
    assert tokens / (1 + ERROR) <= estimated_tokens(text) <= tokens * (1 + ERROR)


def test_nothing_takes_no_tokens_and_a_message_takes_some_more() -> None:
    assert estimated_tokens("") == 0
    assert ESTIMATE.messages(["", "word"]) == 2 * 4 + 1


def test_a_chat_takes_what_its_format_adds() -> None:
    """As OpenAI's reference shows it: 19 tokens of prompt for these two messages."""
    o200k = {"You are a helpful assistant.": 6, "Hello!": 2}
    counter = TokenCounter("o200k_base", 0.0, o200k.__getitem__)

    assert counter.messages(o200k) + PER_REPLY == 19


def test_tools_and_schemas_are_read_by_the_model_too() -> None:
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]

    tool_tokens = ESTIMATE.tool_tokens({"temperature": 0, "tools": tools})

    assert 10 < tool_tokens < 40
    assert ESTIMATE.tool_tokens({"temperature": 0, "max_tokens": 5}) == 0


def test_a_text_is_counted_once_short_or_long() -> None:
    counted: list[str] = []
    count = remembered(lambda text: counted.append(text) or len(text))
    texts = ["short", "l" + "o" * REMEMBERED_AS_IT_IS + "ng", "lone \ud800"]

    assert [count(text) for text in texts * 3] == [len(text) for text in texts * 3]
    assert counted == texts


def test_counts_of_ever_more_texts_are_forgotten() -> None:
    counted: list[str] = []
    count = remembered(lambda text: counted.append(text) or 1)

    for number in range(TEXTS + 1):
        count(str(number))
    count("0")

    assert counted.count("0") == 2
    assert count(str(TEXTS)) == 1
    assert counted.count(str(TEXTS)) == 1


def test_the_dearest_of_several_steps_is_the_most_that_calls_may_cost() -> None:
    steps = [Price(input=n, output=n, cached_input=n, cache_write=n) for n in (4, 2, 1)]
    price = steps[0]
    for shorter, start in zip(steps[1:], (250_000, 30_000), strict=True):
        price = replace(shorter, long_from=start, long=price)
    estimate = Estimate(100.0)
    estimate.add([300_000], [])

    most = estimate.cost_usd(price, Calibration(ESTIMATE)).high

    usage = Usage(input_tokens=300_003, output_tokens=100)
    cost_usd = price.call_usd(usage)
    assert cost_usd is not None
    assert most >= cost_usd


# Counts by tiktoken.

needs_tiktoken = pytest.mark.skipif(
    find_spec("tiktoken") is None,
    reason="tiktoken is not installed: the extra `tokens`",
)

O200K = hashlib.sha1(ADDRESS.format("o200k_base").encode()).hexdigest()


@needs_tiktoken
@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-6-sol", "o200k_base"),
        ("gpt-6.2-astra", "o200k_base"),
        ("gpt-5.4-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-oss-20b", "o200k_harmony"),
        ("openai/gpt-6-luna", "o200k_base"),
        ("ft:gpt-4.1-mini-2025-04-14:acme::abc123", "o200k_base"),
        ("ft:gpt-3.5-turbo-0125:acme:tickets:abc123", "cl100k_base"),
        ("ft:", None),
        ("claude-sonnet-5", None),
        ("offline/small", None),
        ("", None),
    ],
)
def test_a_model_has_its_encoding(model: str, encoding: str | None) -> None:
    assert encoding_of(model) == encoding


def test_without_its_file_an_encoding_is_not_fetched_but_estimated() -> None:
    assert counter_for("gpt-6-sol") is ESTIMATE


@needs_tiktoken
def test_an_encoding_of_other_than_chat_models_is_estimated() -> None:
    assert encoding_of("text-davinci-003") == "p50k_base"
    assert counter_for("text-davinci-003") is ESTIMATE


def test_where_tiktoken_keeps_no_files_it_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")

    assert counter_for("gpt-6-sol") is ESTIMATE


def test_a_damaged_file_is_left_alone_and_not_fetched_anew(no_encodings: Path) -> None:
    no_encodings.mkdir()
    damaged = no_encodings / O200K
    damaged.write_bytes(b"IQ== 0\n")

    assert counter_for("gpt-6-sol") is ESTIMATE
    assert damaged.read_bytes() == b"IQ== 0\n"


@needs_tiktoken
def test_a_file_that_is_put_there_later_is_found(
    no_encodings: Path, encodings: Path
) -> None:
    assert counter_for("gpt-6-sol") is ESTIMATE

    no_encodings.mkdir()
    (no_encodings / O200K).symlink_to(encodings / O200K)

    assert counter_for("gpt-6-sol").name == "o200k_base"


@pytest.fixture
def there(encodings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiktoken has its files."""
    pytest.importorskip("tiktoken")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(encodings))


@pytest.mark.usefixtures("there")
def test_a_chat_takes_as_many_tokens_as_the_server_says() -> None:
    """The example of OpenAI's reference: 19 tokens of prompt."""
    counter = counter_for("gpt-6-sol")

    counted = counter.messages(["You are a helpful assistant.", "Hello!"])

    assert counter.name == "o200k_base"
    assert counted + PER_REPLY == 19


@pytest.mark.usefixtures("there")
def test_a_text_may_hold_what_looks_like_a_special_token() -> None:
    assert counter_for("gpt-6-sol").count("<|endoftext|>") == 7


@pytest.mark.usefixtures("there")
def test_a_long_text_of_nothing_is_counted_too() -> None:
    assert 0 < counter_for("gpt-6-sol").count(" " * 1_000_000) < 1_000_000


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The parcel came late and one part broke; who pays for the new one?", 0.1),
        ('{"ticket": 4711, "team": "billing", "urgent": false}', 0.15),
        ("def total(rows):\n    return sum(row.cost_usd for row in rows)\n", 0.15),
        ("Où est mon colis ? Il devait arriver lundi, je voudrais être remboursé.",
         ERROR),
        ("荷物はどこですか。月曜日に届くはずでした。", ERROR),
    ],
    ids=["English", "JSON", "Python", "French", "Japanese"],
)  # fmt: skip
def test_the_estimate_is_near_the_exact_count(text: str, share: float) -> None:
    exact = counter_for("gpt-6-sol").count(text * 20)

    assert estimated_tokens(text * 20) == pytest.approx(exact, rel=share)


# Counts corrected by those of servers.

PAIRS = st.lists(
    st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=1, max_size=60
)


def test_without_an_answer_the_error_is_the_counters_own() -> None:
    found = calibration(ESTIMATE, [])

    assert (found.least(135), found.most(100)) == (100, 135)
    assert str(found) == "estimated, ± 35 %"


@pytest.mark.parametrize("calls", [1, 3, 24, 99])
def test_a_server_that_always_counts_alike_is_soon_believed(calls: int) -> None:
    found = calibration(ESTIMATE, [(100, 120), (1000, 1200)] * calls)

    assert found.factor == pytest.approx(1.2)
    assert found.error == pytest.approx(ERROR / math.sqrt(2 * calls + 1))


def test_one_answer_in_ten_may_be_out_of_the_way() -> None:
    usual, odd = [(1000, 1000 + n) for n in range(19)], (10, 100)

    found = calibration(ESTIMATE, [*usual, odd])

    assert found.error < 0.02 + ERROR / math.sqrt(21)


def test_texts_that_the_estimate_gets_unlike_wrong_widen_it() -> None:
    alike = calibration(ESTIMATE, [(100, 110)] * 50)
    unlike = calibration(ESTIMATE, [(100, 80), (100, 140)] * 25)

    assert unlike.factor == pytest.approx(alike.factor)
    assert unlike.error == pytest.approx(alike.error + 30 / 110)


@given(PAIRS)
def test_the_sum_of_what_was_seen_is_met_and_lies_within(
    pairs: list[tuple[int, int]],
) -> None:
    counted = sum(ours for ours, _ in pairs)
    tokens = sum(theirs for _, theirs in pairs)

    found = calibration(ESTIMATE, pairs)

    assert found.factor * counted == pytest.approx(tokens)
    assert found.least(counted) <= tokens <= found.most(counted)


def test_of_many_answers_some_are_looked_at_from_first_to_last() -> None:
    observed = Observations(ESTIMATE)
    looked_at = []

    for number in range(20 * KEPT):
        if observed.wants_next():
            looked_at.append(number)
            observed.add(100, 100 + number)  # the server counts ever more

    assert len(looked_at) < 4 * KEPT
    assert KEPT // 2 <= observed.calibration.calls <= KEPT
    assert observed.calibration.factor == pytest.approx(1 + 10 * KEPT / 100, rel=0.05)


def test_it_says_how_it_is_known() -> None:
    found = calibration(ESTIMATE, [(100, 104)] * 3)

    assert str(found) == "estimated and corrected by 3 answers, ± 18 %"
    assert "corrected by 1 answer," in str(calibration(ESTIMATE, [(100, 104)]))


def test_tools_count_in_full_only_once_a_server_has_told() -> None:
    estimate = Estimate(most_output=10, tool_tokens=50)
    estimate.add([47], [])

    unknown = estimate.input_tokens(calibration(ESTIMATE, []))
    known = estimate.input_tokens(calibration(ESTIMATE, [(100, 80)] * 1_000_000))

    assert unknown == pytest.approx((50 / 1.35, 100 * 1.35))
    assert known == pytest.approx((80, 80), rel=1e-3)
