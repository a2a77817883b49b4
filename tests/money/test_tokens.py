"""Tokens: about as many as o200k_base counts, which counted those below."""

from __future__ import annotations

import pytest

from promptlab.money.tokens import ERROR, estimated_tokens, message_tokens


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
    assert message_tokens(["", "word"]) == 2 * 3 + 1
