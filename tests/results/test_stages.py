"""Stages: the answers of one experiment as the cases of a later one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.results.scores import ScoreColumn
from promptlab.testing import FakeClient, failure, last_text, response

from .making import FAILURE, experiment, results

CASES = pl.Dataset(
    [
        {"id": "one", "t": "a", "expected": "A", "kind": "vowel"},
        {"id": "two", "t": "b", "expected": "B", "kind": "consonant"},
    ],
    metadata=["kind"],
)


def drafts(**more: object) -> pl.Results:
    return results(experiment(CASES, model=["m", "n"]), **more)  # type: ignore[arg-type]


def critique(dataset: pl.Dataset, name: str = "critique") -> pl.Experiment:
    prompt = {"better": "What is wrong? {{draft}}"}
    return pl.Experiment(name, grid={"model": ["m"], "prompt": prompt}, dataset=dataset)


def test_each_answer_is_a_case_with_what_prompts_see_and_what_is_carried_along() -> (
    None
):
    case = drafts(outcomes=["1", "2", "3", "4"]).to_dataset(rename={"output": "draft"})[
        1
    ]

    assert case.inputs == {"draft": "2", "t": "a"}
    assert case.expected == "A"
    assert case.metadata == {
        "kind": "vowel",
        "source_case": "one",
        "source_trial": 1,
        "source_key": "key1",
        "source_model": "n",
    }


def test_an_id_is_that_of_the_case_with_what_tells_its_answers_apart() -> None:
    several = results(experiment(CASES, model=["m", "n"], repeats=2))

    ids = [case.id for case in several.to_dataset()]
    assert ids[:4] == ["one · m · 0", "one · m · 1", "one · n · 0", "one · n · 1"]
    assert [case.id for case in results(experiment(CASES)).to_dataset()] == [
        *("one", "two")
    ]


def test_ids_differ_also_where_labels_are_cut_alike() -> None:
    long = {"x" * 60 + "1": "{{t}}", "x" * 60 + "2": "{{t}}!"}

    dataset = results(experiment(CASES, prompt=long)).to_dataset()

    assert len({case.id for case in dataset}) == 4
    assert dataset[0].id.endswith("… · trial 0")


@pytest.mark.filterwarnings("error")
def test_a_later_experiment_warns_of_nothing_that_was_carried_along() -> None:
    critique(drafts().to_dataset(rename={"output": "draft"}))


def test_it_warns_where_no_prompt_uses_the_earlier_output() -> None:
    dataset = drafts().to_dataset(rename={"output": "draft", "t": "question"})
    grid = {"model": ["m"], "prompt": ["{{question}}"]}

    with pytest.warns(pl.PromptlabWarning, match="no prompt uses 'draft' of"):
        pl.Experiment("critique", grid=grid, dataset=dataset)


def test_columns_that_clash_are_named_by_rule() -> None:
    cases = [{"draft": "a", "source_model": "mine", "checks": [{"exact": "x"}]}]
    before = results(experiment(cases, prompt={"p": "{{draft}} {{source_model}}"}))

    case = before.to_dataset(rename={"output": "draft"})[0]
    assert case.inputs == {
        "draft": "yes",
        "source_draft": "a",
        "source_source_model": "mine",
    }
    assert case.metadata["source_checks"] == [{"exact": "x"}]
    assert case.metadata["source_model"] == "m"


def test_another_prefix_gives_a_stage_its_name() -> None:
    case = drafts().to_dataset(prefix="first")[0]

    assert case.inputs == {"first_output": "yes", "t": "a"}
    assert "first_trial" in case.metadata


def test_what_keep_names_comes_along_and_what_rename_names_is_an_input() -> None:
    scored = drafts().with_scores({"exact": ScoreColumn([1, 0, 1, 0])})

    case = scored.to_dataset(
        rename={"exact": "grade", "expected": "reference", "case": "number"},
        keep=["latency_s", "exact"],
    )[1]
    assert case.inputs["grade"] == 0
    assert case.inputs["reference"] == "A"
    assert case.inputs["number"] == "one"
    assert case.expected is None
    assert case.metadata["source_latency_s"] == 0.25


def test_an_earlier_answer_can_be_what_is_expected() -> None:
    case = drafts().to_dataset(rename={"output": "expected"})[0]

    assert case.expected == "yes"
    assert case.metadata["source_expected"] == "A"


def test_by_case_all_answers_of_a_case_are_one_case() -> None:
    dataset = drafts(outcomes=["1", "2", "3", "4"]).to_dataset(
        rename={"output": "drafts"}, by="case"
    )

    first = dataset[0]
    assert [case.id for case in dataset] == ["one", "two"]
    assert first.inputs == {"drafts": ["1", "2"], "t": "a"}
    assert first.metadata["kind"] == "vowel"
    assert first.metadata["source_trial"] == [0, 1]
    assert first.metadata["source_model"] == ["m", "n"]


def test_by_case_and_model_the_repeats_are_together() -> None:
    several = results(experiment(CASES, model=["m", "n"], repeats=2), [*"abcdefgh"])

    dataset = several.to_dataset(rename={"output": "tries"}, by=["case", "model"])
    assert [(c.id, c.inputs["tries"]) for c in dataset][:2] == [
        ("one · m", ["a", "b"]),
        ("one · n", ["c", "d"]),
    ]
    assert dataset[0].metadata["source_model"] == "m"


def test_only_some_trials_are_taken_such_as_the_best() -> None:
    dataset = drafts(outcomes=["1", "2", "3", "4"]).to_dataset(only_trials=[3, 0])

    assert [case.inputs["source_output"] for case in dataset] == ["1", "4"]
    assert [case.id for case in dataset] == ["one", "two"]


def test_failed_trials_are_left_out_with_a_warning_or_kept_on_request() -> None:
    before = drafts(outcomes=["1", FAILURE, "3", "4"])

    with pytest.warns(pl.PromptlabWarning, match="leaves out 1 failed trial; keep_f"):
        assert len(before.to_dataset()) == 3
    kept = before.to_dataset(rename={"output": "draft"}, keep_failed=True)
    assert kept[1].inputs["draft"] is None


def test_a_chain_of_three_links_each_case_to_those_before() -> None:
    second = results(critique(drafts().to_dataset(rename={"output": "draft"})))

    case = second.to_dataset(rename={"output": "critique"})[1]
    assert case.inputs == {"critique": "yes", "draft": "yes", "t": "a"}
    assert case.metadata["kind"] == "vowel"
    assert case.metadata["source_trial"] == 1
    assert case.metadata["source_source_trial"] == 1
    assert case.metadata["source_source_model"] == "n"


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_the_link_survives_an_export(tmp_path: Path, ending: str) -> None:
    table = results(critique(drafts().to_dataset(rename={"output": "draft"}))).table

    results(critique(drafts().to_dataset(rename={"output": "draft"}))).to(
        tmp_path / f"second{ending}"
    )
    again = pl.read_results(tmp_path / f"second{ending}")

    for name in ("source_case", "source_trial", "source_key", "source_model"):
        assert again[name].tolist() == table[name].tolist()


def long_echo(request: pl.Request) -> pl.Response:
    return response(last_text(request), input_tokens=1000, output_tokens=1000)


def test_later_totals_have_what_the_stages_before_cost() -> None:
    own = {"m": {"input": 1, "output": 2}}
    options = {"client": FakeClient(long_echo), "prices": own, "progress": False}
    first = experiment(CASES).run(**options)
    dataset = first.to_dataset(rename={"output": "draft"})

    second = critique(dataset).run(**options)

    (stage,) = second.totals.stages
    assert (stage.experiment, stage.run, stage.trials) == ("letters", first.run, 2)
    assert stage.billed_usd == pytest.approx(0.006)
    assert second.totals.chain_billed_usd == pytest.approx(0.012)
    assert second.totals.chain_cost_usd == pytest.approx(0.012)
    assert "with the 1 stage before" in second.headline


def test_a_recorded_run_keeps_its_stages_and_its_links() -> None:
    client = FakeClient()
    first = experiment(CASES).run(client=client, progress=False)
    second = critique(first.to_dataset(rename={"output": "draft"}))
    ran = second.run(client=client, progress=False)

    loaded = pl.find_run(ran.run).load_results()

    assert loaded.totals.stages[0].run == first.run
    assert math.isnan(loaded.totals.stages[0].cost_usd)
    assert loaded.experiment.warnings == ()
    assert_frame_equal(
        loaded.table, ran.table.assign(billed_usd=loaded.table["billed_usd"])
    )
    third = loaded.to_dataset(rename={"output": "final"})
    assert [stage.experiment for stage in third.source.stages] == [
        *("letters", "critique")
    ]


def test_parts_of_a_dataset_know_their_stages_too() -> None:
    dataset = drafts().to_dataset(rename={"output": "draft"})

    for part in (dataset[:2], dataset.with_inputs(x=1), dataset.rename({"t": "u"})):
        assert part.source.stages == dataset.source.stages
    assert dataset.rename({"t": "u"}).source.carried == ("u",)


def test_results_without_an_answer_make_no_dataset() -> None:
    nothing = results(experiment(CASES), [FAILURE, FAILURE])

    with (
        pytest.warns(pl.PromptlabWarning, match="2 failed trials"),
        pytest.raises(pl.SpecError, match="no trial with an answer is left"),
    ):
        nothing.to_dataset()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rename": {"outputs": "draft"}},
            "no column 'outputs'; did you mean 'output'",
        ),
        ({"keep": ["zzz"]}, "the table has no column 'zzz'; valid names: trial"),
        ({"rename": {"output": "t", "t": "t"}}, "two columns would be called 't'"),
        ({"rename": {"output": "model"}}, "cannot become 'model', the name of a"),
        ({"by": "model"}, "by: expected 'case', or a list of it and others"),
        ({"by": ["case", "t"]}, "by: expected 'case', or a list of it and others"),
    ],
    ids=["misspelt", "unknown", "twice", "taken", "no case", "not of a trial"],
)
def test_what_cannot_be_made_is_one_clear_line(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(pl.SpecError, match=message):
        drafts().to_dataset(**options)  # type: ignore[arg-type]


def test_hostile_texts_are_cases_as_they_are() -> None:
    hostile = "=cmd()|'</script>{{ draft }} {% raw %}\x1b[31m"
    before = results(experiment(CASES), [hostile, "fine"])
    client = FakeClient("ok")

    critique(before.to_dataset(rename={"output": "draft"})).run(
        client=client, progress=False
    )

    asked = [str(r.body["messages"][-1]["content"]) for r in client.requests]
    assert f"What is wrong? {hostile}" in asked


def test_a_failure_in_a_later_stage_is_a_record_of_it() -> None:
    dataset = drafts().to_dataset(rename={"output": "draft"})

    second = critique(dataset).run(
        client=FakeClient(lambda request: failure(400)), progress=False
    )

    assert second.totals.failed == 4
    assert second.table["source_trial"].tolist() == [0, 1, 2, 3]


def graded(dataset: pl.Dataset) -> pl.Results:
    """Results of a later stage whose answers were right about every second case."""
    later = results(critique(dataset))
    return later.with_scores({"exact": ScoreColumn([n % 2 for n in range(len(later))])})


def test_answers_of_one_case_are_one_in_later_intervals() -> None:
    cases = [{"id": str(n), "t": str(n)} for n in range(8)]
    before = results(experiment(cases, model=["m", "n"]))

    later = graded(before.to_dataset(rename={"output": "draft"}))

    assert later.cluster == "source_case"
    low = later.summary()["exact_low"].item()
    assert low == pytest.approx(0.215, abs=0.001)  # of 8 cases; of 16 it were 0.280
    assert pl.leaderboard(later, "exact").scores.clusters is not None


def test_cases_with_one_answer_each_are_independent() -> None:
    cases = [{"id": str(n), "t": str(n)} for n in range(8)]

    later = graded(results(experiment(cases)).to_dataset(rename={"output": "draft"}))

    assert later.cluster is None
    assert later.summary()["exact_low"].item() == pytest.approx(0.215, abs=0.001)


def test_a_chain_is_clustered_by_the_case_of_its_first_stage() -> None:
    second = results(critique(drafts().to_dataset(rename={"output": "draft"})))

    third = second.to_dataset(rename={"output": "final", "t": "u"})

    assert third.source.case == "source_source_case"
    assert third.rename({"source_source_case": "first"}).source.case == "first"
