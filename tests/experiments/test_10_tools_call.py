"""10, promptfoo/promptfoo examples/openai-tools-call: is the right tool called?

Whole: the call is checked by its schema, name and arguments. A loop that calls the
tools, which the original has not either, is to come.
"""

from __future__ import annotations

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

from .fakes import calling


def called(request: pl.Request) -> object:
    city = last_text(request).removeprefix("Which weather has ").rstrip("?")
    if city == "Atlantis":
        return "There is no such city."
    unit = "kelvin" if city == "Oslo" else "celsius"
    return calling("weather", place=city, unit=unit)


def test_10_tools_call() -> None:
    client = FakeClient(called)

    # experiment
    arguments = {
        "type": "object",
        "required": ["place"],
        "properties": {
            "place": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
    }
    weather = {"name": "weather", "description": "Today's.", "parameters": arguments}
    cases = [
        {"city": city, "expected": {"name": "weather", "arguments": {"place": city}}}
        for city in ("Graz", "Oslo", "Atlantis")
    ]
    results = pl.Experiment(
        "tools",
        dataset=cases,
        grid=pl.Grid(
            model=["small"],
            tools={"weather": [{"type": "function", "function": weather}]},
            prompt=["Which weather has {{city}}?"],
        ),
        scorers=[
            scorers.tool_call("weather", schema=arguments, name="valid"),
            scorers.tool_call(name="right"),
        ],
    ).run(client=client, progress=False)
    table = results.table
    # experiment: end

    assert table["valid"].tolist() == [1, 0, 0]
    assert table["right"].tolist() == [1, 1, 0]
    assert table["right_explanation"][2] == "no tool was called"
