"""Scores of results: in a run, in the table, again later, and what changed."""

from __future__ import annotations

import math
from typing import Any

import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.results.record import Score
from promptlab.testing import FakeClient, failure

CITIES = [
    {"id": "fr", "country": "France", "expected": "Paris"},
    {"id": "it", "country": "Italy", "expected": "Rome"},
]


def capitals(dataset: Any = CITIES, **more: Any) -> pl.Experiment:
    grid = {"model": ["m"], "prompt": {"plain": "Capital of {{country}}?"}}
    return pl.Experiment("capitals", **{"grid": grid, "dataset": dataset, **more})


def paris() -> FakeClient:
    return FakeClient("Paris")


def test_a_run_scores_its_answers() -> None:
    results = capitals(scorers=[scorers.exact(), scorers.length("characters")]).run(
        client=paris()
    )

    assert results.scores == ("exact", "length")
    assert results.table["exact"].tolist() == [1.0, 0.0]
    assert results.table["length"].tolist() == [5.0, 5.0]
    assert results[1].scores["exact"] == Score(0.0)


def test_scorers_are_given_as_a_config_writes_them() -> None:
    def short(output: str) -> bool:
        return len(output) < 9

    named = capitals(scorers=["exact", {"contains": "Pa"}, short, scorers.refusal])

    assert [s.name for s in named.scorers] == [
        "exact",
        "contains",
        "short",
        "is_refusal",
    ]


def test_scorers_of_a_run_take_the_place_of_the_experiments() -> None:
    experiment = capitals(scorers=["exact"])

    results = experiment.run(client=paris(), scorers=[scorers.contains("a")])

    assert results.scores == ("contains",)
    assert results.experiment.scorers[0].name == "contains"
    assert experiment.scorers[0].name == "exact"


def test_a_changed_scorer_pays_for_no_answer() -> None:
    client = paris()
    capitals(scorers=["exact"]).run(client=client)

    again = capitals(scorers=["exact", "levenshtein"]).run(client=client)

    assert again.totals.calls == 0
    assert again.scores == ("exact", "levenshtein")


def test_scoring_again_asks_nothing_and_says_what_changed() -> None:
    client = paris()
    results = capitals(scorers=["exact"]).run(client=client)
    calls = len(client.requests)

    again = results.score(scorers.exact("Paris"))

    assert len(client.requests) == calls
    assert again.headline.endswith("1 of 2 verdicts changed: 1 to right")
    assert again.changes.to_dict("records") == [
        {"trial": 1, "score": "exact", "before": 0.0, "after": 1.0}
    ]
    assert results.table["exact"].tolist() == [1.0, 0.0]


def test_scoring_again_with_nothing_given_takes_the_experiments_scorers() -> None:
    results = capitals(scorers=["exact"]).run(client=paris()).score()

    assert results.change_note == "0 of 2 verdicts changed"
    assert results.changes.empty


def test_scores_are_added_to_those_that_are_there() -> None:
    results = capitals(scorers=["exact"]).run(client=paris())

    more = results.score(scorers.contains("P"), "length")

    assert more.scores == ("exact", "contains", "length")
    assert more.change_note == ""


def test_a_score_without_a_verdict_changes_too() -> None:
    def size(output: str) -> int:
        return len(output)

    results = capitals(scorers=[size]).run(client=paris())
    other = scorers.scorer(name="size")(
        lambda output, case: len(output) + (case == "it")
    )

    assert results.score(other).change_note == "1 of 2 scores of 'size' changed"


def test_a_mapping_becomes_a_column_for_each_of_its_members() -> None:
    def grade(output: str, expected: str) -> dict[str, Any]:
        return {"right": output == expected, "tone": Score("warm", "kind words")}

    table = capitals(scorers=[grade]).run(client=paris()).table

    assert table["grade_right"].tolist() == [1.0, 0.0]
    assert table["grade_tone"].tolist() == ["warm", "warm"]
    assert table["grade_tone_explanation"].tolist() == ["kind words"] * 2


def test_a_scorer_that_raises_is_a_missing_score_and_the_run_returns() -> None:
    def fragile(expected: str) -> float:
        return {"Paris": 1.0}[expected]

    results = capitals(scorers=[fragile, "exact"]).run(client=paris())

    assert results.status == "complete"
    assert math.isnan(results.table["fragile"][1])
    assert results.table["fragile_explanation"].tolist()[1] == "KeyError: 'Rome'"
    summary = results.summary().iloc[0]
    assert (summary["fragile_n"], summary["fragile_missing"]) == (1, 1)


def test_a_failed_trial_has_no_score_and_counts_as_zero_unless_less_is_better() -> None:
    client = FakeClient(lambda r: failure(400) if "Italy" in str(r.body) else "Paris")

    results = capitals(scorers=["exact", "latency"]).run(client=client)

    assert results.table["exact"].isna().tolist() == [False, True]
    summary = results.summary().iloc[0]
    assert summary[["exact", "exact_n", "exact_missing"]].tolist() == [0.5, 2, 0]
    assert summary[["latency_n", "latency_missing"]].tolist() == [1, 1]


def test_every_argument_a_scorer_can_name_is_filled() -> None:
    seen: dict[str, Any] = {}

    def look(
        output: str, expected: str, inputs: Any, messages: Any, record: pl.Record,
        country: str, model: str, latency_s: float, tool_calls: Any, case: str,
    ) -> bool:  # fmt: skip
        seen.update(locals())
        return True

    capitals(CITIES[:1], scorers=[look]).run(client=paris())

    assert seen["inputs"] == {"country": "France"}
    assert [m["role"] for m in seen["messages"]] == ["user", "assistant"]
    assert (seen["record"].output, seen["country"], seen["model"]) == (
        "Paris",
        "France",
        "m",
    )
    assert (seen["latency_s"], seen["tool_calls"], seen["case"]) == (0.25, [], "fr")


@pytest.mark.parametrize(
    ("given", "dataset", "problem"),
    [
        (["exact"], [{"country": "x"}], "'exact' needs 'expected', which no case of"),
        (["exact", "equals"], CITIES, "two scorers are called 'exact'; name="),
        ([scorers.exact(name="country")], CITIES, "another column of this name"),
        ([scorers.exact(to="expcted")], CITIES, "did you mean 'expected'"),
        (["exat"], CITIES, "no scorer is called 'exat'; did you mean 'exact'"),
        ([3], CITIES, "expected a scorer or a function, got 3"),
    ],
    ids=["expected", "twice", "column", "misspelt", "unknown", "number"],
)
def test_a_wrong_scorer_is_refused_before_the_first_call(
    given: Any, dataset: Any, problem: str
) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        capitals(dataset, scorers=given)


def test_results_without_scorers_say_what_to_give() -> None:
    with pytest.raises(pl.SpecError, match=r"has no scorers; give some, such as"):
        capitals().run(client=paris()).score()


def test_a_summary_has_the_mean_with_an_interval_clustered_by_case() -> None:
    one = capitals(scorers=["exact"]).run(client=paris()).summary().iloc[0]
    many = capitals(scorers=["exact"], repeats=5).run(client=paris()).summary().iloc[0]

    names = ["exact", "exact_low", "exact_high"]
    assert one["exact"] == 0.5
    assert one[names].tolist() == pytest.approx([0.5, 0.0945, 0.9055], abs=1e-4)
    assert many[names].tolist() == pytest.approx(one[names].tolist())
    assert many["exact_n"] == 10


def test_an_interval_has_a_width_where_all_cases_are_right_as_often() -> None:
    client = FakeClient(lambda r: "Paris" if r.repeat else "Rome")
    dataset = [{"country": name, "expected": "Paris"} for name in ("a", "b")]

    results = capitals(dataset, scorers=["exact"], repeats=2).run(client=client)

    (summary,) = results.summary().to_dict("records")
    assert summary["exact"] == 0.5
    assert summary["exact_low"] < 0.2 < 0.8 < summary["exact_high"]


def test_an_interval_of_graded_scores_stays_between_0_and_1() -> None:
    summary = capitals(scorers=["levenshtein"]).run(client=paris()).summary().iloc[0]

    assert 0 <= summary["levenshtein_low"] < summary["levenshtein_high"] <= 1


def test_a_run_is_opened_again_with_the_scores_it_had() -> None:
    def own(output: str) -> bool:
        return True

    done = capitals(scorers=["exact", scorers.latency(threshold=2), own]).run(
        client=paris()
    )

    found = pl.find_run(done.run).load_results()

    assert found.scores == done.scores
    assert found.table["exact"].tolist() == [1.0, 0.0]
    assert found.score_columns["exact"].threshold == 1.0
    assert found.score_columns["latency"].lower_is_better is True
    assert [s.name for s in found.experiment.scorers] == ["exact", "latency"]
    assert (
        found.score(scorers.exact("Rome")).change_note
        == "1 of 2 verdicts changed: 1 to wrong"
    )


def test_checks_of_a_case_are_scored_and_seen_by_no_prompt() -> None:
    dataset = [
        {"country": "France", "checks": [{"contains": "Par"}, {"not-contains": "?"}]},
        {"country": "Italy", "checks": ["refusal", {"icontains": "PARIS"}]},
        {"country": "Spain"},
    ]

    results = capitals(dataset).run(client=paris())

    assert results.experiment.dataset.fields == ("country",)
    assert results.scores == ("passed",)
    assert results.table["passed"].tolist()[:2] == [1.0, 0.0]
    assert results.table["passed_explanation"].tolist()[1] == "1 of 2; failed: refusal"
    assert results.table["passed"].isna().tolist() == [False, False, True]


def test_scores_are_in_exports(tmp_path: Any) -> None:
    results = capitals(scorers=["exact", "contains_all"]).run(client=paris())

    found = pl.read_results(results.to(tmp_path / "a.parquet"))

    assert found["exact"].tolist() == [1.0, 0.0]
    assert found["contains_all_explanation"].tolist()[1] == "missing: 'Rome'"
