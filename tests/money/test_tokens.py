"""Tokens: about as many as o200k_base counts, which counted those below."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.money.estimate import Estimate
from promptlab.money.price import Price
from promptlab.money.tokens import (
    ERROR,
    ESTIMATE,
    PER_REPLY,
    REMEMBERED_AS_IT_IS,
    TEXTS,
    Calibration,
    Remembered,
    TokenCounter,
    estimated_tokens,
)
from promptlab.spec.usage import Usage


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
    count = Remembered(lambda text: counted.append(text) or len(text))
    texts = ["short", "l" + "o" * REMEMBERED_AS_IT_IS + "ng", "lone \ud800"]

    assert [count(text) for text in texts * 3] == [len(text) for text in texts * 3]
    assert counted == texts


def test_counts_of_ever_more_texts_are_forgotten() -> None:
    counted: list[str] = []
    count = Remembered(lambda text: counted.append(text) or 1)

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
