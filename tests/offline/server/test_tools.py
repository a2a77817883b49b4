"""Tools: the calls that the offline model makes up, and when it makes one."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from ..conftest import Hello

WEATHER = {
    "name": "get_weather",
    "description": "The current weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 3},
        },
        "required": ["city", "unit", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}
CLOCK = {"name": "now", "description": "The time of day."}
TOOLS = [{"type": "function", "function": each} for each in (WEATHER, CLOCK)]
ASKED = [{"role": "user", "content": "What is the weather like in Bern, in celsius?"}]


def test_a_call_fits_the_schema_of_its_function(
    client: openai.OpenAI, hello: Hello
) -> None:
    reply = hello(client, messages=ASKED, tools=TOOLS, tool_choice="required")

    choice = reply.choices[0]
    (call,) = choice.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert call.id.startswith("call_")
    assert arguments.keys() == {"city", "unit", "days"}
    assert isinstance(arguments["city"], str)
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert 1 <= arguments["days"] <= 3
    assert reply.usage.completion_tokens > 4


@pytest.mark.parametrize(
    ("choice", "question", "called"),
    [
        ("auto", "What is the weather in Bern?", ["get_weather"]),
        ("auto", "What time of day is it?", ["now"]),
        ("auto", "Who wrote Faust?", []),
        ("none", "What is the weather in Bern?", []),
        ("required", "Who wrote Faust?", ["get_weather"]),
        (
            {"type": "function", "function": {"name": "now"}},
            "What is the weather in Bern?",
            ["now"],
        ),
    ],
)
def test_tool_choice_decides_whether_and_what_is_called(
    client: openai.OpenAI,
    hello: Hello,
    choice: Any,
    question: str,
    called: list[str],
) -> None:
    reply = hello(
        client,
        messages=[{"role": "user", "content": question}],
        tools=TOOLS,
        tool_choice=choice,
    )

    message = reply.choices[0].message
    assert [c.function.name for c in message.tool_calls or ()] == called
    assert bool(message.content) == (not called)


def test_a_function_that_was_named_ends_with_stop_as_the_api_does(
    client: openai.OpenAI, hello: Hello
) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}

    reply = hello(client, messages=ASKED, tools=TOOLS, tool_choice=named)

    assert reply.choices[0].finish_reason == "stop"


def test_with_the_result_of_a_call_it_answers_in_words(
    client: openai.OpenAI, hello: Hello
) -> None:
    first = hello(client, messages=ASKED, tools=TOOLS, temperature=0)
    message = first.choices[0].message
    messages = [
        *ASKED,
        message.model_dump(exclude_none=True, exclude={"annotations", "refusal"}),
        {
            "role": "tool",
            "tool_call_id": message.tool_calls[0].id,
            "content": "The weather in Bern is sunny with 21 degrees.",
        },
    ]

    second = hello(client, messages=messages, tools=TOOLS, temperature=0)

    assert "sunny" in (second.choices[0].message.content or "")
    assert second.choices[0].finish_reason == "stop"


def test_a_call_without_its_result_is_refused(
    client: openai.OpenAI, hello: Hello
) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "now", "arguments": "{}"},
    }
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}

    with pytest.raises(openai.BadRequestError, match="must be followed by tool"):
        hello(client, messages=[*ASKED, turn, *ASKED], tools=TOOLS)


def test_a_limit_of_tokens_cuts_the_arguments(
    client: openai.OpenAI, hello: Hello
) -> None:
    reply = hello(
        client, messages=ASKED, tools=TOOLS, tool_choice="required", max_tokens=12
    )

    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 12


def test_a_stream_gives_the_same_call(client: openai.OpenAI, hello: Hello) -> None:
    request: dict[str, Any] = {
        "messages": ASKED,
        "tools": TOOLS,
        "tool_choice": "required",
        "temperature": 0,
    }
    (whole,) = hello(client, **request).choices[0].message.tool_calls

    deltas = [
        call
        for chunk in hello(client, **request, stream=True)
        for call in chunk.choices[0].delta.tool_calls or ()
    ]

    assert deltas[0].function.name == whole.function.name
    arguments = "".join(delta.function.arguments for delta in deltas)
    assert arguments == whole.function.arguments


def test_the_functions_count_as_tokens_of_the_prompt(
    client: openai.OpenAI, hello: Hello
) -> None:
    without = hello(client, messages=ASKED).usage.prompt_tokens

    assert hello(client, messages=ASKED, tools=TOOLS).usage.prompt_tokens > without + 40
