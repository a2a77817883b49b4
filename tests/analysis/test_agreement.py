"""Scores beside what people say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab.notebook.rate.pairs import queue_of
from promptlab.notebook.rate.votes import Vote, VoteStore
from promptlab.notebook.trial_table import TrialTable
from promptlab.results.schema import ATTRIBUTE
from tests.analysis.tables import scored

PEOPLE = [1] * 25 + [0] * 15
JUDGE = [1] * 20 + [0] * 5 + [0] * 9 + [1] * 6
"""Of 40 outputs, both call 20 right and 9 wrong: they agree on 29."""


def judged(**scores: Any) -> pd.DataFrame:
    """40 outputs of one variant, with these columns."""
    table = scored({"plain": [0.0] * 40}).drop(columns="exact")
    table["output"] = [f"answer {n}" for n in range(40)]
    table.attrs[ATTRIBUTE]["roles"].pop("exact")
    return table.assign(**scores)


def test_agreement_kappa_and_the_confusion_are_those_of_the_table_of_both() -> None:
    found = pl.agreement(judged(polite=JUDGE, said=PEOPLE), "polite", human="said")

    assert found.n == 40
    assert found.agreement.value == 29 / 40
    assert found.kappa.value == pytest.approx(1 - (11 / 40) / 0.4625)
    assert found.kappa.low < found.kappa.value < found.kappa.high
    assert found.base_rate == 25 / 40
    assert found.confusion is not None
    assert found.confusion.to_numpy().tolist() == [[20, 5], [6, 9]]
    assert found.confusion.columns.name == "polite"


def test_it_reads_as_text_and_as_a_card() -> None:
    found = pl.agreement(judged(polite=JUDGE, said=PEOPLE), "polite", human="said")

    text = str(found)

    assert (
        "polite and people agree on 72% [57, 84] of 40 rated; κ 0.41 [0.10, 0.71]"
        in text
    )
    assert "Base rate: people call 62% right, polite 65%" in text
    assert "11 differ" in text
    assert "<b>Agreement</b>" in found._repr_html_()


def test_the_rows_that_differ_are_listed_and_can_be_compared() -> None:
    found = pl.agreement(
        judged(polite=JUDGE, polite_explanation=["why"] * 40, said=PEOPLE),
        "polite",
        human="said",
    )

    assert list(found.table) == [
        *("case", "human", "polite", "polite_explanation", "output")
    ]
    assert found.table["human"].tolist() == ["right"] * 5 + ["wrong"] * 6
    assert found.table["polite"].tolist() == ["wrong"] * 5 + ["right"] * 6
    assert len(found.rows) == 11
    assert len(pl.compare(found.rows, by="prompt").table) == 11


def test_what_is_not_rated_or_has_no_score_is_left_out_and_told() -> None:
    said = [*PEOPLE[:30], *[None] * 10]
    polite = [None, *JUDGE[1:]]

    found = pl.agreement(judged(polite=polite, said=said), "polite", human="said")

    assert (found.n, found.missing) == (29, 1)
    assert "Left out: 1 rated without a score, 10 outputs nobody rated" in str(found)


def test_labels_are_compared_as_such() -> None:
    polite = ["warm", "cold", "warm", "neutral"] * 10
    said = ["warm", "cold", "cold", "neutral"] * 10

    found = pl.agreement(judged(tone=polite, said=said), "tone", human="said")

    assert found.labels == ["cold", "neutral", "warm"]
    assert found.agreement.value == 0.75
    assert np.isnan(found.base_rate)


def test_graded_scores_have_a_kappa_weighted_by_the_squared_difference() -> None:
    said = [1, 2, 3, 4, 5] * 8
    polite = [2, 2, 3, 5, 5] * 8

    found = pl.agreement(judged(polite=polite, said=said), "polite", human="said")

    assert found.graded
    assert found.agreement.value == 0.6
    assert found.kappa.value == pytest.approx(1 - 0.4 / (2.0 + 1.84 + 0.16))
    assert "polite is 0.4 above people on average" in str(found)


def test_a_threshold_makes_a_scale_right_or_wrong() -> None:
    table = judged(polite=[1, 2, 3, 4, 5] * 8, said=[0, 0, 1, 1, 1] * 8)

    with pytest.raises(pl.SpecError, match=r"graded .* threshold= says"):
        pl.agreement(table, "polite", human="said")
    found = pl.agreement(table, "polite", human="said", threshold=4)

    assert found.agreement.value == 0.8


def test_people_may_write_words_for_right_and_wrong() -> None:
    said = ["Pass" if one else "fail" for one in PEOPLE]

    found = pl.agreement(judged(polite=JUDGE, said=said), "polite", human="said")

    assert found.agreement.value == 29 / 40


def test_words_that_are_never_the_same_are_refused() -> None:
    table = judged(tone=["warm", "cold"] * 20, said=["Warm", "Cold"] * 20)

    with pytest.raises(pl.SpecError, match="no word in common: people say"):
        pl.agreement(table, "tone", human="said")


def test_rows_of_one_case_count_as_alike() -> None:
    table = judged(polite=JUDGE, said=PEOPLE)
    thrice = pd.concat([table.assign(repeat=n) for n in range(3)], ignore_index=True)

    once = pl.agreement(table, "polite", human="said")
    again = pl.agreement(thrice, "polite", human="said")

    assert again.n == 120
    assert again.kappa == pytest.approx(once.kappa)


def test_the_order_of_rows_changes_nothing() -> None:
    table = judged(polite=JUDGE, said=PEOPLE)

    found = pl.agreement(table.sample(frac=1, random_state=1), "polite", human="said")

    assert found.kappa == pytest.approx(
        pl.agreement(table, "polite", human="said").kappa
    )


# What people say, in other shapes.


def test_ratings_may_be_a_series_or_a_table_with_keys() -> None:
    table = judged(polite=JUDGE)
    ratings = pd.DataFrame({"case": table["case"], "human": PEOPLE})

    found = [
        pl.agreement(table, "polite", human=pd.Series(PEOPLE)),
        pl.agreement(table, "polite", human=ratings.set_index("case")["human"]),
        pl.agreement(table, "polite", human=ratings.sample(frac=1, random_state=1)),
        pl.agreement(table, "polite", human=ratings.rename(columns={"human": "okay"})),
    ]

    assert [one.kappa for one in found] == [found[0].kappa] * 4


def test_ratings_of_a_case_are_refused_where_it_has_several_outputs() -> None:
    table = scored({"plain": [1.0] * 4, "steps": [0.0] * 4})
    table["output"] = table["prompt"]
    ratings = pd.DataFrame({"case": table["case"].unique(), "human": 1})

    with pytest.raises(pl.SpecError, match="several outputs: add 'prompt'"):
        pl.agreement(table, "exact", human=ratings)


def test_several_raters_are_combined_and_compared_with_each_other() -> None:
    table = judged(polite=JUDGE)
    ratings = pd.DataFrame(
        {
            "case": [*table["case"], *table["case"]],
            "rater": ["Ana"] * 40 + ["Ben"] * 40,
            "human": [*PEOPLE, 1 - PEOPLE[0], *PEOPLE[1:]],
        }
    )

    found = pl.agreement(table, "polite", human=ratings)

    assert found.n == 39
    assert "raters are split on 1" in str(found)
    assert "2 raters on 40 in common: α 0.95" in str(found)


@pytest.mark.parametrize(
    ("human", "message"),
    [
        ("sad", "no column 'sad'; did you mean 'said'"),
        (7, "expected the name of a column, a Series, a DataFrame or pl.votes"),
        (pd.Series([1, 0]), "a Series of 2 ratings does not fit 40 rows"),
        (pd.DataFrame({"a": [1], "b": [2]}), "which column has the ratings"),
        (pd.DataFrame({"human": [1]}), "nothing says what is rated"),
        (pd.DataFrame(), "the ratings have no rows"),
    ],
    ids=["column", "type", "series", "columns", "keys", "empty"],
)
def test_ratings_that_do_not_fit_are_refused(human: Any, message: str) -> None:
    with pytest.raises(pl.SpecError, match=message):
        pl.agreement(judged(polite=JUDGE, said=PEOPLE), "polite", human=human)


def test_a_misspelt_score_is_refused() -> None:
    with pytest.raises(pl.SpecError, match="no column 'polit'; did you mean 'polite'"):
        pl.agreement(judged(polite=JUDGE, said=PEOPLE), "polit", human="said")


def test_nothing_rated_is_told() -> None:
    table = judged(polite=JUDGE, said=[None] * 40)

    found = pl.agreement(table, "polite", human="said")

    assert "nothing that is rated has a score" in str(found)
    assert np.isnan(found.kappa.value)


def test_all_alike_has_no_kappa_and_says_why() -> None:
    found = pl.agreement(judged(polite=[1] * 40, said=[1] * 40), "polite", human="said")

    assert "κ unknown" in found.title
    assert "Nearly all were called the same" in str(found)


def test_hostile_texts_are_escaped() -> None:
    said = ["<script>alert(1)</script>", "no"] * 20

    found = pl.agreement(judged(tone=said, said=said), "tone", human="said")

    assert "<script>" not in found._repr_html_()


# Votes.


def two_variants() -> pd.DataFrame:
    table = scored({"plain": [0.0] * 8, "steps": [1.0] * 6 + [0.0] * 2})
    table["output"] = table["prompt"] + " " + table["case"]
    return table


def cast(table: pd.DataFrame, better: str, rater: str = "") -> None:
    """A vote on each pair of the table."""
    for pair in queue_of(TrialTable.of(table), "prompt", seed=1).pairs:
        choice: Any = {pair.left: "left", pair.right: "right"}.get(better, better)
        VoteStore("an experiment").cast(
            Vote(
                experiment="an experiment",
                pair=pair.key,
                by="prompt",
                parameters=pair.parameters,
                case=pair.case,
                repeat=pair.repeat,
                left=pair.left,
                right=pair.right,
                choice=choice,
                rater=rater,
                seed=1,
                when_s=1_790_000_000.0,
            )
        )


def test_votes_are_compared_with_which_output_scores_higher() -> None:
    table = two_variants()
    cast(table, "steps")

    found = pl.agreement(table, "exact", human=pl.votes())

    assert found.n == 8
    assert found.agreement.value == 6 / 8
    assert found.table["human"].tolist() == ["steps"] * 2
    assert found.table["exact"].tolist() == ["tie"] * 2
    assert found.table[["one", "other"]].iloc[0].tolist() == ["plain", "steps"]
    assert len(found.rows) == 4
    assert "of 8 pairs voted on" in found.title


def test_votes_on_other_outputs_and_skips_are_left_out() -> None:
    table = two_variants()
    cast(table, "steps")
    cast(table, "skip", rater="Ana")
    table.loc[0, "output"] = "another answer"

    found = pl.agreement(table, "exact", human=pl.votes())

    assert found.n == 7
    assert "8 votes could not say, 1 of outputs that are not here" in str(found)


# Several judges.


def test_several_scores_are_a_table_with_a_row_for_each() -> None:
    table = judged(polite=JUDGE, strict=PEOPLE, said=PEOPLE)

    found = pl.agreement(table, ["polite", "strict"], human="said")

    assert found.table["score"].tolist() == ["polite", "strict"]
    assert found.table["kappa"].tolist() == pytest.approx([0.405405, 1.0], abs=1e-6)
    assert found["polite"].agreement.value == 29 / 40
    assert "72% [57, 84]" in str(found)
    with pytest.raises(pl.SpecError, match="no score 'polit'; did you mean"):
        found["polit"]


def test_where_lower_is_better_the_lower_score_is_the_better_output() -> None:
    table = two_variants()
    table["latency_s"] = 1.0 - table["exact"]
    cast(table, "steps")

    found = pl.agreement(table, "latency_s", human=pl.votes())
    one_by_one = pl.agreement(
        table, "latency_s", human=pd.Series([0.0] * 8 + [1.0] * 8), threshold=0
    )

    assert found.agreement.value == 6 / 8
    assert one_by_one.agreement.value == 14 / 16


def test_votes_may_have_been_in_a_csv_file(tmp_path: Path) -> None:
    table = two_variants().assign(temperature=0.7)
    table.attrs[ATTRIBUTE]["roles"]["temperature"] = "parameter"
    cast(table, "steps")
    pl.votes().to_csv(tmp_path / "votes.csv", index=False)

    votes = pd.read_csv(tmp_path / "votes.csv")
    found = pl.agreement(table, "exact", human=votes)

    assert found.n == 8
    assert pl.ranking(votes).table["won"].sum() == 8


def test_one_that_differs_is_one() -> None:
    rows = scored({"plain": [1, 0, 1]}).assign(said=[1, 0, 0])

    found = pl.agreement(rows, "exact", human="said")

    assert "1 differs: .table lists it, pl.compare shows .rows" in str(found)
