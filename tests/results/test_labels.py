"""Scores that are labels: their shares in a summary."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from promptlab.results.results import Results
from promptlab.scorers import scorer

from .making import FAILURE, experiment, results

HOSTILE = "</script>|`=cmd()\x1b[31m"


def labelled(labels: Sequence[str | None], **more: int) -> Results:
    """Two prompts on two cases with these labels; None is a failed trial."""
    grid = {"prompt": {"p": "{{t}}", "q": "? {{t}}"}}
    answers = [FAILURE if one is None else one for one in labels]
    return results(experiment(**grid, **more), answers).score(
        scorer(name="tone")(lambda output: output)
    )


def test_a_summary_has_the_share_of_each_label_with_its_interval() -> None:
    summary = labelled(["warm", "warm", "cold", "warm"]).summary()

    assert summary.loc["p", "tone=warm"] == 0.5
    assert summary.loc["p", "tone=cold"] == 0.5
    assert summary.loc["q", ["tone=warm", "tone=cold"]].tolist() == [1, 0]
    assert summary.loc["q", "tone=warm_low"] == pytest.approx(0.342, abs=1e-3)
    assert summary["tone_n"].tolist() == [2, 2]


def test_a_label_that_is_missing_is_counted() -> None:
    summary = labelled(["warm", None, "cold", "warm"])

    assert summary.summary()["tone_missing"].tolist() == [0, 1]
    assert summary.summary_in_words()["tone"].tolist()[1] == (
        "warm 100% [21, 100], 1 missing"
    )


def test_repeats_of_a_case_are_one_case() -> None:
    once = labelled(["warm", "cold", "warm", "cold"]).summary()
    thrice = labelled(
        ["warm"] * 3 + ["cold"] * 3 + ["warm"] * 3 + ["cold"] * 3, repeats=3
    )

    columns = ["tone=warm", "tone=warm_low", "tone=warm_high"]
    assert thrice.summary()[columns].equals(once[columns])


def test_many_labels_are_the_most_common_and_others() -> None:
    labels = [f"label {n % 10}" for n in range(40)]

    summary = labelled(labels, repeats=10)
    shares = [name for name in summary.summary() if name.startswith("tone=")]

    assert len(shares) == 3 * 7
    assert summary.summary()["tone=other labels"].tolist() == [0.4, 0.4]
    assert summary.summary_in_words()["tone"].str.endswith(", 4 more").all()


def test_a_hostile_label_stays_text_and_a_long_one_is_cut() -> None:
    scored = labelled([HOSTILE, "x" * 10_000, HOSTILE, "x" * 10_000])

    assert "</script>" not in scored._repr_html_()
    assert "&lt;/script&gt;" in scored._repr_html_()
    assert max(map(len, scored.summary())) < 80


def test_labels_and_numbers_stand_side_by_side() -> None:
    scored = labelled(["warm", "cold"] * 2).score(scorer(name="one")(lambda output: 1))

    words = scored.summary_in_words()

    assert list(words)[3:5] == ["tone", "one"]
    assert not [name for name in words if "=" in name]
