"""Two variants on the same cases."""

from __future__ import annotations

import numpy as np
import pytest

import promptlab as pl
from promptlab.stats.paired import mcnemar
from tests.analysis.tables import drawn, scored

PLAIN = [1.0] * 20 + [0.0] * 20
STEPS = [1.0] * 17 + [0.0] * 3 + [1.0] * 12 + [0.0] * 8
NAMES = ("prompt", "model")


def test_a_pair_of_0_and_1_has_a_table_of_counts_and_mcnemars_p() -> None:
    pair = pl.compare_pair(scored({"plain": PLAIN, "steps": STEPS}), "plain", "steps")

    assert pair.counts is not None
    assert pair.counts.to_numpy().tolist() == [[17, 3], [12, 8]]
    assert pair.counts.index.name == "plain"
    assert pair.test == "mcnemar"
    assert pair.p == mcnemar(12, 3)
    assert pair.delta == pytest.approx(9 / 40)
    assert pair.verdict == "better"
    assert pair.interval[0] < pair.delta < pair.interval[1]


def test_the_cases_that_flipped_are_told_those_lost_first() -> None:
    pair = pl.compare_pair(scored({"plain": PLAIN, "steps": STEPS}), "plain", "steps")

    assert pair.table["case"].tolist()[:3] == ["case 17", "case 18", "case 19"]
    assert pair.table["difference"].tolist() == [-1] * 3 + [1] * 12
    text = str(pair)
    assert "steps vs plain · better" in text
    assert "12 won, 3 lost, 25 tied" in text
    assert "by McNemar's exact test" in text
    assert "and 5 more cases that differ in .table" in text
    assert "case 17" in pair._repr_html_()


def test_the_other_way_round_is_worse() -> None:
    pair = pl.compare_pair(scored({"plain": PLAIN, "steps": STEPS}), "steps", "plain")

    assert pair.verdict == "worse"
    assert pair.delta == pytest.approx(-9 / 40)


def test_graded_scores_are_tested_by_t_few_by_their_signs() -> None:
    dice = np.random.default_rng(0)
    many = {name: dice.random(40).tolist() for name in ("plain", "steps")}
    few = {name: of[:12] for name, of in many.items()}

    pairs = [pl.compare_pair(scored(of), "plain", "steps") for of in (many, few)]

    assert [pair.test for pair in pairs] == ["t", "sign_flip"]
    assert pairs[0].counts is None


def test_what_is_not_named_is_averaged_and_what_is_named_is_not() -> None:
    chances = {(p, m): 0.5 for p in ("plain", "steps") for m in ("a", "b")}
    table = drawn(chances, names=NAMES)
    means = table.groupby(["prompt", "model"])["exact"].mean()

    pooled = pl.compare_pair(table, "plain", "steps")
    single = pl.compare_pair(table, ("plain", "a"), ("steps", "b"))

    assert pooled.delta == pytest.approx(means["steps"].mean() - means["plain"].mean())
    assert single.delta == pytest.approx(means["steps", "b"] - means["plain", "a"])


def test_a_difference_that_would_not_matter_is_as_good() -> None:
    dice = np.random.default_rng(1)
    base = dice.random(100)
    table = scored(
        {"plain": base.tolist(), "steps": (base + dice.normal(0, 0.01, 100)).tolist()}
    )

    assert pl.compare_pair(table, "plain", "steps").verdict == "cannot tell"
    pair = pl.compare_pair(table, "plain", "steps", equivalence=0.05)
    assert pair.verdict == "as good"


def test_a_variant_that_is_not_there_is_refused() -> None:
    table = scored({"plain": PLAIN, "steps": STEPS})

    with pytest.raises(pl.SpecError, match="no prompt is 'step'; did you mean 'steps'"):
        pl.compare_pair(table, "plain", "step")
    with pytest.raises(pl.SpecError, match="expected equivalence > 0"):
        pl.compare_pair(table, "plain", "steps", equivalence=-1)
    chances = {("plain", "a"): 0.5, ("steps", "b"): 0.5}
    with pytest.raises(pl.SpecError, match="is 0 variants of prompt, model: give"):
        pl.compare_pair(drawn(chances, 5, names=NAMES), ("plain", "b"), "a")


def test_without_a_case_that_has_both_scores_nothing_is_compared() -> None:
    pair = pl.compare_pair(
        scored({"plain": [1, np.nan], "steps": [np.nan, 0]}), "plain", "steps"
    )

    assert np.isnan(pair.p)
    assert pair.sentence == "cannot tell: no case has a score of both"
