"""Generation: the text of an answer, from what was found, in the form asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from promptlab.offline.responder.ranking import Ranking
from promptlab.offline.responder.sampling import Sampler
from promptlab.offline.responder.schemas import Filler

_ENOUGH = 0.3
"""The score below which a passage does not answer a question."""
_ALSO = 0.75
"""The share of the best score that makes a second passage worth adding."""
_MAX_WORDS = 100
"""The longest draft whose instructions set no length."""

_CHOSEN = (
    ("I would choose {label}.", 1.0),
    ("My answer is {label}.", 0.75),
    ("{label} fits best.", 0.65),
    ("This is one for {label}.", 0.5),
)
_UNKNOWN = (
    ("The text I was given does not say.", 1.0),
    ("I cannot find that in what I was given.", 0.8),
    ("Nothing in the request answers that.", 0.7),
)
_NOTED = (("Noted.", 1.0), ("Thank you, I will keep that in mind.", 0.8))
_PITCHES = (
    ("Here is {topic}, as plain as it should be.", 1.0),
    ("Have you thought about {topic} today?", 0.85),
    ("A good day begins with {topic}.", 0.75),
    ("There is more to {topic} than you may think.", 0.6),
)


def write(ranking: Ranking, sampler: Sampler, schema: Mapping[str, Any] | None) -> str:
    """The answer to a task, in words, or in JSON that meets `schema`; {} is any."""
    task = ranking.task
    asks = task.instructions
    if schema is not None or asks.ask("json"):
        keys: Mapping[str, Any] = {key: {} for key in asks.keys or ["answer"]}
        schema = schema or {"type": "object", "properties": keys}
        return orjson.dumps(Filler(ranking, sampler, schema).fill()).decode()
    asks_back = task.question.endswith("?") or asks.label_only or asks.count("steps")
    if asks.scale:
        mark = str(sampler.choose(ranking.marks(*asks.scale)))
        reason = "".join(f"“{text}”\n" for text, _ in ranking.central[:1])
        ending = asks.phrase("ending") or "Score"
        return f"{reason}{ending}: {mark}" if asks.reason else mark
    if asks.ask("write") and not asks_back:
        text = _draft(ranking, sampler)
    elif task.choices:
        text = _choice(ranking, sampler)
        text = text if asks.label_only or task.examples else asks.opening + text
    else:
        text = asks.opening + _extract(ranking, sampler)
    if not asks.count("steps"):
        text = _clipped(text, asks.count("words"))
    if (most := asks.count("characters")) and len(text) > most:
        text = text[: most + 1].rpartition(" ")[0] or text[:most]
    return text.upper() if asks.ask("upper") else text


def _choice(ranking: Ranking, sampler: Sampler) -> str:
    """A label: alone, in a sentence, after reasons; or all of them in order."""
    task = ranking.task
    asks = task.instructions
    if asks.ask("ranked"):
        number = asks.count("items") or len(task.choices)
        return _listed(sampler.order(ranking.choices, number), numbered=True)
    label = sampler.choose(ranking.choices)
    clue = ranking.clue(label)
    words = asks.count("words")
    if steps := asks.count("steps"):
        reasons = dict.fromkeys(filter(None, [clue, *task.subject]))
        lines = [_clipped(reason, words) for reason in reasons]
        return _listed([*lines[: steps - 1], label], numbered=True)
    if asks.reason:
        unclear = f"Nothing speaks clearly for one option; {label} is a guess."
        reason = f"“{_clipped(clue, words)}” speaks for {label}." if clue else unclear
        return f"{reason}\n{asks.phrase('ending') or 'Answer'}: {label}"
    if asks.label_only or asks.ask("terse") or task.examples:
        return label
    if label.lower() in ("yes", "no", "true", "false"):
        return f"{label.capitalize()}."
    sentence = sampler.choose(_CHOSEN).replace("{label}", label)
    return f"{sentence} {clue}" if clue and asks.count("sentences") else sentence


def _extract(ranking: Ranking, sampler: Sampler) -> str:
    """Sentences of the material that answer the question, or sum it all up."""
    asks = ranking.task.instructions
    many = asks.count("items") or (3 if asks.ask("list") else None)
    if many or asks.ask("summary"):
        found, default = ranking.central, 2
    else:
        found = [(text, score) for text, score in ranking.passages if score > _ENOUGH]
        both = len(found) > 1 and found[1][1] >= _ALSO * found[0][1]
        default = 2 if both and not asks.ask("terse") else 1
    if not found and not many:
        statement = ranking.task.passages and not asks.text
        return sampler.choose(_NOTED if statement else _UNKNOWN)
    kept = sampler.order(found, many or asks.count("sentences") or default)
    lines = [text for text in ranking.task.passages if text in kept]
    if not many:
        return " ".join(lines)
    lines += sampler.order(ranking.keywords, many - len(lines))
    return _listed(lines, numbered=asks.ask("numbered"))


def _draft(ranking: Ranking, sampler: Sampler) -> str:
    """A text from the facts of the brief, or about its topic if it has none."""
    asks = ranking.task.instructions
    number = 1 if asks.ask("headline") else asks.count("sentences")
    required = asks.phrase("required").lower()
    facts = [
        # What must occur comes first.
        (text, score + (required != "" and required in text.lower()))
        for text, score in ranking.central
    ]
    if not facts:
        topic = asks.phrase("topic") or next((w for w, _ in ranking.keywords), "it")
        text = " ".join(sampler.order(_PITCHES, number or 2))
        return text.replace("{topic}", topic)
    kept: list[str] = []
    for fact in sampler.order(facts, _MAX_WORDS):
        text = " ".join([*kept, fact])
        fits = len(text.split()) <= (asks.count("words") or _MAX_WORDS)
        fits = fits and len(text) <= (asks.count("characters") or len(text))
        if not kept or (fits and len(kept) < (number or 4)):
            kept.append(fact)
    lines = [text for text in ranking.task.passages if text in kept]
    if asks.ask("list"):
        return _listed(lines, numbered=asks.ask("numbered"))
    text = " ".join(lines)
    return text.rstrip(".") if asks.ask("headline") else text


def _listed(lines: Sequence[str], *, numbered: bool) -> str:
    marks = [f"{number}." if numbered else "-" for number in range(1, len(lines) + 1)]
    return "\n".join(f"{mark} {line}" for mark, line in zip(marks, lines, strict=True))


def _clipped(text: str, words: int | None) -> str:
    """`text` up to its first `words` words."""
    split = text.split(" ")
    fits = words is None or len(split) <= words
    return text if fits else " ".join(split[:words]).rstrip(",;:")
