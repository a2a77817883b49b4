"""What each value of each parameter changes."""

from __future__ import annotations

import numpy as np
import pytest

import promptlab as pl
from promptlab.stats.means import mean
from tests.analysis.tables import drawn, scored

NAMES = ("prompt", "model")
GRID = {
    ("plain", "a"): 0.4,
    ("plain", "b"): 0.5,
    ("steps", "a"): 0.7,
    ("steps", "b"): 0.6,
}


def test_main_effects_and_interactions_are_those_of_the_cases() -> None:
    table = drawn(GRID, 120, names=NAMES)
    scores = table.pivot_table("exact", ["prompt", "model"], "case").to_numpy()
    plain_a, plain_b, steps_a, steps_b = scores
    prompt = mean((steps_a + steps_b - plain_a - plain_b) / 2)
    both = mean(steps_b - steps_a - plain_b + plain_a)

    found = pl.effects(table, "exact").table

    assert found["term"].tolist() == ["prompt", "model", "prompt × model"]
    assert found["level"].tolist() == ["steps", "b", "steps, b"]
    assert found["reference"].tolist() == ["plain", "a", "plain, a"]
    for row, expected in ((0, prompt), (2, both)):
        assert found["effect"][row] == pytest.approx(expected.value)
        assert (found["ci_low"][row], found["ci_high"][row]) == pytest.approx(
            expected.interval()[1:]
        )
    assert (found["n"] == 120).all()


def test_verdicts_say_better_worse_depends_or_cannot_tell() -> None:
    found = pl.effects(drawn(GRID, 300, names=NAMES), baseline={"model": "b"})

    assert found.table.set_index("term")["verdict"].to_dict() == {
        "prompt": "better",
        "model": "cannot tell",
        "prompt × model": "depends",
    }
    assert "steps vs plain" in str(found)
    assert "steps, a vs plain, b" in str(found)
    assert "p is corrected for 3 effects" in found._repr_html_()


def test_levels_have_the_mean_score_of_their_variants() -> None:
    table = drawn(GRID, names=NAMES)

    levels = pl.effects(table).levels

    assert levels["parameter"].tolist() == ["prompt", "prompt", "model", "model"]
    means = table.groupby("prompt")["exact"].mean()
    assert levels["score"][:2].tolist() == pytest.approx(means.tolist())


def test_interactions_can_be_left_out() -> None:
    found = pl.effects(drawn(GRID, names=NAMES), interactions=False)

    assert found.table["term"].tolist() == ["prompt", "model"]


def test_a_grid_with_holes_compares_what_can_be_paired() -> None:
    holed = {variant: of for variant, of in GRID.items() if variant != ("steps", "b")}
    table = drawn(holed, names=NAMES)

    found = pl.effects(table)

    scores = table.pivot_table("exact", "case", ["prompt", "model"])
    expected = (scores["steps"]["a"] - scores["plain"]["a"]).mean()
    assert found.table["effect"][0] == pytest.approx(expected)
    assert np.isnan(found.table["effect"][2])
    assert found.table["verdict"][2] == "cannot tell"
    assert "3 of 4 combinations were asked" in str(found)


def test_repeats_again_and_rows_in_another_order_change_nothing() -> None:
    table = drawn(GRID, repeats=2, names=NAMES)
    shuffled = table.sample(frac=1, random_state=1)

    one, other = pl.effects(table), pl.effects(shuffled)

    assert one.table.to_csv() == other.table.to_csv()


def test_numbers_are_compared_with_the_lowest() -> None:
    table = scored({0.7: [1.0, 0, 1], 0.0: [0.0, 0, 1], 1.0: [1.0] * 3})
    table = table.rename(columns={"prompt": "temperature"})

    found = pl.effects(table, "exact").table

    assert found["level"].tolist() == ["0.7", "1"]
    assert found["reference"].tolist() == ["0", "0"]


def test_an_unknown_correction_or_baseline_is_refused() -> None:
    table = drawn(GRID, 10, names=NAMES)

    with pytest.raises(pl.SpecError, match="unknown correction 'bh'"):
        pl.effects(table, correct="bh")
    with pytest.raises(pl.SpecError, match="no prompt is 'warm'; valid values: plain"):
        pl.effects(table, baseline="warm")


def test_of_one_variant_it_says_that_nothing_varies() -> None:
    found = pl.effects(scored({"plain": [1, 0, 1]}))

    assert found.table.empty
    assert "Nothing to compare: every trial has the same prompt" in str(found)


def test_a_difference_of_shares_ends_at_100_points() -> None:
    few = scored({"plain": [[0, 1], 1], "steps": [1, 0]})
    crossed = {("a", "plain"): [0, 1], ("a", "steps"): [1, 0]}
    crossed |= {("b", prompt): scores[::-1] for (_, prompt), scores in crossed.items()}

    found = pl.effects(few).table
    both = pl.effects(scored(crossed, names=("model", "prompt"))).table
    pair = pl.compare_pair(few, "plain", "steps")

    assert found[["ci_low", "ci_high"]].to_numpy().tolist() == [[-1, 1]]
    assert both["ci_low"].min() == -2
    assert pair.interval == (-1, 1)
    board = pl.leaderboard(few, baseline="plain").table
    assert board["delta_low"].min() == -1
