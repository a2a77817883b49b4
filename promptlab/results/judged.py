"""Judged scores: who gave them, and what is known of how far people agree."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from promptlab.errors import CacheError
from promptlab.store.history import History

UNCHECKED = "not checked against people"
UNREADABLE = "what people say of it cannot be read"

OTHERS = {
    "rubric": "an earlier rubric",
    "model": "another model",
    "scale": "another scale",
    "prompt": "another prompt",
}
"""What a check was made with where the judge has changed since, the first that fits."""


@dataclass(frozen=True)
class JudgedBy:
    """What makes a judge the same: the model, and digests of the rest."""

    model: str
    """Several are joined by commas."""
    rubric: str
    scale: str
    prompt: str
    """Of all else: the prompt, examples, what it is shown, parameters, repeats."""


def keep_check(experiment: str, score: str, judge: JudgedBy, check: str) -> None:
    """Keeps what is known of a judge, such as `κ 0.41 [0.20, 0.60] on 40 rated`.

    Raises:
        CacheError: it cannot be written.
    """
    line = {
        "score": score,
        "judge": asdict(judge),
        "check": check,
        "checked_s": time.time(),
    }
    History("checks", experiment).append({"experiment": experiment, **line})


def check_notes(experiment: str, judges: Mapping[str, JudgedBy]) -> dict[str, str]:
    """By score, what is known of its judge, in words: of the last check of the same
    judge, or of the last one in this experiment of what it was before."""
    if not judges:
        return {}
    try:
        lines = History("checks", None).lines()
    except CacheError:
        return dict.fromkeys(judges, UNREADABLE)
    return {
        score: _note(experiment, score, judge, lines) for score, judge in judges.items()
    }


def _note(
    experiment: str, score: str, judge: JudgedBy, lines: list[dict[str, Any]]
) -> str:
    wanted = asdict(judge)
    stale = UNCHECKED
    for line in reversed(lines):
        if line.get("score") != score or not isinstance(line.get("judge"), dict):
            continue
        if line["judge"] == wanted:
            return str(line["check"])
        if stale == UNCHECKED and line.get("experiment") == experiment:
            stale = f"checked with {_other(line['judge'], wanted)}: {line['check']}"
    return stale


def _other(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return next(
        (words for part, words in OTHERS.items() if before.get(part) != now[part]),
        "another judge",
    )
