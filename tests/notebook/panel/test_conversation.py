"""Talks: what a conversation with several models is as an experiment."""

from __future__ import annotations

import pytest
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab.notebook.panel.conversation import (
    ColumnReplies,
    Conversation,
    ModelSettings,
    column_replies,
    conversation_html,
)
from promptlab.testing import FakeClient

SMALL, LARGE = ModelSettings("small"), ModelSettings("large")


def talk(
    *columns: ModelSettings, said: tuple[str, ...] = ("Hello",), **more: object
) -> Conversation:
    return Conversation(columns or (SMALL,), said, **more)  # type: ignore[arg-type]


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
    made = talk(SMALL, LARGE, SMALL)
    results = made.experiment.run(client=FakeClient(), progress=False)

    answers = column_replies(made, results)

    assert len(results) == 2
    assert answers[0] == answers[2] != answers[1]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_columns_that_became_one_request_are_answered_both() -> None:
    made = talk(ModelSettings("gpt-6-luna", "0"), ModelSettings("gpt-6-luna", "1"))
    results = made.experiment.run(client=FakeClient(), progress=False)

    assert len(results) == 1
    assert len({answer.replies for answer in column_replies(made, results)}) == 1


def test_each_message_is_a_turn_and_only_new_turns_are_asked() -> None:
    client = FakeClient()
    made = talk(SMALL, LARGE)
    made.experiment.run(client=client, progress=False)

    longer = made.with_message("And now?")
    results = longer.experiment.run(client=client, progress=False)

    assert client.calls == 4
    assert [len(answer.replies) for answer in column_replies(longer, results)] == [2, 2]
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
    results = made.experiment.run(client=client, progress=False)

    seen = Seen(conversation_html(made, column_replies(made, results)))

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
