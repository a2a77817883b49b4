"""The Responses API: the same answers in its own form, and what is not served."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from ..conftest import Hello

FACTS = "The shop opens at nine and closes at six. Tea is free.\n\n"
QUESTION = FACTS + "When does the shop open?"
ASK: dict[str, Any] = {"model": "offline/small", "temperature": 0}
NOW = {"type": "function", "name": "now", "description": "The time of day."}
NOW["parameters"] = {"type": "object", "properties": {"zone": {"type": "string"}}}  # type: ignore[assignment]


def test_it_answers_as_chat_completions_do(client: openai.OpenAI, hello: Hello) -> None:
    messages = [
        {"role": "system", "content": "Answer in upper case."},
        {"role": "user", "content": QUESTION},
    ]
    same = hello(client, temperature=0, messages=messages)

    reply = client.responses.create(
        **ASK, instructions="Answer in upper case.", input=QUESTION
    )

    assert reply.output_text == same.choices[0].message.content
    assert (reply.object, reply.status) == ("response", "completed")
    assert reply.usage.input_tokens == same.usage.prompt_tokens
    assert reply.usage.output_tokens == same.usage.completion_tokens
    assert reply.usage.total_tokens == same.usage.total_tokens


def test_a_limit_of_tokens_makes_it_incomplete(client: openai.OpenAI) -> None:
    reply = client.responses.create(**ASK, input=QUESTION, max_output_tokens=2)

    assert reply.status == "incomplete"
    assert reply.incomplete_details.reason == "max_output_tokens"
    assert reply.usage.output_tokens == 2


def test_json_by_a_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"hour": {"type": "string"}},
        "required": ["hour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "hours", "schema": schema, "strict": True}

    reply = client.responses.create(**ASK, input=QUESTION, text={"format": form})

    assert json.loads(reply.output_text).keys() == {"hour"}


def test_a_function_is_called_and_its_result_is_answered_from(
    client: openai.OpenAI,
) -> None:
    items: list[Any] = [{"role": "user", "content": "What time of day is it?"}]
    first = client.responses.create(**ASK, input=items, tools=[NOW])
    (call,) = first.output
    items.append(call.model_dump(exclude_none=True))
    items.append(
        {
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": "The time of day is noon.",
        }
    )

    second = client.responses.create(**ASK, input=items, tools=[NOW])

    assert (call.type, call.name) == ("function_call", "now")
    assert json.loads(call.arguments).keys() == {"zone"}
    assert "noon" in second.output_text


@pytest.mark.parametrize("called", [False, True], ids=["text", "a call"])
def test_a_stream_ends_with_the_whole_response(
    client: openai.OpenAI, called: bool
) -> None:
    more: dict[str, Any] = {"tools": [NOW], "tool_choice": "required"} if called else {}
    whole = client.responses.create(**ASK, **more, input=QUESTION)

    events = list(client.responses.create(**ASK, **more, input=QUESTION, stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage == whole.usage
    said = "".join(event.delta for event in events if event.type.endswith(".delta"))
    if called:
        assert said == last.response.output[0].arguments == whole.output[0].arguments
    else:
        assert said == last.response.output_text == whole.output_text


def test_logprobs_come_where_they_are_included(client: openai.OpenAI) -> None:
    reply = client.responses.create(
        **ASK, input=QUESTION, include=["message.output_text.logprobs"], top_logprobs=2
    )

    scored = reply.output[0].content[0].logprobs
    assert "".join(each.token for each in scored) == reply.output_text


@pytest.mark.parametrize(
    "unserved",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"background": True},
        {"store": True},
        {"tools": [{"type": "web_search"}]},
        {"include": ["file_search_call.results"]},
        {"reasoning": {"effort": "low"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "http://x.test"}],
                }
            ]
        },
        {"text": {"verbosity": "low"}},
        {"input": 7},
    ],
    ids=lambda value: next(iter(value)),
)
def test_what_is_not_served_is_refused_as_the_api_refuses(
    client: openai.OpenAI, unserved: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{**ASK, "input": "Hello", **unserved})

    assert caught.value.type == "invalid_request_error"
