"""Tokens: what is counted is the text itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.offline.server import tokens


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens.split(text)) == text
    assert tokens.count(text) == len(tokens.split(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("one two", ["one", " two"]),
        ("subscription", ["subscr", "iption"]),
        ("£39.90!", ["£", "39", ".", "90", "!"]),
        ("a\n\nb", ["a", "\n\n", "b"]),
        ("日本語", ["日本", "語"]),
    ],
    ids=["empty", "words", "long word", "number", "paragraphs", "Japanese"],
)
def test_a_token_is_a_short_piece(text: str, expected: list[str]) -> None:
    assert tokens.split(text) == expected
