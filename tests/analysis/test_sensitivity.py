"""Sensitivity: how much a score depends on the wording of its prompt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text
from tests.analysis.tables import scored

STEADY = dict.fromkeys(["as written", "dash", "upper case", "bars", "new line"], 0.6)
TOUCHY = {
    "as written": 0.9,
    "dash": 0.6,
    "upper case": 0.75,
    "bars": 0.4,
    "equals": 0.9,
}
CHANCES = {"plain": STEADY, "steps": TOUCHY, "short": {"as written": 0.7}}


def table(
    chances: Mapping[str, Mapping[str, float]] = CHANCES,
    cases: int = 120,
    seed: int = 0,
) -> pd.DataFrame:
    dice = np.random.default_rng(seed)
    hard = dice.normal(0, 0.2, cases)
    trials = scored(
        {
            (prompt, wording): (dice.random(cases) < chance + hard)
            .astype(float)
            .tolist()
            for prompt, wordings in chances.items()
            for wording, chance in wordings.items()
        },
        names=("prompt", "wording"),
    )
    trials.attrs["promptlab"]["roles"]["wording"] = "wording"
    return trials


def by_prompt(found, column: str) -> dict:
    return dict(zip(found.table["prompt"], found.table[column], strict=True))


def test_a_touchy_prompt_is_told_from_a_steady_one() -> None:
    found = pl.sensitivity(table())

    assert by_prompt(found, "verdict") == {
        "plain": "cannot tell",
        "short": "one wording",
        "steps": "matters",
    }
    assert by_prompt(found, "worst")["steps"] == "bars"
    assert by_prompt(found, "wordings") == {"plain": 5, "short": 1, "steps": 5}
    assert by_prompt(found, "sd_low")["plain"] == 0


def test_the_spread_is_from_the_worst_to_the_best() -> None:
    found = pl.sensitivity(table())

    row = found.table.set_index("prompt").loc["steps"]
    means = table().query("prompt == 'steps'").groupby("wording")["exact"].mean()
    assert row["spread"] == pytest.approx(means.max() - means.min())
    assert row["worst_score"] == pytest.approx(means["bars"])
    assert row["best_score"] == pytest.approx(means.max())
    assert row["score"] == pytest.approx(means.mean())


def test_where_lower_is_better_the_worst_is_the_highest() -> None:
    found = pl.sensitivity(table(), lower_is_better=True)

    assert by_prompt(found, "best")["steps"] == "bars"
    assert found.wordings.query("prompt == 'steps'")["wording"].iloc[0] == "bars"


def test_each_wording_has_a_row_the_best_first() -> None:
    found = pl.sensitivity(table())

    assert len(found.wordings) == 11
    for _, rows in found.wordings.groupby("prompt"):
        assert rows["score"].is_monotonic_decreasing


def test_the_card_and_the_text_say_it_in_words() -> None:
    found = pl.sensitivity(table())

    for shown in (str(found), found._repr_html_()):
        assert "matters" in shown
        assert "cannot tell" in shown
        assert "one wording" in shown
        assert "from one prompt to another" in shown


def test_the_order_of_the_rows_changes_no_byte() -> None:
    shuffled = table().sample(frac=1, random_state=1)

    one, other = pl.sensitivity(table()), pl.sensitivity(shuffled)

    assert one.table.to_csv() == other.table.to_csv()
    assert one.wordings.to_csv() == other.wordings.to_csv()


def test_any_column_may_say_the_wording() -> None:
    trials = scored(
        {("a", n): [1, 0, n % 2, 1] for n in range(4)} | {("b", 0): [1, 0, 1, 1]},
        names=("model", "prompt"),
    )

    found = pl.sensitivity(trials, by="model", wording="prompt")

    assert found.table["model"].tolist() == ["a", "b"]
    assert found.table["wordings"].tolist() == [4, 1]


def test_the_headline_averages_over_wordings() -> None:
    board = pl.leaderboard(table())

    assert list(board.table["prompt"]) != []
    assert "wording" not in board.table
    assert len(board.table) == 3
    assert by_prompt(board, "score")["steps"] == pytest.approx(
        by_prompt(pl.sensitivity(table()), "score")["steps"]
    )
    assert "Averaged over the wordings of each prompt, up to 6" in str(board)
    assert pl.effects(table()).table["term"].unique().tolist() == ["prompt"]
    assert len(pl.leaderboard(table(), by=["prompt", "wording"]).table) == 11


def test_repeats_are_of_one_wording() -> None:
    trials = pd.concat([table(), table().assign(repeat=1)], ignore_index=True)
    trials.attrs = table().attrs

    found = pl.stability(trials)

    assert len(found.table) == 11
    assert (found.table["sometimes"] < 1e-9).all()


def test_failures_and_missing_scores_leave_no_trace_of_chance() -> None:
    trials = table(cases=20)
    trials.loc[0, "error"] = "500: no"
    trials.loc[1, "exact"] = np.nan

    found = pl.sensitivity(trials)

    assert by_prompt(found, "n")["plain"] == 19
    assert "1 of 220 trials failed and score 0" in str(found)


@pytest.mark.parametrize(
    ("trials", "options", "message"),
    [
        (scored({"plain": [1, 0]}), {}, "the table has no column of wordings"),
        (table({"a": {"x": 0.5}}, 4), {}, "there is one of each prompt"),
        (table(cases=4), {"wording": "wordin"}, "no column 'wordin'"),
        (scored({"plain": [1, 0]}), {"wording": "prompt"}, "no parameter beside"),
    ],
    ids=["no column", "one wording", "misspelt", "nothing else"],
)
def test_without_wordings_it_says_what_would_do(trials, options, message) -> None:
    with pytest.raises(pl.SpecError, match=message):
        pl.sensitivity(trials, **options)


def test_one_case_and_hostile_names_are_shown() -> None:
    name = "</script><script>=cmd()|`\x1b[31m"

    found = pl.sensitivity(table({name: {name: 0.5, "b": 0.5}}, 1))

    assert "–" in str(found)
    assert "\x1b" not in str(found)
    assert "<script>" not in found._repr_html_()


def test_a_run_of_wordings_is_told_as_such(tmp_path) -> None:
    prompts = {
        "shots": pl.Wordings("Number: {{n}}\nDouble:", formats=4),
        "plain": "Double {{n}}",
    }
    experiment = pl.Experiment(
        "double",
        grid={"model": ["m"], "prompt": prompts},
        dataset=[{"n": str(n), "expected": str(2 * n)} for n in range(40)],
        scorers=[scorers.exact()],
    )

    def answer(request) -> str:
        text = last_text(request)
        number = int("".join(sign for sign in text if sign.isdigit()))
        return "?" if text.isupper() and number % 2 else str(2 * number)

    results = experiment.run(client=FakeClient(answer), progress=False)
    results.to(tmp_path / "run.csv")

    for kept in (results, results.table, pl.read_results(tmp_path / "run.csv")):
        found = pl.sensitivity(kept, "exact")
        assert by_prompt(found, "verdict") == {
            "plain": "one wording",
            "shots": "matters",
        }
        assert "upper case" in by_prompt(found, "worst")["shots"]
        assert len(pl.leaderboard(kept, "exact").table) == 2


def test_without_any_score_no_wording_is_the_worst() -> None:
    found = pl.sensitivity(table(cases=3).assign(exact=np.nan))

    assert found.table["worst"].isna().all()
    assert "not sent" not in str(found)


def test_intervals_of_few_cases_are_those_of_the_leaderboard() -> None:
    few = table({"plain": dict.fromkeys(STEADY, 1.0)}, cases=3).assign(exact=1.0)

    found = pl.sensitivity(few)
    board = pl.leaderboard(few, by="wording").table

    assert found.table["ci_low"].tolist() == board["ci_low"].tolist()[:1]
    assert found.wordings["ci_low"].tolist() == board["ci_low"].tolist()
