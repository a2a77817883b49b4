"""Pairs: what is compared with what, in which order, on which sides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from results.making import FAILURE, experiment, results

import promptlab as pl
from promptlab.notebook.rate.pairs import Pair, PairQueue, queue_of
from promptlab.notebook.trial_table import TrialTable

PROMPTS = {name: f"{name} {{{{t}}}}" for name in ("plain", "steps", "brief", "formal")}


def cases(number: int) -> list[dict[str, str]]:
    return [{"t": f"text {n}", "expected": f"good {n}"} for n in range(number)]


def made(prompts: int = 2, of_cases: int = 3, **more: Any) -> pl.Results:
    """Results of that many prompts, each with another answer to each case."""
    chosen = dict(list(PROMPTS.items())[:prompts])
    asked = experiment(cases(of_cases), prompt=chosen, **more)
    return results(asked, [f"answer {n}" for n in range(len(asked))])


def queue(given: Any, by: Any = None, seed: int = 1) -> PairQueue:
    return queue_of(TrialTable.of(given), by, seed)


def variants(pair: Pair) -> frozenset[str]:
    return frozenset((pair.left, pair.right))


def row(pair: Pair) -> tuple[Any, ...]:
    return (pair.case, pair.repeat, *pair.parameters.items())


def test_two_values_give_one_pair_for_each_case_repeat_and_other_value() -> None:
    given = made(temperature=[0, 0.7], repeats=2, of_cases=3)

    pairs = queue(given, "prompt").pairs

    assert len({row(pair) for pair in pairs}) == len(pairs) == 3 * 2 * 2
    assert {variants(pair) for pair in pairs} == {frozenset({"plain", "steps"})}
    assert {pair.parameters["temperature"] for pair in pairs} == {"0", "0.7"}


def test_three_values_give_every_pair_for_each_row() -> None:
    pairs = queue(made(prompts=3, of_cases=5)).pairs

    assert len(pairs) == 3 * 5
    assert len({(row(pair), variants(pair)) for pair in pairs}) == 15


def test_each_side_holds_the_output_of_its_variant() -> None:
    given = made(prompts=3)
    outputs = {
        (r["prompt"], r["case"]): r["output"]
        for r in given.table.to_dict(orient="records")
    }

    for pair in queue(given).pairs:
        assert pair.left_output == outputs[pair.left, pair.case]
        assert pair.right_output == outputs[pair.right, pair.case]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("prompts", [2, 3, 4])
def test_wherever_one_stops_the_comparison_is_balanced(prompts: int, seed: int) -> None:
    pairs = queue(made(prompts=prompts, of_cases=25), seed=seed).pairs
    kinds = {variants(pair) for pair in pairs}

    for stop in range(1, len(pairs) + 1):
        seen = Counter(variants(pair) for pair in pairs[:stop])
        assert max(seen.values()) - min(seen[kind] for kind in kinds) <= 1
        rows = Counter(row(pair) for pair in pairs[:stop])
        assert max(rows.values()) - min(rows.values()) <= (1 if stop > 25 else 0)


def test_each_of_two_variants_is_on_the_left_twice_in_four_pairs() -> None:
    pairs = queue(made(of_cases=40)).pairs

    lefts = [pair.left for pair in pairs]
    for start in range(0, 40, 4):
        assert Counter(lefts[start : start + 4]) == {"plain": 2, "steps": 2}


def test_the_seed_decides_order_and_sides() -> None:
    given = made(prompts=3, of_cases=10)

    assert queue(given, seed=1).pairs == queue(given, seed=1).pairs
    assert queue(given, seed=1).pairs != queue(given, seed=2).pairs


def test_what_a_pair_is_does_not_depend_on_seed_side_or_other_rows() -> None:
    whole = made(prompts=3, of_cases=10).table
    part = whole[whole["case"] != "3"].sample(frac=1, random_state=1)

    keys = {pair.key for pair in queue(whole, seed=1).pairs}

    assert {pair.key for pair in queue(whole, seed=2).pairs} == keys
    assert {pair.key for pair in queue(part).pairs} < keys


def test_a_new_output_makes_a_new_pair() -> None:
    asked = experiment(cases(2), prompt=dict(list(PROMPTS.items())[:2]))
    before = queue(results(asked, ["a", "b", "c", "d"]))
    after = queue(results(asked, ["a", "b", "c", "D"]))

    changed = {p.key for p in before.pairs} - {p.key for p in after.pairs}
    assert len(changed) == 1


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".jsonl", ".parquet"])
def test_pairs_are_the_same_in_a_table_read_back(tmp_path: Path, ending: str) -> None:
    given = made(temperature=[0, 0.7], system={"none": None, "agent": "Help."})

    read = pl.read_results(given.to(tmp_path / f"table{ending}"))

    keys = {pair.key for pair in queue(given, "prompt").pairs}
    assert {pair.key for pair in queue(read, "prompt").pairs} == keys


def test_failed_trials_are_left_out_and_counted_and_those_not_asked_are_not() -> None:
    asked = experiment(cases(4), prompt=dict(list(PROMPTS.items())[:2]))
    outcomes = ["a", "b", "c", FAILURE, FAILURE, FAILURE, "d", None]

    found = queue(results(asked, outcomes))

    assert [pair.case for pair in found.pairs] == ["1"]
    assert found.left_out == 2


def test_answers_that_differ_in_outer_spaces_alone_are_identical() -> None:
    asked = experiment(cases(2), prompt=dict(list(PROMPTS.items())[:2]))

    found = queue(results(asked, ["billing", " billing\n", "Billing", "billing"]))

    assert {p.case: p.identical for p in found.pairs} == {"1": True, "2": False}
    assert (found.to_rate, found.identical) == (1, 1)


def test_the_question_is_what_the_case_has() -> None:
    data = [{"t": "a", "more": {"k": [1, None]}, "expected": ["x", 2]}]
    prompt = {"plain": "{{t}}{{more}}", "steps": "Steps: {{t}}"}
    table = results(experiment(data, prompt=prompt), ["1", "2"]).table
    table.insert(table.columns.get_loc("expected"), "missing", None)

    found = queue(table)

    (pair,) = found.pairs
    assert found.question(pair) == [("t", "a"), ("more", '{"k":[1,null]}')]
    assert found.expected(pair) == '["x",2]'


def test_without_expected_there_is_none() -> None:
    found = queue(made().table.drop(columns="expected"))

    assert found.expected(found.pairs[0]) is None


def test_variants_may_be_values_of_several_parameters() -> None:
    given = made(temperature=[0, 0.7], of_cases=1)

    found = queue(given, ["prompt", "temperature"])

    assert found.variants == ("plain · 0", "plain · 0.7", "steps · 0", "steps · 0.7")
    assert len(found.pairs) == 6


def test_a_value_that_is_not_sent_is_a_variant() -> None:
    table = made().table.drop(columns=["prompt"])
    table.insert(1, "top_p", [0.5, None] * 3)

    assert queue(table, "top_p").variants == ("0.5", "not sent")


def test_a_table_without_rows_gives_no_pairs() -> None:
    found = queue(made().table.iloc[:0], "prompt")

    assert (found.pairs, found.left_out) == ((), 0)


def zipped() -> pd.DataFrame:
    asked = experiment(
        cases(2),
        prompt=dict(list(PROMPTS.items())[:2]),
        max_tokens=[16, 256],
    )
    table = results(asked, [f"{n}" for n in range(len(asked))]).table
    return table[(table["prompt"] == "plain") == (table["max_tokens"] == 16)]


@pytest.mark.parametrize(
    ("given", "by", "said"),
    [
        (made(), "model", "'model' has one value, 'm'; compare by 'prompt'"),
        (made(prompts=1), None, "'model' has one value, 'm'$"),
        (
            made(max_tokens=[*range(1, 8)]),
            "max_tokens",
            "'max_tokens' has 7 values; up to 6 are compared: give rate a part of",
        ),
        (made(), "case", "'case' is not a parameter; valid names: model, prompt"),
        (made(), "prompts", "no column 'prompts'; did you mean 'prompt'"),
        (
            results(experiment(cases(1), prompt={"tie": "{{t}}", "b": "B {{t}}"})),
            "prompt",
            "a value of 'prompt' is called 'tie', as is a choice",
        ),
        (
            pd.concat([made().table] * 2),
            "prompt",
            "two rows for case '1', repeat 0, 'plain'; give rate one experiment's",
        ),
        (
            zipped(),
            "prompt",
            r"all else in common; compare by \['prompt', 'max_tokens'\]",
        ),
    ],
    ids=[
        "one value",
        "nothing varies",
        "seven values",
        "no parameter",
        "misspelt",
        "named as a choice",
        "rows twice",
        "zipped",
    ],
)
def test_what_cannot_be_compared_is_refused(given: Any, by: Any, said: str) -> None:
    with pytest.raises(pl.SpecError, match=said):
        queue(given, by)
