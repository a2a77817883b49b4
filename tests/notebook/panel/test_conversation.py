"""Conversations with several models: as an experiment, and asked through an engine."""

from __future__ import annotations

import asyncio

import pytest
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab.notebook.panel.conversation import (
    ColumnReplies,
    Conversation,
    ModelSettings,
    ask_columns,
    conversation_html,
)
from promptlab.testing import FakeClient

SMALL, LARGE = ModelSettings("small"), ModelSettings("large")


def talk(
    *columns: ModelSettings, said: tuple[str, ...] = ("Hello",), **more: object
) -> Conversation:
    return Conversation(columns or (SMALL,), said, **more)  # type: ignore[arg-type]


def asked(made: Conversation, client: FakeClient) -> list[ColumnReplies]:
    """The replies to a conversation, when all have come."""
    shown: list[list[ColumnReplies]] = []

    async def ask() -> None:
        async with pl.Engine(client=client) as engine:
            await ask_columns(made, engine, shown.append)

    asyncio.run(ask())
    return shown[-1]


def grid(made: Conversation) -> dict[str, object]:
    plain = made.experiment.to_plain()
    return {
        **plain["grid"],
        **{f"zip {n}": v for z in plain.get("zip", []) for n, v in z.items()},
    }


def test_a_message_to_one_model_is_one_trial() -> None:
    assert grid(talk()) == {"model": ["small"], "prompt": {"playground": "Hello"}}
    assert len(talk().experiment) == 1


def test_columns_that_differ_in_one_thing_are_crossed_and_in_more_go_together() -> None:
    one = talk(ModelSettings("m", "0"), ModelSettings("m", "0.7", "8"))
    two = talk(ModelSettings("m", "1"), ModelSettings("m", "0"))

    assert grid(one)["zip temperature"] == [0, 0.7]
    assert grid(one)["zip max_tokens"] == [None, 8]
    assert grid(one)["model"] == ["m"]
    assert grid(two)["temperature"] == [1, 0]


def test_columns_alike_are_asked_once_and_answered_both() -> None:
    client = FakeClient()

    answers = asked(talk(SMALL, LARGE, SMALL), client)

    assert client.calls == 2
    assert answers[0] == answers[2] != answers[1]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_columns_that_became_one_request_are_answered_both() -> None:
    made = talk(ModelSettings("gpt-6-luna", "0"), ModelSettings("gpt-6-luna", "1"))
    client = FakeClient()

    answers = asked(made, client)

    assert client.calls == 1
    assert len({answer.replies for answer in answers}) == 1
    assert [answer.name for answer in answers] == [c.name for c in made.columns]


def test_each_message_is_a_turn_and_only_new_turns_are_asked() -> None:
    client = FakeClient()
    made = talk(SMALL, LARGE)
    asked(made, client)

    answers = asked(made.with_message("And now?"), client)

    assert client.calls == 4
    assert [len(answer.replies) for answer in answers] == [2, 2]
    roles = [message["role"] for message in client.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_holes_are_filled_and_a_blank_message_says_nothing() -> None:
    made = talk(
        said=("Hi {{name}}",), system="You are {{who}}.", inputs={"name": "Ada"}
    )

    assert made.fields == ("name", "who")
    assert made.with_message("  ") == made
    shown = Seen(conversation_html(made, [ColumnReplies("small", ("Hello",))])).text
    assert "you Hi Ada" in shown
    assert made.experiment.dataset[0].inputs == {"name": "Ada", "who": ""}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (talk(said=()), "write a message to begin"),
        (talk(ModelSettings("  ")), "choose a model"),
        (
            talk(ModelSettings("m", "warm")),
            "temperature: expected a number, got 'warm'",
        ),
        (talk(ModelSettings("m", "3")), "a number from 0 to 2"),
        (talk(ModelSettings("m", "", "1.5")), "an integer >= 1"),
        (talk(said=("{{",)), "template, line 1"),
    ],
)
def test_what_cannot_be_sent_is_an_error(made: Conversation, said: str) -> None:
    with pytest.raises(pl.SpecError, match=said):
        _ = made.experiment


def test_failures_are_shown_where_the_reply_would_be() -> None:
    failure = pl.Failure(kind="status", status=400, message=HOSTILE[0])
    client = FakeClient(lambda request: failure if request.model == "large" else "Yes")
    made = talk(SMALL, LARGE)

    seen = Seen(conversation_html(made, asked(made, client)))

    assert f"failed: 400: {HOSTILE[0]}" in seen.text
    assert "Yes" in seen.text
    assert "img" not in seen.tags


def test_markup_is_shown_as_text() -> None:
    made = talk(ModelSettings(HOSTILE[1]), said=(HOSTILE[0],))

    seen = Seen(
        conversation_html(
            made, [ColumnReplies(HOSTILE[1], (HOSTILE[2],), "", HOSTILE[3])]
        )
    )

    assert all(text in seen.text for text in HOSTILE)
    assert not {"img", "script", "textarea"} & seen.tags
    assert seen.attributes <= {"class", "style", "colspan"}


def test_a_run_of_the_experiment_finds_what_was_asked_in_the_cache() -> None:
    client = FakeClient()
    made = talk(SMALL, ModelSettings("large", "0.5", "8"), said=("Hello", "And then?"))
    asked(made, client)

    results = made.experiment.run(client=client, progress=False)

    assert client.calls == 4
    assert results.totals.cached == 2


def test_max_tokens_is_sent_under_the_name_that_the_server_wants() -> None:
    said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    refused = pl.Failure(kind="status", status=400, message=said)
    client = FakeClient(lambda r: refused if "max_tokens" in r.body else "Yes")

    (answer,) = asked(talk(ModelSettings("own", "", "8")), client)

    assert answer.replies == ("Yes",)
    assert client.requests[-1].body["max_completion_tokens"] == 8


def test_a_reply_that_cannot_be_continued_ends_its_column_only() -> None:
    client = FakeClient(lambda r: " " if r.model == "large" else "Yes")

    small, large = asked(talk(SMALL, LARGE, said=("Hello", "And then?")), client)

    assert small.replies == ("Yes", "Yes")
    assert large.replies == (" ",)
    assert "the model's answer was empty" in large.error
