"""Votes: which of two outputs is better, kept in the project's database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

import pandas as pd

from promptlab.store.history import History

Choice = Literal["left", "right", "tie", "skip"]
"""The votes on a pair; `skip` means: cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A rater's vote on one pair."""

    experiment: str
    """The name that the vote is kept under."""
    pair: str
    """The digest of the pair: variants, outputs, case, repeat, parameters."""
    by: str
    """The parameters that were compared, joined by ` · `."""
    parameters: Mapping[str, str]
    """The labels of the parameters that both outputs share."""
    case: str
    repeat: int
    left: str
    """The variant that was on the left."""
    right: str
    choice: Choice
    rater: str
    seed: int
    """The seed of the order of pairs and their sides."""
    when_s: float
    """In seconds since 1970."""

    @property
    def better(self) -> str:
        """The variant that is better, `tie` or `skip`."""
        return {"left": self.left, "right": self.right}.get(self.choice, self.choice)


FIELDS: dict[str, Any] = dict.fromkeys(Vote.__dataclass_fields__, str) | {
    "parameters": dict,
    "repeat": int,
    "seed": int,
    "when_s": (int, float),
}
"""The fields of a line, and their types."""


@dataclass(frozen=True)
class VoteStore:
    """The votes under one name in this project; a further line undoes a vote."""

    name: str

    @property
    def history(self) -> History:
        """All that was ever voted and undone."""
        return History("votes", self.name)

    def cast(self, vote: Vote) -> None:
        """Keeps a vote; it is on disk when this returns.

        Raises:
            CacheError: it cannot be written.
        """
        self.history.append(asdict(vote))

    def take_back(self, pair: str, rater: str) -> None:
        """Undoes the vote of a rater on a pair.

        Raises:
            CacheError: it cannot be written.
        """
        line = {"experiment": self.name, "pair": pair, "rater": rater}
        self.history.append({"undo": line, "when_s": time.time()})

    def standing(self) -> list[Vote]:
        """The last vote of each rater on each pair, without those undone, in the order
        they were cast.

        Raises:
            CacheError: they cannot be read.
        """
        return _standing(self.history)


def votes(name: str | None = None) -> pd.DataFrame:
    """A table of the votes that were cast with `rate`, one row for each rater and pair.

    `left` and `right` are the variants as they were shown, `choice` is the one that is
    better, `tie` or `skip`; `pair` is what the two outputs are known by.

    Args:
        name: The experiment, or the `name` given to `rate`; default: all of them.

    Raises:
        CacheError: the votes cannot be read.

    Example:
        >>> list(votes("no such experiment").columns)[:4]
        ['experiment', 'by', 'case', 'repeat']
    """
    if name is not None:
        return votes_table(VoteStore(name).standing())
    found = _standing(History("votes", None))
    return votes_table(sorted(found, key=lambda vote: vote.when_s))


def votes_table(votes: Iterable[Vote]) -> pd.DataFrame:
    """A table of some votes, one row for each."""
    votes = list(votes)
    named = dict.fromkeys(name for vote in votes for name in vote.parameters)
    columns: dict[str, Any] = {
        "experiment": _texts(vote.experiment for vote in votes),
        "by": _texts(vote.by for vote in votes),
        **{n: _texts(vote.parameters.get(n) for vote in votes) for n in named},
        "case": _texts(vote.case for vote in votes),
        "repeat": pd.array([vote.repeat for vote in votes], dtype="int64"),
        "left": _texts(vote.left for vote in votes),
        "right": _texts(vote.right for vote in votes),
        "choice": _texts(vote.better for vote in votes),
        "rater": _texts(vote.rater for vote in votes),
        "when": pd.to_datetime([v.when_s for v in votes], unit="s", utc=True),
        "pair": _texts(vote.pair for vote in votes),
    }
    return pd.DataFrame(columns)


def _standing(history: History) -> list[Vote]:
    kept: dict[tuple[str, str, str], Vote] = {}
    for entry in history.lines():
        if isinstance(undone := entry.get("undo"), dict):
            kept.pop(_place(undone), None)
        elif (vote := _vote(entry)) is not None:
            kept.pop(_place(entry), None)  # so that it comes last
            kept[_place(entry)] = vote
    return list(kept.values())


def _place(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        str(entry.get("experiment")),
        str(entry.get("pair")),
        str(entry.get("rater")),
    )


def _vote(entry: Mapping[str, Any]) -> Vote | None:
    """The vote in a line; None where the line is not a valid vote."""
    fits = all(isinstance(entry.get(name), kind) for name, kind in FIELDS.items())
    if not fits or entry["choice"] not in get_args(Choice):
        return None
    return Vote(**{name: entry[name] for name in FIELDS})


def _texts(values: Iterable[str | None]) -> Any:
    return pd.array(cast(Any, list(values)), dtype="str")
