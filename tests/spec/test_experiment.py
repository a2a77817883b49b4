"""Experiments: what is checked, what is warned of, their trials, their plain form."""

from __future__ import annotations

import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import promptlab as pl

CASES = [{"id": "a", "t": "A", "u": "x"}, {"id": "b", "t": "B", "u": "y"}]
URL = "https://api.example.com/v1"


def experiment(**parts: Any) -> pl.Experiment:
    """One model, one prompt, two cases, or as said."""
    grid = {"model": ["m"], "prompt": ["{{t}}{{u}}"], **parts.pop("grid", {})}
    return pl.Experiment(
        parts.pop("name", "letters"),
        grid=grid,
        dataset=parts.pop("dataset", CASES),
        **parts,
    )


def keys(experiment: pl.Experiment) -> list[str]:
    """The key of every trial's first call."""
    return [trial.first_request(lambda model: URL).key for trial in experiment.trials]


def test_its_size_is_variants_times_cases_times_repeats() -> None:
    sized = experiment(grid={"temperature": [0, 0.5, 1]}, repeats=4)

    assert len(sized) == len(sized.trials) == 24
    assert sized.size == "3 variants × 2 cases × 4 repeats = 24 trials"
    assert repr(sized) == f"Experiment('letters': {sized.size})"


def test_trials_come_case_by_case_then_variant_then_repeat() -> None:
    ordered = experiment(grid={"temperature": [0, 1]}, repeats=2)

    assert [
        (t.index, t.case.id, t.variant.labels["temperature"], t.repeat)
        for t in ordered.trials
    ] == [
        (0, "a", 0, 0),
        (1, "a", 0, 1),
        (2, "a", 1, 0),
        (3, "a", 1, 1),
        (4, "b", 0, 0),
        (5, "b", 0, 1),
        (6, "b", 1, 0),
        (7, "b", 1, 1),
    ]


def test_trials_may_be_counted_from_the_end_and_sliced() -> None:
    trials = experiment(repeats=2).trials

    assert trials[-1] == trials[3]
    assert trials[1:3] == [trials[1], trials[2]]
    with pytest.raises(IndexError):
        trials[4]


def test_a_trial_says_what_it_is() -> None:
    trial = experiment(repeats=2).trials[3]

    assert str(trial) == ("trial 3 (model='m', prompt='prompt_1', case='b', repeat=1)")


def test_the_dataset_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("t,u\na,b\n")

    assert len(experiment(dataset=tmp_path / "cases.csv").dataset) == 1
    assert len(experiment(dataset=str(tmp_path / "cases.csv")).dataset) == 1


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"name": ""}, "name: expected a string, got ''"),
        ({"name": 5}, "name: expected a string, got 5"),
        ({"name": "a\nb"}, "one line of at most 100 characters"),
        ({"name": "a" * 101}, "one line of at most 100 characters"),
        ({"repeats": 0}, "repeats: expected an integer >= 1, got 0"),
        ({"repeats": 1.5}, "repeats: expected an integer >= 1, got 1.5"),
        ({"repeats": True}, "repeats: expected an integer >= 1, got True"),
        ({"dataset": []}, "has no cases"),
        ({"dataset": 5}, "got int"),
        (
            {"dataset": [{"id": "a", "t": "x", "u": "y"}, {"id": "b", "t": "x"}]},
            "prompt 'prompt_1' needs ['u'], which case 'b' of 'dataset' does not have; "
            "its fields are t, u",
        ),
        ({"dataset": [{"t": "x", "u": None}]}, "needs ['u'], which case '1'"),
        (
            {"grid": {"system": ["{{tone}}"]}},
            "prompt 'prompt_1' needs ['tone'], which case 'a' of 'dataset'",
        ),
        (
            {
                "grid": {
                    "prompt": {
                        "own": [
                            {"role": "system", "content": "a"},
                            {"role": "user", "content": "{{t}}{{u}}"},
                        ]
                    },
                    "system": {"agent": "b"},
                }
            },
            "prompt 'own' has a system message of its own, so system 'agent' would be "
            "a second; exclude the pair",
        ),
        ({"grid": {"t": [1]}}, "'t' is a parameter of the grid, so no input can have"),
        ({"grid": {"output": [1]}}, "no parameter can be called 'output'"),
        ({"grid": {"expected": [1]}}, "no parameter can be called 'expected'"),
        ({"grid": {"model": "m"}}, "model: expected a list of values, got 'm'"),
    ],
)
def test_what_cannot_be_run_is_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(pl.SpecError) as caught:
        experiment(**parts)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_grid_of_another_kind_is_refused() -> None:
    with pytest.raises(
        pl.SpecError, match="grid: expected a Grid or a mapping, got list"
    ):
        pl.Experiment("e", grid=["m"], dataset=CASES)  # type: ignore[arg-type]


def test_a_second_system_message_may_be_excluded() -> None:
    own = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "{{t}}{{u}}"},
    ]

    paired = experiment(
        grid={
            "prompt": {"own": own, "plain": "{{t}}{{u}}"},
            "system": {"none": None, "agent": "b"},
            "exclude": [{"prompt": "own", "system": "agent"}],
        }
    )

    assert len(paired.effective_variants) == 3


def test_an_input_that_no_prompt_uses_is_a_warning() -> None:
    with pytest.warns(pl.PromptlabWarning, match="^letters: no prompt uses 'u' of "):
        odd = experiment(grid={"prompt": ["{{t}}"]})

    assert odd.warnings == ("no prompt uses 'u' of dataset",)


def test_a_parameter_that_we_do_not_know_is_a_warning() -> None:
    with pytest.warns(pl.PromptlabWarning, match="'thinking' is not one we know"):
        odd = experiment(grid={"thinking": [{"type": "enabled"}]})

    body = odd.trials[0].first_request(lambda model: URL).body
    assert body["thinking"] == {"type": "enabled"}


def test_a_warning_points_to_the_line_that_made_the_experiment() -> None:
    with pytest.warns(pl.PromptlabWarning) as told:
        pl.Experiment("e", grid={"model": ["m"], "prompt": ["a"]}, dataset=CASES)

    assert [warning.filename for warning in told] == [__file__]


def test_what_was_warned_of_is_not_told_again() -> None:
    with pytest.warns(pl.PromptlabWarning):
        odd = experiment(grid={"prompt": ["{{t}}"]})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        odd.limit(1)
        odd.only(model="m")
        odd.with_repeats(2)
        pl.Experiment.from_plain(odd.to_plain())


def test_an_experiment_is_frozen() -> None:
    with pytest.raises(AttributeError):
        experiment().repeats = 2  # type: ignore[misc]


def test_limit_keeps_the_first_cases_or_a_slice() -> None:
    whole = experiment(dataset=[{"t": n, "u": n} for n in range(5)])

    assert [case.id for case in whole.limit(2).dataset] == ["1", "2"]
    assert [case.id for case in whole.limit(slice(3, None)).dataset] == ["4", "5"]
    assert len(whole.limit(100)) == 5


@pytest.mark.parametrize("cases", [0, slice(9, None)])
def test_limit_that_leaves_no_case_is_refused(cases: Any) -> None:
    with pytest.raises(pl.SpecError, match="no case is left: dataset has 2"):
        experiment().limit(cases)


def test_part_of_an_experiment_asks_what_the_whole_asks() -> None:
    whole = experiment(grid={"model": ["m", "n"], "temperature": [0, 1]}, repeats=2)

    part = whole.limit(1).only(model="n", temperature=1)

    assert len(part) == 2
    assert set(keys(part)) < set(keys(whole))


def test_more_repeats_ask_the_same_and_more() -> None:
    three, five = (experiment().with_repeats(n) for n in (3, 5))

    assert set(keys(three)) < set(keys(five))
    assert len(set(keys(five)) - set(keys(three))) == 2 * len(CASES)


def test_with_inputs_fills_a_field_of_every_case() -> None:
    asked = experiment(dataset=[{"t": "A", "u": "x"}]).with_inputs(u="z")

    assert asked.trials[0].turns == (({"role": "user", "content": "Az"},),)


def test_the_card_escapes_what_it_shows() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    shown = experiment(name=hostile, dataset=pl.Dataset(CASES, name=hostile))

    assert "<img" not in shown._repr_html_()
    assert "&lt;img" in shown._repr_html_()


labels = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=12
).filter(str.strip)


def levels(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The values of a parameter: in a list, or each under a name."""
    several = st.lists(values, min_size=1, max_size=3, unique_by=repr)
    named = several.flatmap(
        lambda values: st.lists(
            labels, min_size=len(values), max_size=len(values), unique=True
        ).map(lambda names: dict(zip(names, values, strict=True)))
    )
    return st.one_of(several, named)


OWN = [{"role": "user", "content": "1"}, {"role": "user", "content": "2"}]

CROSSED: dict[str, st.SearchStrategy[Any]] = {
    "system": st.one_of(st.none(), words),
    "temperature": st.sampled_from([None, 0, 0.25, 0.7, 1, 2]),
    "stop": st.one_of(st.none(), st.lists(words, max_size=2)),
    "response_format": st.sampled_from([None, {"type": "text"}, {"type": "json"}]),
    "logprobs": st.booleans(),
}
ZIPPED: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 3),
    "top_p": st.sampled_from([0.1, 0.5, 1]),
    "user": st.one_of(words, st.just("")),
}


@st.composite
def grids(draw: st.DrawFn) -> pl.Grid:
    """Grids with names, zips, exclusions and selections."""
    names = draw(st.sets(st.sampled_from(list(CROSSED))))
    parts: dict[str, Any] = {
        "model": draw(levels(words)),
        "prompt": draw(levels(st.one_of(words, st.just(OWN)))),
        **{name: draw(levels(CROSSED[name])) for name in sorted(names)},
    }
    if size := draw(st.integers(0, 3)):
        lists = {
            n: st.lists(v, min_size=size, max_size=size) for n, v in ZIPPED.items()
        }
        parts["zip"] = [draw(st.fixed_dictionaries(lists))]
    grid = pl.Grid(**parts)
    first, *others = grid
    if left_out := next((v for v in others if v.labels != first.labels), None):
        entry = {name: [label] for name, label in left_out.labels.items()}
        grid = pl.Grid(**parts, exclude=[entry])
    if draw(st.booleans()):
        name = draw(st.sampled_from(grid.parameters))
        grid = grid.only(**{name: [draw(st.sampled_from(grid.variants)).labels[name]]})
    return grid


@given(grid=grids(), repeats=st.integers(1, 3))
@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_to_plain_holds_the_whole_definition(grid: pl.Grid, repeats: int) -> None:
    made = pl.Experiment("e", grid=grid, dataset=CASES, repeats=repeats)

    plain = json.loads(json.dumps(made.to_plain()))
    read = pl.Experiment.from_plain(plain)

    assert [q.labels for q in read.effective_variants] == [
        q.labels for q in made.effective_variants
    ]
    assert keys(read) == keys(made)
    assert read.dataset == made.dataset
    assert read.to_plain() == made.to_plain()


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_to_plain_holds_own_rules() -> None:
    made = experiment(
        grid={"model": ["gpt-6-luna"], "temperature": [0, 1]},
        capabilities={"gpt-6-luna": {"temperature": True}},
    )

    assert keys(pl.Experiment.from_plain(made.to_plain())) == keys(made)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"data": []}, "no argument 'data'; did you mean 'dataset'"),
        (
            {"model": ["m"]},
            r"model is a parameter of the grid: grid=\{'model': \[...\]\}",
        ),
        ({"zzz": 1}, r"no argument 'zzz'; expected Experiment\('a name', grid="),
        ({}, "expected Experiment.*: missing a required argument: 'grid'"),
    ],
    ids=["misspelt", "parameter", "unknown", "missing"],
)
def test_arguments_that_an_experiment_does_not_take_say_what_would_do(
    given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(pl.SpecError, match=reason):
        pl.Experiment("letters", **given)


def test_the_constructor_shows_its_arguments() -> None:
    assert list(inspect.signature(pl.Experiment).parameters)[:4] == [
        *("name", "grid", "dataset", "repeats")
    ]
