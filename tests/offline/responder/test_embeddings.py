"""Embeddings: texts that say similar things point in similar directions."""

import base64
import math
from array import array

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.offline import EMBEDDING_MODEL, embed


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_similar_texts_are_closer_than_different_ones() -> None:
    refund = embed("Please refund my invoice")

    same = cosine(refund, embed("I want my invoices refunded"))
    related = cosine(refund, embed("a payment by card"))
    unrelated = cosine(refund, embed("the dragon sleeps on a mountain"))

    assert same > related > unrelated


@given(st.text(), st.integers(1, 64))
def test_vectors_have_length_one_and_repeat(text: str, dimensions: int) -> None:
    vector = embed(text, dimensions)

    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1)
    assert embed(text, dimensions) == vector


def test_reply_has_one_vector_per_text_and_its_usage(client: openai.OpenAI) -> None:
    reply = client.embeddings.create(
        model=EMBEDDING_MODEL,
        input=["first text", "second text"],
        dimensions=32,
        encoding_format="float",
    )

    assert [item.index for item in reply.data] == [0, 1]
    assert reply.data[0].embedding == pytest.approx(embed("first text", 32))
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == 4


def test_base64_holds_the_same_floats(client: openai.OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(
        model=EMBEDDING_MODEL, input="text", encoding_format="base64"
    )
    encoded = raw.http_response.json()["data"][0]["embedding"]

    floats = array("f")
    floats.frombytes(base64.b64decode(encoded))

    assert list(floats) == pytest.approx(embed("text"), abs=1e-6)


def test_token_ids_are_taken_as_words(client: openai.OpenAI) -> None:
    reply = client.embeddings.create(
        model=EMBEDDING_MODEL, input=[[1, 2], [3]], encoding_format="float"
    )

    assert reply.data[0].embedding == pytest.approx(embed("1 2"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": []},
        {"input": ""},
        {"input": [1, "a"]},
        {"dimensions": 0},
        {"extra_body": {"truncate": True}},
    ],
    ids=["no texts", "empty text", "mixed", "no dimensions", "not the API's"],
)
def test_wrong_input_is_refused(
    client: openai.OpenAI, wrong: dict[str, object]
) -> None:
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(**{"model": EMBEDDING_MODEL, "input": "text", **wrong})
