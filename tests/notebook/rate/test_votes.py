"""Votes: kept at once, read back as a table, taken back without being lost."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
import pytest

from promptlab.errors import CacheError
from promptlab.notebook.rate.votes import Vote, VoteStore, votes
from promptlab.store.home import home

COLUMNS = [
    *("experiment", "by", "case", "repeat", "left", "right", "choice", "rater", "when"),
    "pair",
]


def vote(**changed: Any) -> Vote:
    given = Vote(
        experiment="triage",
        pair="p1",
        by="prompt",
        parameters={},
        case="1",
        repeat=0,
        left="plain",
        right="steps",
        choice="left",
        rater="",
        seed=7,
        when_s=1_790_000_000.25,
    )
    return dataclasses.replace(given, **changed)


@pytest.fixture
def store() -> VoteStore:
    return VoteStore("triage")


def test_a_vote_is_read_back_as_it_was_cast(store: VoteStore) -> None:
    given = vote(parameters={"temperature": "0.7"}, case="«1»", rater="Ana")

    store.cast(given)

    assert VoteStore("triage").standing() == [given]


def test_votes_are_a_table(store: VoteStore) -> None:
    store.cast(vote(parameters={"temperature": "0"}))
    store.cast(vote(pair="p2", case="2", choice="right", repeat=1))
    store.cast(vote(pair="p3", case="3", choice="tie", rater="Ana"))
    store.cast(vote(pair="p4", case="4", choice="skip"))

    table = votes("triage")

    assert list(table) == [*COLUMNS[:2], "temperature", *COLUMNS[2:]]
    assert table["choice"].tolist() == ["plain", "steps", "tie", "skip"]
    assert table["temperature"].isna().tolist() == [False, True, True, True]
    assert table["repeat"].tolist() == [0, 1, 0, 0]
    assert table["rater"].tolist() == ["", "", "Ana", ""]
    assert table["when"][0] == pd.Timestamp("2026-09-21T14:13:20.250Z")


def test_without_votes_the_table_has_its_columns_and_nothing_is_made() -> None:
    for table in (votes(), votes("triage")):
        assert list(table) == COLUMNS
        assert len(table) == 0
        assert str(table["when"].dtype).startswith("datetime64")
    assert not home().exists()


def test_the_last_vote_on_a_pair_counts(store: VoteStore) -> None:
    store.cast(vote())
    store.cast(vote(pair="p2"))
    store.cast(vote(choice="tie"))

    assert [(v.pair, v.choice) for v in store.standing()] == [
        ("p2", "left"),
        ("p1", "tie"),
    ]


def test_a_vote_taken_back_is_gone_from_the_table_and_stays_in_the_history(
    store: VoteStore,
) -> None:
    store.cast(vote())
    store.cast(vote(rater="Ana"))

    store.take_back("p1", "Ana")

    assert votes("triage")["rater"].tolist() == [""]
    assert len(store.history.lines()) == 3
    store.cast(vote(rater="Ana", choice="tie"))
    assert votes("triage")["choice"].tolist() == ["plain", "tie"]


def test_all_votes_of_a_project_come_in_the_order_they_were_cast() -> None:
    for when_s, name in enumerate(["triage", "a", "triage", "Häuser & Bäume/../x"]):
        store = VoteStore(name)
        store.cast(vote(experiment=name, pair=f"{when_s}", when_s=float(when_s)))

    assert votes()["experiment"].tolist() == ["triage", "a", "triage", store.name]
    assert votes(store.name)["experiment"].tolist() == [store.name]


@pytest.mark.parametrize(
    "name",
    ["../../escape", "/etc/passwd", "", ".", "..", "a" * 300, "Triage", "\0", "a\nb"],
)
def test_any_name_has_votes_of_its_own(name: str) -> None:
    VoteStore(name).cast(vote(experiment=name))

    assert VoteStore(f"{name}.").standing() == []
    assert VoteStore(name).standing() == [vote(experiment=name)]


@pytest.mark.parametrize(
    "changed",
    [
        {"choice": "both"},
        {"repeat": "0"},
        {"parameters": None},
        {"when_s": "now"},
        {"case": 1},
    ],
)
def test_a_line_that_is_no_vote_is_left_out(
    store: VoteStore, changed: dict[str, Any]
) -> None:
    store.history.append(dataclasses.asdict(vote(pair="other")) | changed)
    store.history.append({"something": "else"})
    store.history.append({"undo": "everything"})
    store.cast(vote())

    assert store.standing() == [vote()]


def test_fields_of_a_later_version_are_no_harm(store: VoteStore) -> None:
    store.history.append(dataclasses.asdict(vote()) | {"reason": "shorter"})

    assert store.standing() == [vote()]


def test_votes_that_cannot_be_kept_say_why(store: VoteStore) -> None:
    home().write_text("in the way")

    with pytest.raises(CacheError, match="cannot be opened: Not a directory"):
        store.cast(vote())
