"""Judging: a verdict on an output, from the words that it shares with what it is
compared with. It is no judgement, and says so."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from promptlab.offline.responder.lexicon import stems
from promptlab.offline.responder.task import text_of

Json = Mapping[str, Any]

SIGNS = {
    ("polit", "kind", "friend", "courte"): (
        *("please", "thank", "thanks", "sorry", "welcome", "gladly", "kind", "dear"),
        *("apologise", "apologize", "happy"),
    ),
}
"""Words that rubrics begin with, and those that speak for an output then."""

PAIR = ("first", "second")
"""Two outputs to compare, and the verdicts on which is better."""

SHORT = ("short", "brief", "concis", "terse")
SHORT_WORDS = 20


def judgement(messages: Sequence[Json], schema: Json | None) -> Json | None:
    """The reply to a request for a verdict: JSON in the last message that has an
    `output`, or a `first` and a `second`, and a schema with a `verdict`. None for any
    other request."""
    data = _data(messages)
    properties = (schema or {}).get("properties") or {}
    if data is None or not properties:
        return None
    rubric = " ".join(text_of(message) for message in messages[:1]).partition("Rubric:")
    if "verdict" in properties:
        return _verdict(rubric[2], data, properties)
    parts = {name: part.get("properties") or {} for name, part in properties.items()}
    if not all("verdict" in part for part in parts.values()):
        return None
    return {name: _verdict(name, data, part) for name, part in parts.items()}


def _data(messages: Sequence[Json]) -> Json | None:
    text = text_of(messages[-1]) if messages else ""
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(data, dict):
        return None
    return data if "output" in data or {*PAIR} <= set(data) else None


def _verdict(rubric: str, data: Json, properties: Json) -> Json:
    if "output" not in data:
        return _preference(rubric, data, properties)
    share, why = _share(rubric, data)
    offered = list(properties["verdict"].get("enum") or ["pass", "fail"])
    if all(isinstance(verdict, int) for verdict in offered):
        offered.sort(reverse=True)
    said = {
        "reasoning": f"The offline model is no judge, it compares words: {why}.",
        "verdict": offered[round((1 - share) * (len(offered) - 1))],
    }
    return {name: said[name] for name in properties if name in said}


def _preference(rubric: str, data: Json, properties: Json) -> Json:
    """Which of two outputs has more that speaks for it."""
    rest = {name: value for name, value in data.items() if name not in PAIR}
    (first, why), (second, other) = (
        _share(rubric, {**rest, "output": data[name]}) for name in PAIR
    )
    said = {
        "reasoning": "The offline model is no judge, it compares words: of the first, "
        f"{why}; of the second, {other}.",
        "verdict": PAIR[second > first] if first != second else "tie",
    }
    return {name: said[name] for name in properties if name in said}


def _share(rubric: str, data: Json) -> tuple[float, str]:
    """How much speaks for an output, from 0 to 1, and what that is."""
    output = stems(str(data["output"]))
    wanted = rubric.lower()
    for words, signs in SIGNS.items():
        if any(word in wanted for word in words):
            said = re.findall(r"\w+", str(data["output"]).lower())
            found = [sign for sign in signs if sign in said]
            return float(bool(found)), (
                f"it says “{found[0]}”" if found else "it has no word of courtesy"
            )
    if any(word in wanted for word in SHORT):
        count = len(str(data["output"]).split())
        return float(count <= SHORT_WORDS), f"it has {count} words"
    others = {name: value for name, value in data.items() if name != "output"}
    name = "expected" if "expected" in others else next(iter(others), "")
    compared = set(stems(" ".join(_texts(others.get(name)))))
    shared = len(compared & set(output))
    share = shared / len(compared) if compared else 0.0
    return share, f"{shared} of {len(compared)} words of `{name}` are in the output"


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        return (text for part in value.values() for text in _texts(part))
    if isinstance(value, list):
        return (text for part in value for text in _texts(part))
    return (str(value),) if value is not None else ()
