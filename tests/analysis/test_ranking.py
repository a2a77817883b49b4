"""Variants ranked by votes on pairs."""

from __future__ import annotations

import json
from typing import Any

import choix
import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.spec.request import Request
from promptlab.testing import FakeClient, response


def votes(
    choices: list[tuple[str, str, str]], *, rater: str = "Ana", by: str = "prompt"
) -> pd.DataFrame:
    """Votes on cases of their own: left, right, and which is better."""
    left, right, choice = (list(column) for column in zip(*choices, strict=True))
    return pd.DataFrame(
        {
            "experiment": "triage",
            "by": by,
            "case": [str(n) for n in range(len(choices))],
            "repeat": 0,
            "left": left,
            "right": right,
            "choice": choice,
            "rater": rater,
        }
    )


def drawn(number: int, position: float = 0.0, *, seed: int = 0) -> pd.DataFrame:
    """Votes on plain, steps and shots, of abilities 0, 1 and 2."""
    dice = np.random.default_rng(seed)
    abilities = {"plain": 0.0, "steps": 1.0, "shots": 2.0}
    rows = []
    for _ in range(number):
        left, right = dice.permutation(list(abilities))[:2]
        apart = abilities[left] - abilities[right] + position
        wins = dice.random() < 1 / (1 + np.exp(-apart))
        rows.append((str(left), str(right), str(left if wins else right)))
    return votes(rows)


def test_the_better_is_first_with_its_chance_to_win() -> None:
    table = pl.ranking(drawn(600)).table

    assert table["variant"].tolist() == ["shots", "steps", "plain"]
    assert (table["low"] < table["win_chance"]).all()
    assert (table["win_chance"] < table["high"]).all()
    true = (1 / (1 + np.exp(-1)) + 1 / (1 + np.exp(-2))) / 2
    assert table["low"][0] < true < table["high"][0]
    assert table["strength"].sum() == pytest.approx(0, abs=1e-9)
    assert table["won"].sum() == table["lost"].sum() == 600


def test_strengths_are_those_of_choix_without_a_position() -> None:
    given = votes([("a", "b", "a")] * 6 + [("a", "b", "b")] * 3 + [("b", "c", "b")] * 5)
    given = pd.concat([given, votes([("b", "c", "c")] * 4 + [("a", "c", "a")] * 2)])

    table = pl.ranking(given).table.set_index("variant")

    won = [(0, 1)] * 6 + [(1, 0)] * 3 + [(1, 2)] * 5 + [(2, 1)] * 4 + [(0, 2)] * 2
    oracle = choix.opt_pairwise(3, won)
    assert table["strength"][["a", "b", "c"]].to_numpy() == pytest.approx(
        oracle - oracle.mean(), abs=1e-4
    )


def test_a_liking_for_the_left_is_told_and_taken_out() -> None:
    found = pl.ranking(drawn(2000, position=0.8))

    assert found.position.low < 1 / (1 + np.exp(-0.8)) < found.position.high
    assert found.position.low > 0.5
    assert "What is shown first wins" in str(found)
    fair = pl.ranking(drawn(2000, seed=1)).table
    assert found.table["strength"].to_numpy() == pytest.approx(
        fair["strength"].to_numpy(), abs=0.2
    )


def test_who_beats_whom_is_a_table() -> None:
    given = votes(
        [("a", "b", "a"), ("b", "a", "a"), ("a", "b", "tie"), ("b", "a", "b")]
    )

    pairs = pl.ranking(given).pairs

    assert pairs[["variant", "other", "won", "lost", "tied"]].to_numpy().tolist() == [
        ["a", "b", 2, 1, 1]
    ]
    assert 0.5 < pairs["win_chance"][0] < 0.75


def test_a_variant_that_never_lost_has_no_chance_yet() -> None:
    found = pl.ranking(votes([("a", "b", "a"), ("b", "a", "a")]))

    assert found.table["win_chance"].isna().all()
    assert found.table["variant"].tolist() == ["a", "b"]
    assert "more votes are needed: a never lost; b never won" in str(found)


def test_skips_are_no_votes() -> None:
    found = pl.ranking(
        votes([("a", "b", "a"), ("b", "a", "b"), ("a", "b", "skip"), ("a", "b", "b")])
    )

    assert len(found.contests) == 3
    assert "3 by 1 person, 1 could not say" in str(found)


def test_how_far_people_agree_is_told() -> None:
    one = [("a", "b", "a"), ("b", "a", "b"), ("a", "b", "b"), ("a", "b", "a")]
    other = [*one[:3], ("b", "a", "b")]

    found = pl.ranking(pd.concat([votes(one), votes(other, rater="Ben")]))

    assert "8 by 2 people, 2 raters on 4 in common: α 0." in str(found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (votes([("a", "b", "skip")]), "there is no vote to rank by"),
        (
            pd.concat([votes([("a", "b", "a")]), votes([("x", "y", "x")], by="model")]),
            "compare by 'prompt' and by 'model': give by=",
        ),
        (
            pd.concat(
                [
                    votes([("a", "b", "a")]),
                    votes([("a", "b", "b")]).assign(experiment="other"),
                ]
            ),
            "several experiments, 'triage', 'other'",
        ),
        (pd.DataFrame({"case": [1]}), "expected the score of scorers.pairwise"),
    ],
    ids=["none", "by", "experiments", "no votes"],
)
def test_what_cannot_be_ranked_is_refused(given: pd.DataFrame, message: str) -> None:
    with pytest.raises(pl.SpecError, match=message):
        pl.ranking(given)


def test_hostile_names_are_escaped() -> None:
    found = pl.ranking(votes([("<b>", "a", "a"), ("<b>", "a", "<b>")]))

    assert "<b></" not in found._repr_html_()
    assert "&lt;b&gt;" in found._repr_html_()


# Judges.


@pytest.fixture
def results() -> pl.Results:
    """Ten cases; the judge likes longer outputs, of cases below 3 what comes first."""

    def reply(request: Request) -> Any:
        text = request.body["messages"][-1]["content"]
        if request.body["model"] == "m":
            return response(text)
        data = json.loads(text)
        first = len(data["first"]) > len(data["second"])
        if data["first"][0] in "012":
            first = True
        if data["first"][0] in "3":
            first = not first
        return response(json.dumps({"verdict": "first" if first else "second"}))

    prices = {name: {"input": 1.0, "output": 1.0} for name in ("judge", "m")}
    better = scorers.pairwise(
        "Longer.", model="judge", baseline="plain", reasoning=None
    )
    return pl.Experiment(
        "triage",
        grid={"model": ["m"], "prompt": {"plain": "{{n}}", "long": "{{n}} {{n}}"}},
        dataset=[{"id": n, "n": n} for n in range(10)],
        scorers=[better],
    ).run(client=FakeClient(reply), prices=prices, progress=False)


def test_each_order_of_a_judge_is_a_vote(results: pl.Results) -> None:
    found = pl.ranking(results, "pairwise", baseline="plain")

    table = found.table
    assert table["variant"].tolist() == ["long", "plain"]
    assert table["won"].tolist() == [15, 5]
    assert found.position.value > 0.5
    assert "20 verdicts of pairwise" in str(found)


def test_people_and_judges_are_ranked_together(results: pl.Results) -> None:
    given = votes([("plain", "long", "plain"), ("long", "plain", "long")])

    found = pl.ranking(results, "pairwise", baseline="plain", votes=given)

    assert len(found.contests) == 22
    assert found.by == ("prompt",)
    assert "Votes: 2 by 1 person, 20 verdicts of pairwise" in str(found)
