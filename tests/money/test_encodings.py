"""Encodings: exact counts where tiktoken's files are there, and never a download."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from promptlab.money.tokens import (
    ADDRESS,
    ERROR,
    ESTIMATE,
    PER_REPLY,
    counter_for,
    encoding_of,
    estimated_tokens,
)

pytest.importorskip("tiktoken", reason="tiktoken is not installed: the extra `tokens`")

O200K = hashlib.sha1(ADDRESS.format("o200k_base").encode()).hexdigest()


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
