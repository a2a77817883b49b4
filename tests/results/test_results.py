"""Results: totals, failures, summaries, records, and how they are shown."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from seen import Seen

import promptlab as pl

from .making import FAILURE, experiment, results

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</pre><script>alert(1)</script>",
    "'\" onmouseover='alert(1)",
    "&lt;b&gt;",
    "<style>@import 'http://evil.example'</style>",
    "]]><!--",
]


def test_totals_count_every_trial() -> None:
    totals = results(
        experiment(repeats=3),
        ["a", "b", FAILURE, "c", None, None],
        cached=[0],
        calls=2,
        elapsed_s=1.5,
    ).totals

    assert (totals.trials, totals.answered, totals.failed) == (6, 3, 1)
    assert (totals.cached, totals.missing, totals.truncated) == (1, 2, 0)
    assert (totals.calls, totals.elapsed_s) == (2, 1.5)


def test_answers_that_max_tokens_cut_are_counted() -> None:
    assert results(experiment(), finish_reason="length").totals.truncated == 2


def test_the_table_is_yours_to_change() -> None:
    made = results(experiment())

    table = made.table
    table.loc[0, "output"] = "changed"
    table["t"] = "changed"

    assert made.table["output"].tolist() == ["yes", "yes"]
    assert made.table["t"].tolist() == ["a", "b"]


def test_records_are_the_rows() -> None:
    made = results(experiment(), ["a", FAILURE], cached=[0])

    answered, failed = made

    assert answered == pl.Record(
        trial=made.experiment.trials[0],
        output="a",
        finish_reason="stop",
        usage=pl.Usage(10, None, 5, 0),
        latency_s=0.25,
        cost_usd=None,
        billed_usd=0.0,
        price=None,
        cached=True,
        error=None,
        key="key0",
        turns=(
            (
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "a"},
            ),
        ),
    )
    assert failed.trial == made.experiment.trials[1]
    assert (failed.output, failed.usage, failed.key) == (None, pl.Usage(), None)
    assert failed.error == FAILURE
    assert made[-1] == failed
    assert len(made) == 2


def test_records_of_part_of_a_run_know_their_trials() -> None:
    made = results(experiment(repeats=2), [None, "b", None, "d"])

    assert [record.trial.index for record in made] == [1, 3]


def test_errors_say_all_that_is_known_of_the_failures() -> None:
    (error,) = results(experiment(), ["a", FAILURE]).errors.to_dict("records")

    assert error == {
        "trial": 1,
        "model": "m",
        "prompt": "plain",
        "case": "2",
        "repeat": 0,
        "kind": "status",
        "status": 429,
        "code": "rate_limit_exceeded",
        "message": "Slow\ndown",
        "attempts": 6,
        "request_id": "req_1",
    }


def test_without_failures_errors_has_its_columns_and_no_row() -> None:
    errors = results(experiment()).errors

    assert len(errors) == 0
    assert list(errors)[:5] == ["trial", "model", "prompt", "case", "repeat"]


def test_a_summary_is_by_what_varies() -> None:
    made = results(
        experiment(temperature=[0, 1], repeats=2),
        ["a", "b", FAILURE, "d", "e", "f", None, "h"],
        cached=[0, 1],
    )

    summary = made.summary()

    assert summary.index.name == "temperature"
    assert summary.index.tolist() == [0, 1]
    assert summary["trials"].tolist() == [4, 3]
    assert summary["answered"].tolist() == [4, 2]
    assert summary["failed"].tolist() == [0, 1]
    assert summary["cached"].tolist() == [2, 0]
    assert summary["mean_input_tokens"].tolist() == [10, 10]
    assert summary["mean_output_tokens"].tolist() == [5, 5]
    assert summary["mean_latency_s"].tolist() == [0.25, 0.25]


def test_a_summary_of_one_variant_is_one_row() -> None:
    summary = results(experiment()).summary()

    assert summary["trials"].to_dict() == {"all trials": 2}


def test_a_summary_is_by_any_columns() -> None:
    made = results(experiment(temperature=[0, 1]))

    assert made.summary(by="case")["trials"].to_dict() == {"1": 2, "2": 2}
    assert made.summary(by=["case", "temperature"]).index.names == [
        "case",
        "temperature",
    ]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_a_summary_keeps_the_group_of_what_was_not_sent() -> None:
    asked = experiment(model=["gpt-4.1", "gpt-6-luna"], temperature=[0, 1])

    summary = results(asked).summary(by="temperature")

    assert summary["trials"].tolist() == [2, 2, 2]
    assert summary.index.isna().tolist() == [False, False, True]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
@pytest.mark.parametrize("name", ["failed", "answered", "truncated", "all"])
def test_a_summary_is_by_an_input_whatever_its_name(name: str) -> None:
    asked = experiment([{"t": "a", name: "x"}, {"t": "b", name: "y"}])

    assert results(asked).summary(by=name)["trials"].to_dict() == {"x": 1, "y": 1}


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_a_summary_is_by_lists_too() -> None:
    asked = experiment([{"t": "a", "u": ["x"]}, {"t": "b", "u": ["x"]}])

    assert results(asked).summary(by="u")["trials"].to_dict() == {'["x"]': 2}


def test_a_summary_by_what_is_not_there_is_refused() -> None:
    with pytest.raises(pl.SpecError, match="no column 'modle'; did you mean 'model'"):
        results(experiment()).summary(by="modle")


def test_repr_is_one_line_and_always_the_same() -> None:
    made = results(
        experiment(repeats=3),
        ["a", "b", "c", FAILURE, None, None],
        cached=[0],
        finish_reason="length",
        status="stopped",
        reason="no credit is left",
        calls=2,
    )

    assert repr(made) == (
        "Results('letters': 3 of 6 trials answered, 1 from the cache (33%), "
        "2 calls made, 1 failed, 3 truncated by max_tokens, 2 left, "
        "stopped: no credit is left)"
    )


def test_a_share_is_told_of_what_was_cached_only() -> None:
    made = results(experiment(), ["a", FAILURE], calls=1)

    assert made.headline == (
        "1 of 2 trials answered, 0 from the cache, 1 call made, 1 failed"
    )


def test_repr_of_nothing_answered_divides_by_nothing() -> None:
    made = results(experiment(), [FAILURE, None], status="interrupted")

    assert repr(made) == (
        "Results('letters': 0 of 2 trials answered, 0 from the cache, 0 calls made, "
        "1 failed, 1 left, interrupted)"
    )


def test_html_shows_the_totals() -> None:
    made = results(
        experiment(repeats=2),
        ["a", "b", FAILURE, "d"],
        cached=[0],
        finish_reason="length",
    )

    text = Seen(made._repr_html_()).text

    assert made.headline in text
    for part in ("1 from the cache (33%)", "1 failed", "3 truncated"):
        assert part in text
    assert "429 rate_limit_exceeded: Slow down" in text


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_html_escapes_whatever_came_back_or_was_asked() -> None:
    made = results(
        pl.Experiment(
            "".join(HOSTILE)[:100],
            grid={
                "model": HOSTILE[:2],
                "prompt": {HOSTILE[2]: "{{t}}"},
                "stop": [[HOSTILE[0]], [HOSTILE[1]]],
            },
            dataset=[
                {"id": text, "t": text, "<script>": text, "expected": text}
                for text in HOSTILE
            ],
        ),
        [*HOSTILE, pl.Failure(kind=HOSTILE[0], message=HOSTILE[1])] * 3 + HOSTILE[:3],
        finish_reason=HOSTILE[0],
        status="stopped",
        reason=HOSTILE[1],
    )

    seen = Seen(made._repr_html_())

    assert not {"img", "script", "style", "pre"} & seen.tags
    assert seen.attributes <= {"class", "style"}
    assert all(text in seen.text for text in HOSTILE)


def test_html_opens_no_connection() -> None:
    shown = results(experiment())._repr_html_()

    assert not {"src", "href", "srcset", "data"} & Seen(shown).attributes
    assert "url(" not in shown
    assert "@import" not in shown


def test_html_of_many_and_long_answers_stays_small() -> None:
    shown = results(experiment(repeats=50), ["x" * 100_000] * 100)._repr_html_()

    assert len(shown) < 50_000
    assert "and 90 more rows" in shown


def test_html_tells_what_varies_apart_and_failures_by_their_kind() -> None:
    made = results(
        experiment(temperature=[0, 1]),
        ["a", FAILURE, "b", FAILURE],
        finish_reason="length",
    )

    shown = Seen(made._repr_html_()).text

    assert "temperaturetrialsfailedcut offtokens outlatency" in shown
    assert "02025250 ms" in shown  # temperature 0: 2 trials, none failed, 2 cut off
    assert "122" in shown
    assert "2429 rate_limit_exceeded: Slow down (6 attempts)" in shown


def test_html_shows_only_what_varies_among_the_variants_that_are_left() -> None:
    made = results(experiment(temperature=[0, 1]).only(temperature=0))

    assert "temperature" not in Seen(made._repr_html_()).text


def test_html_of_no_answer_is_a_table_without_rows() -> None:
    assert "0 of 2 trials answered" in results(experiment(), [None] * 2)._repr_html_()


def test_making_results_leaves_pandas_options_alone() -> None:
    names = ("display.max_colwidth", "display.max_rows", "display.max_columns")
    before = [pd.get_option(name) for name in names]

    results(experiment())._repr_html_()

    assert [pd.get_option(name) for name in names] == before


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("df", "; write results.table"),
        ("to_csv", "; write results.to\\('results.csv'\\)"),
        ("output", "; the column is results.table\\['output'\\]"),
        ("sumary", "; did you mean 'summary'\\?"),
        ("xyz", ""),
    ],
)
def test_an_attribute_that_results_do_not_have_says_where_it_is(
    name: str, hint: str
) -> None:
    given = results(experiment())

    with pytest.raises(AttributeError, match=f"no attribute '{name}'{hint}$"):
        getattr(given, name)


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        ("prompt", "got 'prompt'; the column is results.table\\['prompt'\\]"),
        ("x", "got 'x'"),
        (slice(0, 1), "got slice"),
    ],
    ids=["column", "name", "slice"],
)
def test_a_record_is_found_by_its_position_only(place: Any, hint: str) -> None:
    with pytest.raises(pl.SpecError, match=f"expected the position of a row.* {hint}"):
        results(experiment())[place]


def test_a_row_that_results_do_not_have_is_an_index_error() -> None:
    given = results(experiment())

    with pytest.raises(IndexError, match="row 2 of results with 2 rows"):
        given[2]
    assert given[-1].trial.index == 1
