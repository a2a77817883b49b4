"""What stands for the models: replies with more than text, and a judge."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptlab.spec.request import Request
from promptlab.spec.response import Response
from promptlab.testing import response


def shown_to_judge(request: Request) -> dict[str, Any]:
    """The data that a judge is asked about."""
    data: dict[str, Any] = json.loads(request.body["messages"][-1]["content"])
    return data


def verdict(passes: bool, because: str = "as the rubric says") -> str:
    """What a judge says."""
    return json.dumps({"reasoning": because, "verdict": "pass" if passes else "fail"})


def calling(name: str, **arguments: Any) -> Response:
    """A reply that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    calls = json.dumps([{"id": "call_1", "type": "function", "function": function}])
    return replace(response(calls, "tool_calls"), tool_calls=calls)


def with_logprobs(odds: Mapping[str, float], *more: str) -> Response:
    """A reply of the likeliest of some first tokens, and of more tokens that are
    certain."""
    tokens = [_token(odds), *(_token({text: 1.0}) for text in more)]
    reply = response("".join(token["token"] for token in tokens))
    body = reply.document
    body["choices"][0]["logprobs"] = {"content": tokens}
    return replace(reply, body=json.dumps(body).encode())


def _token(odds: Mapping[str, float]) -> dict[str, Any]:
    top = sorted(
        ({"token": text, "logprob": math.log(p)} for text, p in odds.items()),
        key=lambda token: -token["logprob"],
    )
    return {**top[0], "top_logprobs": top}


def one_after_the_other(answers: Sequence[Any]) -> Callable[[Request], Any]:
    """Answers by the repeat of the request."""
    return lambda request: answers[request.repeat % len(answers)]
