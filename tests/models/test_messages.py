"""Messages: whatever kind of answer one is, nothing that was paid for is lost."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.models.replies import read_reply
from promptlab.testing import FakeClient

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
}
CALLS = orjson.dumps([CALL]).decode()
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def answered(
    content: Any = None,
    finish_reason: str | None = "stop",
    *,
    choice: dict[str, Any] | None = None,
    document: dict[str, Any] | None = None,
    **message: Any,
) -> pl.Response:
    """What a server's chat completion is read as."""
    said = {"role": "assistant", "content": content, **message}
    first = {"index": 0, "message": said, "finish_reason": finish_reason}
    body = {
        "choices": [{**first, **(choice or {})}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        **(document or {}),
    }
    return read_reply(200, {}, orjson.dumps(body), latency_s=0.25)


def asked(
    answers: Sequence[pl.Response], prompt: Any = "{{t}}", **options: Any
) -> pl.Results:
    """One trial for each answer, in order."""
    left = iter(answers)
    cases = [{"t": f"case {n}"} for n in range(len(answers))]
    grid = {"model": ["fake"], "prompt": {"p": prompt}}
    experiment = pl.Experiment("kinds", grid=grid, dataset=cases)
    client = FakeClient(lambda request: next(left))
    return experiment.run(client=client, max_concurrency=1, **options)


# What one message says.


@pytest.mark.parametrize(
    ("message", "output", "beside"),
    [
        ({"content": None, "tool_calls": [CALL]}, CALLS, {"tool_calls": CALLS}),
        ({"content": "Look.", "tool_calls": [CALL]}, "Look.", {"tool_calls": CALLS}),
        ({"content": "\n", "tool_calls": [CALL]}, CALLS, {"tool_calls": CALLS}),
        ({"content": "Yes.", "tool_calls": []}, "Yes.", {}),
        (
            {"content": None, "function_call": CALL["function"]},
            orjson.dumps([{"type": "function", "function": CALL["function"]}]).decode(),
            {
                "tool_calls": orjson.dumps(
                    [{"type": "function", "function": CALL["function"]}]
                ).decode()
            },
        ),
        (
            {"content": None, "refusal": "I cannot."},
            "I cannot.",
            {"refusal": "I cannot."},
        ),
        (
            {"content": [{"type": "refusal", "refusal": "I cannot."}]},
            "I cannot.",
            {"refusal": "I cannot."},
        ),
        (
            {"content": "In part.", "refusal": "The rest I cannot."},
            "In part.",
            {"refusal": "The rest I cannot."},
        ),
        (
            {"content": None, "audio": {"id": "a", "transcript": "Hello there"}},
            "Hello there",
            {"media": "audio"},
        ),
        (
            {"content": None, "audio": {"id": "a", "data": "AAAA"}},
            "[audio]",
            {"media": "audio"},
        ),
        (
            {"content": "", "images": [IMAGE, IMAGE]},
            "[2 images]",
            {"media": "2 images"},
        ),
        ({"content": [IMAGE]}, "[image]", {"media": "image"}),
        (
            {"content": [{"type": "text", "text": "Here."}, IMAGE]},
            "Here.",
            {"media": "image"},
        ),
        ({"content": [{"type": "hologram"}]}, "[hologram]", {"media": "hologram"}),
        ({"content": None}, "", {}),
    ],
    ids=[
        "a tool call alone",
        "beside text",
        "beside a blank",
        "no call in the list",
        "the older function_call",
        "a refusal",
        "a refusal in a part",
        "a refusal beside text",
        "audio with its transcript",
        "audio alone",
        "images beside no text",
        "an image in a part",
        "an image beside text",
        "a part of tomorrow",
        "nothing",
    ],
)
def test_an_answer_that_is_not_text_says_what_it_is(
    message: dict[str, Any], output: str, beside: dict[str, str]
) -> None:
    found = answered(**message)

    names = ("tool_calls", "refusal", "reasoning", "media")
    assert found.output == output
    assert {n: v for n in names if (v := getattr(found, n)) is not None} == beside


@pytest.mark.parametrize(
    "message",
    [
        {"content": "4", "reasoning_content": "2 and 2"},
        {"content": "4", "reasoning": "2 and 2"},
        {"content": "4", "reasoning": None, "reasoning_content": "2 and 2"},
        {
            "content": "4",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "2 and "},
                {"type": "reasoning.summary", "summary": "2"},
                {"type": "reasoning.encrypted", "data": "AAAA"},
            ],
        },
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "2 and 2"}]},
                {"type": "text", "text": "4"},
            ]
        },
        {
            "content": [
                {"type": "reasoning", "summary": [{"text": "2 and 2"}]},
                {"type": "text", "text": "4"},
            ]
        },
    ],
    ids=["reasoning_content", "reasoning", "null", "details", "thinking", "summary"],
)
def test_what_the_model_thought_first_is_read_wherever_it_stands(
    message: dict[str, Any],
) -> None:
    found = answered(**message)

    assert (found.output, found.reasoning) == ("4", "2 and 2")


def test_reasoning_that_nests_without_end_is_borne() -> None:
    deep: Any = "end"
    for _ in range(200):
        deep = [deep]

    assert answered("4", reasoning_details=deep).output == "4"


# In the table.


def test_columns_beside_the_output_are_there_where_any_answer_has_them() -> None:
    plain = asked([answered("yes"), answered("no")])
    told = asked(
        [
            answered("yes"),
            answered("Look.", "tool_calls", tool_calls=[CALL], reasoning="Hm."),
            answered(refusal="I cannot."),
        ],
        use_cache=False,
    )

    after = list(plain.table)[list(plain.table).index("output") + 1]
    columns = list(told.table)
    start = columns.index("output")
    assert after == "finish_reason"
    assert columns[start + 1 : start + 5] == [
        *("tool_calls", "refusal", "reasoning", "finish_reason"),
    ]
    assert told.table["tool_calls"].tolist()[1] == CALLS
    assert told.table["tool_calls"].isna().tolist() == [True, False, True]
    assert told.table["refusal"].dropna().tolist() == ["I cannot."]
    assert told.table["reasoning"].dropna().tolist() == ["Hm."]
    assert told[1].tool_calls == (pl.ToolCall("call_1", "weather", {"city": "Rome"}),)
    assert [told[0].tool_calls, told[2].refusal, told[1].reasoning] == [
        *((), "I cannot.", "Hm."),
    ]


@pytest.mark.filterwarnings("ignore:.* is not one we know")
def test_an_input_or_a_parameter_of_such_a_name_keeps_its_column() -> None:
    experiment = pl.Experiment(
        "names",
        grid={"model": ["m"], "prompt": {"p": "{{refusal}}"}, "reasoning": [{"a": 1}]},
        dataset=[{"refusal": "Do you refuse?"}],
    )

    results = experiment.run(
        client=FakeClient(lambda r: answered(refusal="I do.", reasoning="Hm."))
    )

    assert results.table["reasoning"].tolist() == ['{"a":1}']
    assert results.table["refusal"].tolist() == ["Do you refuse?"]
    assert results.table["reply_reasoning"].tolist() == ["Hm."]
    assert results.table["reply_refusal"].tolist() == ["I do."]
    assert (results[0].refusal, results[0].reasoning) == ("I do.", "Hm.")
    assert results.totals.refused == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_exports_carry_what_stands_beside_the_output(
    ending: str, tmp_path: Path
) -> None:
    results = asked(
        [
            answered("Look.", "tool_calls", tool_calls=[CALL], reasoning="=1+1"),
            answered(refusal="007"),
        ]
    )

    read = pl.read_results(results.to(tmp_path / f"kinds.{ending}"))

    names = ["output", "tool_calls", "refusal", "reasoning", "finish_reason"]
    assert_frame_equal(read[names], results.table[names])


def as_before(cache: pl.ResponseCache) -> None:
    """Makes the cache what it was before its entries said more than the text."""
    with closing(sqlite3.connect(cache.directory / "cache.db")) as file, file:
        for stored in list(cache.entries()):
            alone = stored.head.output if stored.head.tool_calls is None else ""
            head = orjson.dumps([alone, *stored.head[1:12]])
            value = b"\n".join((head, stored.request_json, stored.body))
            row = value, stored.key
            file.execute("UPDATE Cache SET value = ? WHERE key = ?", row)


def test_an_entry_from_before_there_were_these_columns_fills_them_too(
    cache: pl.ResponseCache,
) -> None:
    replies = [
        answered(function_call=CALL["function"]),
        answered(refusal="I cannot."),
        answered("yes", refusal=None, reasoning="Hm."),
        answered("no"),
        answered("?", document={"usage": {"prompt_tokens": 1, "cost": 0.5}}),
    ]
    paid = asked(replies, cache=cache)
    as_before(cache)

    again = paid.experiment.run(client=FakeClient(), cache=cache)

    names = ["output", "tool_calls", "refusal", "reasoning", "cost_usd"]
    assert again.table["cached"].all()
    assert again.table["cost_usd"].tolist()[-1] == 0.5
    assert_frame_equal(again.table[names], paid.table[names])


@pytest.mark.parametrize(
    ("reply", "count"),
    [
        (answered(None, "refusal"), 1),
        (answered("No.", "stop", refusal="I cannot."), 1),
        (answered(refusal="I cannot."), 1),
        (answered("Yes."), 0),
    ],
    ids=["finish_reason", "beside text", "instead of text", "none"],
)
def test_a_refusal_is_counted_however_it_is_marked(
    reply: pl.Response, count: int
) -> None:
    results = asked([reply, answered(refusal="No."), answered("Yes.")])

    assert results.summary()["refused"].tolist() == [1 + count]


# In a conversation.

TALK = pl.Prompt([{"role": "user", "content": text} for text in ("{{t}}", "And?")])


def test_a_refusal_goes_back_as_the_refusal_that_it_was() -> None:
    client = FakeClient(
        lambda request: (
            answered(refusal="I cannot.")
            if len(request.body["messages"]) == 1
            else answered("Well.")
        )
    )
    experiment = pl.Experiment(
        "talk", grid={"model": ["m"], "prompt": {"p": TALK}}, dataset=[{"t": "How?"}]
    )

    results = experiment.run(client=client)

    assert client.requests[1].body["messages"] == [
        {"role": "user", "content": "How?"},
        {"role": "assistant", "content": None, "refusal": "I cannot."},
        {"role": "user", "content": "And?"},
    ]
    assert results.table["output"].tolist() == ["Well."]
    assert results.messages["content"].tolist() == [
        "How?",
        "I cannot.",
        "And?",
        "Well.",
    ]
    assert results.messages["refusal"].dropna().tolist() == ["I cannot."]


def test_a_conversation_that_ended_does_not_go_on_in_what_another_was_answered(
    cache: pl.ResponseCache,
) -> None:
    blank = answered(" \n")
    client = FakeClient(
        lambda request: blank if len(request.body["messages"]) == 1 else answered("Hm.")
    )
    roles = [("user", "How?"), ("assistant", " \n"), ("user", "And?")]
    shots = [{"role": role, "content": text} for role, text in roles]
    prompts = {"shots": pl.Prompt(shots), "talk": TALK}
    experiment = pl.Experiment(
        "talk", grid={"model": ["m"], "prompt": prompts}, dataset=[{"t": "How?"}]
    )

    first = experiment.run(client=client, cache=cache)
    again = experiment.run(client=client, cache=cache)

    assert client.calls == 2
    for results in (first, again):
        assert results.table["output"].fillna("none").tolist() == ["Hm.", "none"]
        assert results.failures[1].kind == "dead_end"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answered(tool_calls=[CALL]), "the model called weather, and nothing answers"),
        (answered("Look.", tool_calls=[CALL]), "the model called weather"),
        (answered(function_call={"name": "f"}), "the model called f, and nothing"),
        (answered("", "length"), r"the model's answer was empty \(length\)"),
        (answered(" \n"), r"the model's answer was empty \(stop\)"),
        (answered(images=[IMAGE]), r"the model answered with no text \(image\)"),
    ],
    ids=["a call", "a call beside text", "function_call", "empty", "blank", "image"],
)
def test_a_conversation_ends_where_it_cannot_go_on_and_says_why(
    reply: pl.Response, words: str, cache: pl.ResponseCache
) -> None:
    client = FakeClient(lambda request: reply)
    experiment = pl.Experiment(
        "talk", grid={"model": ["m"], "prompt": {"p": TALK}}, dataset=[{"t": "How?"}]
    )

    results = experiment.run(client=client, cache=cache)
    plan = experiment.plan(client=client, cache=cache)
    again = experiment.run(client=client, cache=cache)
    offline = experiment.run(client=client, cache=cache, offline=True)

    assert client.calls == 1
    assert (results.totals.calls, plan.calls, again.totals.calls) == (1, 0, 0)
    for made in (results, again, offline):
        (failure,) = made.failures.values()
        assert failure.kind == "dead_end"
        assert re.match(f"turn 1 of the conversation: {words}", failure.message)
        assert len(made.messages) == 3  # what was asked, answered, and not asked


RESULT = {"role": "tool", "content": "Rain."}
"""What a prompt answers a call of the model with."""


def tools(*messages: Any) -> pl.Experiment:
    prompt = [{"role": "user", "content": "{{t}}"}, *messages]
    grid = {"model": ["m"], "prompt": {"p": prompt}}
    return pl.Experiment("tools", grid=grid, dataset=[{"t": "How is it?"}])


def test_tool_messages_of_a_prompt_answer_the_calls_of_the_model(
    cache: pl.ResponseCache,
) -> None:
    calls = [CALL, {**CALL, "id": "c2"}]
    client = FakeClient([answered(tool_calls=calls), answered("Wet.")])
    experiment = tools(RESULT, {**RESULT, "content": "More rain.", "name": "weather"})

    results = experiment.run(client=client, cache=cache)
    again = experiment.run(client=client, cache=cache)

    assert client.calls == 2
    assert client.requests[1].body["messages"] == [
        {"role": "user", "content": "How is it?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {**RESULT, "tool_call_id": CALL["id"]},
        {**RESULT, "content": "More rain.", "name": "weather", "tool_call_id": "c2"},
    ]
    for made in (results, again):
        assert made.table["output"].tolist() == ["Wet."]
        assert not made.failures


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answered("Wet."), "the model called no tool, and a tool message answers"),
        (
            answered(tool_calls=[CALL, CALL]),
            "the model called weather, weather, and 1 tool message answers",
        ),
    ],
    ids=["no call", "two calls"],
)
def test_tool_messages_that_do_not_fit_the_calls_end_the_conversation(
    reply: pl.Response, words: str
) -> None:
    client = FakeClient(lambda request: reply)

    results = tools(RESULT).run(client=client, use_cache=False)

    assert client.calls == 1
    assert words in results.failures[0].message


def test_the_last_reply_of_a_conversation_may_be_of_any_kind() -> None:
    single = asked([answered(tool_calls=[CALL]), answered("")])

    assert single.totals.failed == 0
    (message,) = single[0].turns[0][1:]
    assert message == {"role": "assistant", "content": CALLS, "tool_calls": [CALL]}
    assert single.messages["tool_calls"].dropna().tolist() == [CALLS]


# The answer as it was received.


def test_a_record_reads_the_whole_answer(cache: pl.ResponseCache) -> None:
    cited = [{"type": "url_citation", "url_citation": {"url": "https://x.test"}}]
    results = asked(
        [answered("yes", annotations=cited, document={"system_fingerprint": "fp_1"})],
        cache=cache,
    )

    record = results[0]

    assert record.response is not None
    assert record.response["system_fingerprint"] == "fp_1"
    assert record.message == {
        "role": "assistant",
        "content": "yes",
        "annotations": cited,
    }
    again = results.experiment.run(client=FakeClient(), cache=cache)
    assert again[0].message == record.message


def test_an_answer_that_is_not_kept_cannot_be_read(cache: pl.ResponseCache) -> None:
    kept = asked([answered("yes")], cache=cache)
    not_kept = kept.experiment.run(
        client=FakeClient(lambda r: answered("yes")), use_cache=False
    )
    renewed = kept.experiment.run(
        client=FakeClient(lambda r: answered("yes")), cache=cache, refresh=True
    )

    assert not_kept[0].response is None
    assert not_kept[0].message is None
    assert kept[0].response is not None  # although it was replaced
    assert renewed[0].response is not None
    cache.prune(replaced=True)
    assert kept[0].response is None
    assert renewed[0].response is not None
    cache.clear()
    assert renewed[0].response is None


def test_a_client_with_a_form_of_its_own_is_borne(cache: pl.ResponseCache) -> None:
    own = replace(answered("yes"), body=b'{"text": "yes"}')

    results = asked([own], cache=cache)

    assert results[0].response == {"text": "yes"}
    assert results[0].message is None
    assert results.logprobs.empty


def likely(*tokens: tuple[str, float]) -> dict[str, Any]:
    """Logprobs as OpenAI sends them."""
    top = [{"token": token, "logprob": number} for token, number in tokens]
    return {"logprobs": {"content": [{**top[0], "top_logprobs": top}]}}


def test_logprobs_are_a_tidy_table(cache: pl.ResponseCache) -> None:
    results = asked(
        [
            answered("yes", choice=likely(("yes", -0.1), ("no", -2.4))),
            answered("no"),
            answered(
                "maybe so",
                choice={
                    "logprobs": {
                        "tokens": ["maybe", " so"],
                        "token_logprobs": [-0.5, None],
                        "top_logprobs": [{"maybe": -0.5, "no": -1.5}],
                    }
                },
            ),
        ],
        cache=cache,
    )

    found = results.logprobs

    assert list(found) == ["trial", "position", "token", "logprob", "top"]
    assert found["trial"].tolist() == [0, 2, 2]
    assert found["position"].tolist() == [0, 0, 1]
    assert found["token"].tolist() == ["yes", "maybe", " so"]
    assert found["logprob"].tolist()[:2] == [-0.1, -0.5]
    assert found["logprob"].isna().tolist() == [False, False, True]
    assert found["top"].tolist() == [
        {"yes": -0.1, "no": -2.4},
        {"maybe": -0.5, "no": -1.5},
        None,
    ]


def test_logprobs_of_a_refusal_are_those_of_its_tokens(
    cache: pl.ResponseCache,
) -> None:
    refused = {"content": None, "refusal": [{"token": "No", "logprob": -0.2}]}

    results = asked([answered("", choice={"logprobs": refused})], cache=cache)

    assert results.logprobs["token"].tolist() == ["No"]


def test_logprobs_that_are_not_kept_are_warned_of() -> None:
    results = asked(
        [answered("yes", choice=likely(("yes", -0.1)))],
        use_cache=False,
    )

    with pytest.warns(pl.PromptlabWarning, match="1 answer cannot be read: not in the"):
        found = results.logprobs

    assert list(found) == ["trial", "position", "token", "logprob", "top"]
    assert found.empty


# How many there are of each kind.


def test_answers_that_are_none_are_counted_wherever_results_are_shown() -> None:
    results = asked(
        [
            answered("yes"),
            answered("cut", "max_tokens"),
            answered("cut", "MAX_TOKENS"),
            answered("cut", "model_length"),
            answered(None, "content_filter"),
            answered("In p", "SAFETY"),
            answered(refusal="I cannot."),
            answered(" \n"),
        ]
    )

    counted = {"truncated": 3, "withheld": 2, "refused": 1, "empty": 2}
    totals, (summary,) = results.totals, results.summary().to_dict("records")
    assert {name: getattr(totals, name) for name in counted} == counted
    assert {name: summary[name] for name in counted} == counted
    assert results.outcome.endswith(
        "3 truncated by max_tokens, 2 withheld by a content filter, "
        "1 refused by the model, 2 empty"
    )
    assert "withheld by a content filter" in results._repr_html_()


def test_what_does_not_occur_is_not_told() -> None:
    results = asked([answered("yes"), answered("no")])

    assert results.outcome.endswith("0 failed")
    for word in ("withheld", "refused", "empty"):
        assert word not in results._repr_html_()
