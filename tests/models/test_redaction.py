"""Redaction: a key that a server repeats is in no answer, however it is escaped."""

from __future__ import annotations

import orjson
import pytest
from fakes.experiments import capitals
from fakes.servers import Reply as Told
from fakes.servers import ToldServer
from hypothesis import given
from hypothesis import strategies as st

from promptlab.models.redaction import redacted, secrets_in
from promptlab.models.replies import Reply, read_reply

KEY = "sk-test-SECRETKEY0123456789+/abc="


def escaped(text: str, codes: list[str]) -> str:
    """A text in JSON, each character written in one of the ways that JSON allows."""
    return "".join(
        code.format(ord(character)) if code else orjson.dumps(character)[1:-1].decode()
        for character, code in zip(text, codes, strict=True)
    )


def chat(content: str) -> bytes:
    """A chat completion whose content is written in JSON as given."""
    choice = f'{{"message":{{"content":"{content}"}},"finish_reason":"stop"}}'
    return f'{{"choices":[{choice}]}}'.encode()


WAYS = st.sampled_from(["", r"\u{:04x}", r"\u{:04X}"])


@given(
    codes=st.lists(WAYS, min_size=len(KEY), max_size=len(KEY)),
    before=st.text(max_size=8),
    after=st.text(max_size=8),
)
def test_a_key_is_cut_out_of_an_answer_however_it_is_escaped(
    codes: list[str], before: str, after: str
) -> None:
    start, end = (
        escaped(text.encode(errors="replace").decode(), [""] * len(text))
        for text in (before, after)
    )
    reply = Reply(200, {}, chat(start + escaped(KEY, codes) + end))

    response = read_reply(*reply.without([KEY]), latency_s=0.1)

    expected = f"{before}[key]{after}".encode(errors="replace").decode()
    assert response.output == expected
    assert response.document["choices"][0]["message"]["content"] == expected


@pytest.mark.parametrize(
    "content",
    [r"a \\u0073k-test \u0041\/b \" \n", "plain", r"\ud83d\ude00 \u00e9"],
    ids=["escapes", "plain", "beyond ASCII"],
)
def test_an_answer_that_repeats_no_key_stays_as_it_is_byte_for_byte(
    content: str,
) -> None:
    reply = Reply(200, {}, chat(content))

    assert reply.without([KEY]).body == reply.body


@pytest.mark.parametrize("way", [r"\u{:04x}", r"\u{:04X}", ""])
def test_an_escaped_key_reaches_neither_table_nor_cache(way: str) -> None:
    body = chat("your key is " + escaped(KEY, [way] * len(KEY)))
    with ToldServer().in_thread() as server:
        server.reply = lambda received: Told(body=body)
        options = {"base_url": server.base_url, "api_key": KEY}
        paid, cached = (capitals(1).run(**options) for _ in range(2))  # type: ignore[arg-type]

    assert paid.totals.answered == cached.totals.cached == 2
    for results in (paid, cached):
        assert set(results.table["output"]) == {"your key is [key]"}


def test_a_placeholder_for_a_key_blanks_no_word() -> None:
    assert redacted("model ollama/x not found", "ollama") == "model ollama/x not found"


@pytest.mark.parametrize(
    "password", ["hunter2", "hun/ter2", "hun@ter2", "hun:ter2", "hunter2?", "hun#ter2"]
)
def test_a_password_in_a_url_is_not_repeated_whatever_it_is_made_of(
    password: str,
) -> None:
    said = redacted(f"no way through http://user:{password}@proxy.test:8080, and so on")

    assert said == "no way through http://[key]@proxy.test:8080, and so on"


def test_of_a_key_that_begins_like_another_nothing_is_left() -> None:
    secrets = secrets_in({"x-api-key": "key-12345678", "cookie": "s=key-12345678-9876"})

    said = Reply(401, {"x-echo": "key-12345678-9876"}, b"").without(secrets)

    assert said.headers == {"x-echo": "[key]"}


def test_a_key_whose_slash_alone_is_escaped_is_cut_out() -> None:
    said = Reply(200, {}, chat(KEY.replace("/", r"\/"))).without([KEY])

    assert said.body == chat("[key]")
