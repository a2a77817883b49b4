"""Votes: what raters said of pairs of outputs, kept in `.promptlab/votes`."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import pandas as pd

from promptlab.notebook.jsonl_store import JsonlStore
from promptlab.store.home import home

Choice = Literal["left", "right", "tie", "skip"]
"""What a rater may say of a pair; `skip` is: cannot say."""

PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
"""A name that is a file's name as it is, on any system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one rater said of one pair."""

    experiment: str
    """The name that the votes of a comparison are kept under."""
    pair: str
    """What the pair is: a digest of variants, outputs, case, repeat, parameters."""
    by: str
    """The parameters that were compared, joined by ` · `."""
    parameters: Mapping[str, str]
    """What both outputs were asked with."""
    case: str
    repeat: int
    left: str
    """The variant that was on the left."""
    right: str
    choice: Choice
    rater: str
    seed: int
    """What the order of the pairs and their sides followed from."""
    when_s: float
    """In seconds since 1970."""

    @property
    def said(self) -> str:
        """The variant that is better, `tie` or `skip`."""
        return {"left": self.left, "right": self.right}.get(self.choice, self.choice)


FIELDS: dict[str, Any] = dict.fromkeys(Vote.__dataclass_fields__, str) | {
    "parameters": dict,
    "repeat": int,
    "seed": int,
    "when_s": (int, float),
}
"""What a line must hold."""


@dataclass(frozen=True)
class VoteStore:
    """The votes under one name: cast for good, and taken back by a further line."""

    name: str
    journal: JsonlStore

    @classmethod
    def of(cls, name: str) -> VoteStore:
        """The box of that name in this project; made by the first vote."""
        return cls(name, JsonlStore(_folder() / f"{_file_name(name)}.jsonl"))

    def cast(self, vote: Vote) -> None:
        """Keeps a vote; it is on disk when this returns.

        Raises:
            CacheError: it cannot be written.
        """
        self.journal.append(asdict(vote))

    def take_back(self, pair: str, rater: str) -> None:
        """Undoes what a rater said of a pair.

        Raises:
            CacheError: it cannot be written.
        """
        line = {"experiment": self.name, "pair": pair, "rater": rater}
        self.journal.append({"undo": line, "when_s": time.time()})

    def standing(self) -> list[Vote]:
        """The last vote of each rater on each pair, without those taken back, in the
        order they were cast.

        Raises:
            CacheError: they cannot be read.
        """
        return [v for v in _standing(self.journal) if v.experiment == self.name]


def votes(name: str | None = None) -> pd.DataFrame:
    """The votes of `rate`: those under one name, or all of this project.

    One row for each rater and pair, in the order they were cast: `left` and `right`
    are the variants as they were shown, `choice` is the one that is better, `tie`
    or `skip`.

    Raises:
        CacheError: they cannot be read.
    """
    if name is not None:
        return votes_table(VoteStore.of(name).standing())
    files = sorted(_folder().glob("*.jsonl"))
    found = [vote for file in files for vote in _standing(JsonlStore(file))]
    return votes_table(sorted(found, key=lambda vote: vote.when_s))


def votes_table(votes: Iterable[Vote]) -> pd.DataFrame:
    """The table of some votes."""
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
        "choice": _texts(vote.said for vote in votes),
        "rater": _texts(vote.rater for vote in votes),
        "when": pd.to_datetime([v.when_s for v in votes], unit="s", utc=True),
    }
    return pd.DataFrame(columns)


def _standing(journal: JsonlStore) -> list[Vote]:
    kept: dict[tuple[str, str, str], Vote] = {}
    for entry in journal.entries():
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
    """The vote in a line; None for what another version, or a hand, wrote otherwise."""
    fits = all(isinstance(entry.get(name), kind) for name, kind in FIELDS.items())
    if not fits or entry["choice"] not in get_args(Choice):
        return None
    return Vote(**{name: entry[name] for name in FIELDS})


def _texts(values: Iterable[str | None]) -> Any:
    return pd.array(cast(Any, list(values)), dtype="str")


def _folder() -> Path:
    return home() / "votes"


def _file_name(name: str) -> str:
    """A file's name for any name; two names have two files."""
    if PLAIN_NAME.fullmatch(name):
        return name
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{kept or 'votes'}.{digest}"
