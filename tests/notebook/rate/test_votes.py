"""Votes: kept at once, read back as a table, taken back without being lost."""

from __future__ import annotations

import dataclasses
import stat
from typing import Any

import pandas as pd
import pytest

import promptlab as pl
from promptlab.errors import CacheError
from promptlab.notebook.rate.votes import Vote, VoteStore, votes
from promptlab.store.home import home

COLUMNS = [
    *("experiment", "by", "case", "repeat", "left", "right", "choice", "rater", "when")
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
def box() -> VoteStore:
    return VoteStore.of("triage")


def test_a_vote_is_read_back_as_it_was_cast(box: VoteStore) -> None:
    given = vote(parameters={"temperature": "0.7"}, case="«1»", rater="Ana")

    box.cast(given)

    assert VoteStore.of("triage").standing() == [given]


def test_votes_are_a_table(box: VoteStore) -> None:
    box.cast(vote(parameters={"temperature": "0"}))
    box.cast(vote(pair="p2", case="2", choice="right", repeat=1))
    box.cast(vote(pair="p3", case="3", choice="tie", rater="Ana"))
    box.cast(vote(pair="p4", case="4", choice="skip"))

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


def test_the_last_vote_on_a_pair_counts(box: VoteStore) -> None:
    box.cast(vote())
    box.cast(vote(pair="p2"))
    box.cast(vote(choice="tie"))

    assert [(v.pair, v.choice) for v in box.standing()] == [
        ("p2", "left"),
        ("p1", "tie"),
    ]


def test_a_vote_taken_back_is_gone_from_the_table_and_stays_in_the_file(
    box: VoteStore,
) -> None:
    box.cast(vote())
    box.cast(vote(rater="Ana"))

    box.take_back("p1", "Ana")

    assert votes("triage")["rater"].tolist() == [""]
    assert box.journal.path.read_text().count("\n") == 3
    box.cast(vote(rater="Ana", choice="tie"))
    assert votes("triage")["choice"].tolist() == ["plain", "tie"]


def test_all_votes_of_a_project_come_in_the_order_they_were_cast() -> None:
    for when_s, name in enumerate(["triage", "a", "triage", "Häuser & Bäume/../x"]):
        box = VoteStore.of(name)
        box.cast(vote(experiment=name, pair=f"{when_s}", when_s=float(when_s)))

    assert votes()["experiment"].tolist() == ["triage", "a", "triage", box.name]
    assert votes(box.name)["experiment"].tolist() == [box.name]


@pytest.mark.parametrize(
    "name",
    ["../../escape", "/etc/passwd", "", ".", "..", "a" * 300, "Triage", "\0", "a\nb"],
)
def test_any_name_is_a_file_in_the_folder_of_votes(name: str) -> None:
    box = VoteStore.of(name)
    box.cast(vote(experiment=name))

    assert box.journal.path.parent == home() / "votes"
    assert [path.suffix for path in (home() / "votes").iterdir()] == [".jsonl"]
    assert VoteStore.of(name).standing() == [vote(experiment=name)]


def test_votes_are_for_the_user_alone(box: VoteStore) -> None:
    box.cast(vote())

    assert stat.S_IMODE(box.journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((home() / "votes").stat().st_mode) == 0o700


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
    box: VoteStore, changed: dict[str, Any]
) -> None:
    box.journal.append(dataclasses.asdict(vote(pair="other")) | changed)
    box.journal.append({"something": "else"})
    box.journal.append({"undo": "everything"})
    box.cast(vote())

    assert box.standing() == [vote()]


def test_fields_of_a_later_version_are_no_harm(box: VoteStore) -> None:
    box.journal.append(dataclasses.asdict(vote()) | {"reason": "shorter"})

    assert box.standing() == [vote()]


def test_a_vote_cut_off_by_a_crash_costs_no_other(box: VoteStore) -> None:
    box.cast(vote())
    with box.journal.path.open("ab") as file:
        file.write(b'{"experiment":"triage","pair":"p2","ch')
    box.cast(vote(pair="p3"))

    with pytest.warns(pl.PromptlabWarning, match="1 damaged line"):
        assert [v.pair for v in box.standing()] == ["p1", "p3"]


def test_votes_that_cannot_be_kept_say_why(box: VoteStore) -> None:
    home().mkdir(parents=True)
    (home() / "votes").write_text("in the way")

    with pytest.raises(CacheError, match="triage"):
        box.cast(vote())
