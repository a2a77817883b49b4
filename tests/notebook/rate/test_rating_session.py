"""Rating sessions: what is shown after what, and that nothing shown tells a name."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest
from results.making import FAILURE, experiment, results

import promptlab as pl
from promptlab.notebook.rate.rating_session import RatingSession
from promptlab.notebook.rate.votes import VoteStore, votes
from promptlab.notebook.trial_table import TrialTable
from promptlab.store.home import home

NAMES = ("Alpha-name", "Beta-name", "Gamma-name")
SECRETS = (*NAMES, "secret-model", "secret-system", "0.123", "prompt", "letters", "key")
STATE = {"done", "show", "turn", "settled", "total", "skipped", "identical", "left_out"}
PAIR = {"case", "inputs", "expected", "left", "right"}


def made(outputs: list[Any] | None = None, names: int = 2, cases: int = 4) -> Any:
    """Results of that many prompts; each answer is another, if not said otherwise."""
    asked = experiment(
        [{"t": f"text {n}", "expected": "good"} for n in range(cases)],
        model=["secret-model"],
        prompt={name: f"{name}: {{{{t}}}}" for name in NAMES[:names]},
        system={"secret-system": "Be good."},
        temperature=[0.123],
    )
    outputs = outputs or [f"answer {n}" for n in range(len(asked))]
    return results(asked, outputs)


def ratings(given: Any = None, *, rater: str = "", seed: int = 3) -> RatingSession:
    trials = TrialTable.of(made() if given is None else given)
    return RatingSession.of(
        trials, "prompt", VoteStore("letters"), rater=rater, seed=seed
    )


class Rater:
    """Whoever sits in front of it: looks, says something, looks again."""

    def __init__(self, at: RatingSession) -> None:
        self.at = at
        self.seen = at.answer({"ask": "show"})

    def say(self, ask: str, **more: Any) -> dict[str, Any]:
        message = {"ask": ask, "turn": self.seen["turn"], **more}
        self.seen = self.at.answer(message)
        return self.seen

    def vote(self, *choices: str) -> dict[str, Any]:
        for choice in choices:
            self.say("vote", choice=choice)
        return self.seen


@pytest.fixture
def rater() -> Rater:
    return Rater(ratings())


def test_each_vote_brings_the_next_pair_and_is_on_disk_by_then(rater: Rater) -> None:
    shown = [rater.seen]

    for settled, choice in enumerate(["left", "right", "tie"], start=1):
        shown.append(rater.vote(choice))
        assert shown[-1]["settled"] == len(votes("letters")) == settled
        assert shown[-1]["done"] == choice

    assert [s["case"] for s in shown] == [p.case for p in rater.at.queue.pairs]
    assert all(s["show"] == "pair" for s in shown)


def test_after_the_last_pair_the_names_wait_for_the_reveal(rater: Rater) -> None:
    assert rater.vote("left", "right", "tie", "skip")["show"] == "finished"

    revealed = rater.say("reveal")

    assert revealed["show"] == "tally"
    assert revealed["by"] == "prompt"
    assert [row["variant"] for row in revealed["tally"]] == list(NAMES[:2])


def test_a_vote_names_the_variant_that_was_on_that_side(rater: Rater) -> None:
    pairs = rater.at.queue.pairs

    rater.vote("left", "right", "tie", "skip")

    kept = votes("letters")
    assert kept["choice"].tolist() == [pairs[0].left, pairs[1].right, "tie", "skip"]
    assert kept["left"].tolist() == [pair.left for pair in pairs]
    assert kept["case"].tolist() == [pair.case for pair in pairs]
    assert set(kept["temperature"]) == {"0.123"}


def test_pressing_a_key_twice_votes_once(rater: Rater) -> None:
    turn = rater.seen["turn"]

    first = rater.at.answer({"ask": "vote", "choice": "left", "turn": turn})
    second = rater.at.answer({"ask": "vote", "choice": "left", "turn": turn})

    assert (first["done"], second["done"]) == ("left", None)
    assert {**second, "done": "left"} == first
    assert len(votes("letters")) == 1


def test_a_late_key_does_not_vote_on_a_pair_that_came_back(rater: Rater) -> None:
    turn = rater.seen["turn"]
    rater.vote("left")
    rater.say("undo")

    late = rater.at.answer({"ask": "vote", "choice": "right", "turn": turn})

    assert (late["done"], late["settled"]) == (None, 0)


def test_threads_that_vote_on_one_pair_at_once_vote_once(rater: Rater) -> None:
    message = {"ask": "vote", "choice": "left", "turn": rater.seen["turn"]}
    answers: list[Any] = []

    def vote() -> None:
        answers.append(rater.at.answer(message)["done"])

    threads = [threading.Thread(target=vote) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers, key=str) == [None] * 7 + ["left"]


def test_undo_takes_back_vote_after_vote_on_disk_too(rater: Rater) -> None:
    first = rater.seen
    rater.vote("left", "skip", "right")

    for left in (2, 1, 0):
        assert rater.say("undo")["settled"] == len(votes("letters")) == left
    assert rater.seen["left"] == first["left"]
    assert rater.say("undo")["done"] is None


def test_undo_after_a_restart_takes_back_the_last_vote(rater: Rater) -> None:
    rater.vote("left", "right")

    again = Rater(ratings())
    again.say("undo")

    assert votes("letters")["case"].tolist() == [rater.at.queue.pairs[0].case]


def test_the_queue_goes_on_where_it_was_with_the_same_sides(rater: Rater) -> None:
    rater.vote("left", "tie")

    again = Rater(ratings())

    assert {**again.seen, "turn": 2, "done": "tie"} == rater.seen


def test_each_rater_has_a_queue_of_their_own(rater: Rater) -> None:
    rater.vote("left", "left")

    ana = Rater(ratings(rater="Ana"))
    ana.vote("tie")

    assert ana.seen["settled"] == 1
    assert rater.say("undo")["settled"] == 1
    assert votes("letters")["rater"].tolist() == ["", "Ana"]


def test_votes_on_old_outputs_do_not_count_for_new_ones(rater: Rater) -> None:
    rater.vote("left", "left", "left", "left")
    changed = made(["new", *(f"answer {n}" for n in range(1, 8))])

    again = Rater(ratings(changed))

    assert (again.seen["settled"], again.seen["total"]) == (3, 4)
    assert "new" in (again.seen["left"], again.seen["right"])
    assert len(again.at.tally()) == 2
    assert again.at.tally()["pairs"].tolist() == [3, 3]


@pytest.mark.parametrize("seed", range(4))
def test_votes_count_for_the_same_variants_when_sides_have_changed(seed: int) -> None:
    rater = Rater(ratings())
    rater.vote("left", "right", "left", "left")
    tally = rater.at.tally()

    later = ratings(made(cases=9), seed=seed)

    assert (later.settled, later.queue.to_rate) == (4, 9)
    assert later.tally().equals(tally)


def test_skipped_pairs_can_be_gone_through_again(rater: Rater) -> None:
    rater.vote("skip", "left", "skip", "left")

    back = rater.say("reopen")

    assert (back["show"], back["settled"], back["skipped"]) == ("pair", 2, 0)
    assert back["case"] == rater.at.queue.pairs[0].case
    assert rater.vote("tie", "tie")["show"] == "finished"


def test_an_early_reveal_must_be_meant(rater: Rater) -> None:
    rater.vote("left")

    assert rater.say("reveal")["show"] == "pair"
    assert rater.say("reveal", early=True)["show"] == "tally"


def test_after_the_reveal_nothing_is_voted_on_or_taken_back(rater: Rater) -> None:
    rater.vote("left")
    tally = rater.say("reveal", early=True)["tally"]

    for ask in ("vote", "undo", "reopen", "reveal", "show"):
        assert rater.say(ask, choice="right", early=True)["tally"] == tally
    assert len(votes("letters")) == 1


def test_the_tally_counts_wins_ties_and_losses_without_skips(rater: Rater) -> None:
    first, second = rater.at.queue.pairs[:2]
    rater.vote("left", "right", "tie", "skip")

    tally = rater.at.tally()

    assert tally.index.name == "prompt"
    assert tally["pairs"].tolist() == [3, 3]
    assert tally["ties"].tolist() == [1, 1]
    won = [first.left, second.right]
    assert tally["wins"].to_dict() == {name: won.count(name) for name in NAMES[:2]}
    assert (tally["losses"] == tally["wins"].to_numpy()[::-1]).all()
    assert tally["share"].tolist() == (tally["wins"] / 3).tolist()


def test_a_tally_without_votes_has_no_shares(rater: Rater) -> None:
    tally = rater.at.tally()

    assert tally["pairs"].tolist() == [0, 0]
    assert tally["share"].isna().all()


def test_with_three_variants_each_counts_in_its_own_pairs() -> None:
    rater = Rater(ratings(made(names=3)))
    while rater.seen["show"] == "pair":
        rater.vote("left")

    tally = rater.at.tally()

    assert tally["pairs"].tolist() == [8, 8, 8]
    assert tally["wins"].sum() == tally["losses"].sum() == 12


def test_identical_answers_are_not_shown_and_count_as_ties_once_passed() -> None:
    same = ["a", "a", "b", "B", "c", "c ", "d", "D"]
    rater = Rater(ratings(made(same)))
    pairs = rater.at.queue.pairs
    assert (rater.seen["total"], rater.seen["identical"]) == (2, 2)

    rater.vote("left")

    place = [n for n, pair in enumerate(pairs) if not pair.identical]
    passed = sum(pair.identical for pair in pairs[: place[1]])
    assert rater.at.tally()["identical"].tolist() == [passed, passed]
    rater.vote("left")
    assert rater.at.tally()["identical"].tolist() == [2, 2]
    assert rater.at.tally()["ties"].tolist() == [2, 2]


def test_when_all_answers_are_identical_there_is_nothing_to_vote_on() -> None:
    rater = Rater(ratings(made(["a"] * 8)))

    assert rater.seen["show"] == "nothing"
    assert rater.say("reveal")["tally"][0]["ties"] == 4


def test_when_all_trials_failed_there_is_nothing_to_vote_on() -> None:
    rater = Rater(ratings(made([FAILURE] * 8)))

    assert (rater.seen["show"], rater.seen["left_out"]) == ("nothing", 4)
    assert rater.vote("left")["done"] is None


def test_a_vote_that_cannot_be_written_is_reported_and_not_counted(
    rater: Rater,
) -> None:
    home().write_text("in the way")

    refused = rater.vote("left")

    assert refused["show"] == "not stored"
    assert "cannot be" in refused["why"]
    assert rater.at.settled == 0
    home().unlink()
    assert rater.vote("left")["done"] == "left"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"ask": None, "turn": 0},
        {"ask": "vote", "turn": 0},
        {"ask": "vote", "turn": 0, "choice": "Alpha-name"},
        {"ask": "vote", "turn": 0, "choice": ["left"]},
        {"ask": ["vote"], "turn": 0},
        {"ask": "vote", "turn": "0", "choice": "left"},
        {"ask": "reveal", "turn": 0, "early": 1},
    ],
    ids=str,
)
def test_a_message_that_makes_no_sense_changes_nothing(
    rater: Rater, message: dict[str, Any]
) -> None:
    assert rater.at.answer(message) == rater.seen


@pytest.mark.parametrize("seed", range(5))
def test_no_answer_before_the_reveal_holds_a_name(seed: int) -> None:
    rater = Rater(ratings(made(names=3), seed=seed))
    chance = random.Random(seed)
    answers = [rater.seen]

    for _ in range(60):
        ask = chance.choice(["vote"] * 6 + ["undo", "reopen", "show", "reveal"])
        choice = chance.choice(["left", "right", "tie", "skip"])
        answers.append(rater.say(ask, choice=choice))
        if rater.at.revealed:
            break

    for answer in answers:
        if answer["show"] == "tally":
            continue
        assert set(answer) - STATE <= PAIR
        text = json.dumps(answer)
        assert [secret for secret in SECRETS if secret in text] == []


def test_names_come_with_the_reveal_alone(rater: Rater) -> None:
    text = json.dumps(rater.say("reveal", early=True))

    assert all(name in text for name in NAMES[:2])


def test_the_inputs_and_what_is_expected_are_shown(rater: Rater) -> None:
    number = int(rater.seen["case"]) - 1

    assert rater.seen["inputs"] == [("t", f"text {number}")]
    assert rater.seen["expected"] == "good"


def test_hostile_texts_pass_as_they_are() -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e\0"
    rater = Rater(ratings(made([hostile, "b"], cases=1)))

    assert hostile in (rater.seen["left"], rater.seen["right"])


def test_results_that_were_interrupted_are_rated_as_far_as_they_went() -> None:
    given = made(["a", "b", "c", None, None, None, None, None])

    assert isinstance(given, pl.Results)
    assert Rater(ratings(given)).seen["total"] == 1
