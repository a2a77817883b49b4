"""Capabilities: what is not sent to a model, and what becomes of the grid."""

from __future__ import annotations

from typing import Any

import pytest

import promptlab as pl

OPENAI = "https://api.openai.com/v1"
OTHER = "https://models.example.com/v1"


def experiment(
    model: str, *, capabilities: Any = None, **parameters: Any
) -> pl.Experiment:
    """One model, one question, these parameters."""
    return pl.Experiment(
        "gate",
        grid={"model": [model], "prompt": ["{{t}}"], **parameters},
        dataset=[{"t": "Hi"}],
        capabilities=capabilities,
    )


def sent(experiment: pl.Experiment, base_url: str = OPENAI) -> dict[str, Any]:
    """What goes over the wire beside model and messages."""
    body = experiment.trials[0].first_request(lambda model: base_url).body
    return {name: body[name] for name in body if name not in ("model", "messages")}


@pytest.mark.parametrize("name", ["temperature", "top_p", "logprobs", "top_logprobs"])
@pytest.mark.parametrize(
    "model", ["o1", "o3-mini", "gpt-5", "gpt-5-nano", "gpt-6-luna"]
)
def test_reasoning_models_get_no_sampling_parameters(model: str, name: str) -> None:
    with pytest.warns(pl.PromptlabWarning, match=f"{name} is not sent to {model}"):
        gated = experiment(model, **{name: [1]})

    assert sent(gated) == {}


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-5",
        "gpt-5-2025-08-07",
        "ft:o4-mini-2025-04-16:acme:router:abc123",
        "gpt-6.2-astra-2026-10-01",
    ],
    ids=["prefix", "snapshot", "fine-tuned", "point release"],
)
def test_a_model_is_known_under_its_longer_names_too(model: str) -> None:
    with pytest.warns(pl.PromptlabWarning, match="temperature is not sent"):
        assert sent(experiment(model, temperature=[1])) == {}


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4.1", "gpt-3.5-turbo-0125"])
def test_models_that_do_not_reason_get_sampling_and_no_effort(model: str) -> None:
    with pytest.warns(
        pl.PromptlabWarning, match="reasoning_effort is not sent"
    ) as told:
        gated = experiment(
            model, temperature=[1], stop=["\n"], reasoning_effort=["low"]
        )

    assert sent(gated) == {"temperature": 1, "stop": "\n"}
    assert len(told) == 1


def test_reasoning_models_take_no_stop_sequences() -> None:
    with pytest.warns(pl.PromptlabWarning, match="takes no stop sequences"):
        assert sent(experiment("gpt-6-luna", stop=["\n"])) == {}


def test_effort_none_makes_room_for_sampling() -> None:
    gated = experiment("gpt-6-luna", temperature=[0.5], reasoning_effort=["none"])

    assert sent(gated) == {"temperature": 0.5, "reasoning_effort": "none"}


def test_effort_none_is_the_default_of_some_models() -> None:
    assert sent(experiment("gpt-5.1", temperature=[0.5])) == {"temperature": 0.5}


def test_some_models_take_no_sampling_whatever_the_effort() -> None:
    with pytest.warns(pl.PromptlabWarning, match="takes no sampling parameters"):
        gated = experiment("gpt-6-astra", temperature=[0.5], reasoning_effort=["none"])

    assert sent(gated) == {"reasoning_effort": "none"}


@pytest.mark.parametrize("model", ["llama-4", "gpt-oss-120b", "my-o1", "o1000"])
def test_a_model_that_no_rule_knows_is_sent_everything(model: str) -> None:
    given = {"temperature": 1, "stop": "\n", "reasoning_effort": "low"}

    gated = experiment(model, **{name: [value] for name, value in given.items()})

    assert sent(gated) == given


def test_none_is_not_sent() -> None:
    assert sent(experiment("m", temperature=[None], seed=[1])) == {"seed": 1}


def test_variants_that_became_the_same_are_one() -> None:
    with pytest.warns(pl.PromptlabWarning) as told:
        gated = experiment("gpt-6-luna", temperature=[0, 0.25, 0.5, 0.75, 1])

    assert len(gated) == 1
    assert [
        question.labels["temperature"] for question in gated.effective_variants
    ] == [None]
    assert [[v["temperature"] for v in group] for group in gated.collapsed] == [
        [0, 0.25, 0.5, 0.75, 1]
    ]
    assert [str(warning.message) for warning in told] == [
        "gate: temperature is not sent to gpt-6-luna: taken only with reasoning_effort "
        "'none'; 4 variants became the same as another and are asked once"
    ]


def test_only_the_models_that_refuse_collapse() -> None:
    with pytest.warns(pl.PromptlabWarning, match="is not sent to gpt-6-luna"):
        mixed = pl.Experiment(
            "mixed",
            grid={
                "model": ["gpt-6-luna", "gpt-4.1"],
                "prompt": ["{{t}}"],
                "temperature": [0, 1],
            },
            dataset=[{"t": "Hi"}],
        )

    assert [(q.model, q.labels["temperature"]) for q in mixed.effective_variants] == [
        ("gpt-6-luna", None),
        ("gpt-4.1", 0),
        ("gpt-4.1", 1),
    ]


def test_own_rules_win() -> None:
    taken = experiment(
        "gpt-6-luna",
        temperature=[0, 1],
        capabilities={"gpt-6-luna": {"temperature": True}},
    )

    assert sent(taken) == {"temperature": 0}
    assert len(taken) == 2


def test_own_rules_keep_a_parameter_back() -> None:
    with pytest.warns(pl.PromptlabWarning, match="capabilities say that it is not"):
        gated = experiment(
            "llama-4",
            temperature=[0, 1],
            capabilities={"llama-4": {"temperature": False}},
        )

    assert sent(gated) == {}
    assert len(gated) == 1


def test_own_rules_rename_a_parameter_on_the_wire() -> None:
    renamed = experiment(
        "llama-4", max_tokens=[8], capabilities={"llama-4": {"max_tokens": "limit"}}
    )

    assert sent(renamed, OPENAI) == {"limit": 8}
    assert renamed.effective_variants[0].labels["max_tokens"] == 8


def test_two_parameters_of_one_wire_name_are_refused() -> None:
    with pytest.raises(pl.SpecError, match="one parameter under two names"):
        experiment("gpt-4.1", max_tokens=[8], max_completion_tokens=[9])


def test_own_rules_cannot_give_two_parameters_one_name() -> None:
    both = experiment(
        "m", capabilities={"m": {"top_k": "top_p"}}, top_k=[8], top_p=[0.5]
    )

    with pytest.raises(pl.SpecError, match="'top_p', which is given too"):
        sent(both, OTHER)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"temprature": False}, "did you mean 'temperature'"),
        ({"max_tokens": "messages"}, "cannot be sent as 'messages'"),
        ({"max_tokens": ""}, "cannot be sent as ''"),
    ],
)
def test_own_rules_are_checked(rules: dict[str, bool | str], said: str) -> None:
    with pytest.raises(pl.SpecError, match=said):
        experiment("m", capabilities={"m": rules}, max_tokens=[8])


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (OPENAI, "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://acme.openai.azure.com/openai/v1", "max_completion_tokens"),
        (OTHER, "max_tokens"),
        ("https://api.openai.com.example.com/v1", "max_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
        ("http://localhost:8000/v1", "max_tokens"),
    ],
)
def test_max_tokens_has_the_name_that_the_server_knows(
    base_url: str, name: str
) -> None:
    assert sent(experiment("m", max_tokens=[8]), base_url) == {name: 8}


@pytest.mark.parametrize(
    "host",
    [
        "r.openai.azure.com",
        "r.services.ai.azure.com",
        "r.cognitiveservices.azure.com",
        "r.azure-api.net",
    ],
)
def test_azure_calls_max_tokens_as_openai_does_at_each_of_its_hosts(host: str) -> None:
    deployed = experiment("my-deployment", max_tokens=[8])

    assert sent(deployed, f"https://{host}/openai/v1") == {"max_completion_tokens": 8}


@pytest.mark.parametrize(
    "model",
    [
        "gpt-5-mini",
        "azure/gpt-5-mini",
        "openrouter/openai/gpt-5-mini",
        "openai/gpt-5-mini:online",
        "gpt-5-pro",
        "gpt-5.2-pro-2025-12-11",
        "azure/gpt-5.1-codex-max",
        "o3-deep-research",
        "o4-mini-deep-research-2025-06-26",
    ],
)
def test_reasoning_models_of_openai_are_known_behind_other_servers(model: str) -> None:
    with pytest.warns(pl.PromptlabWarning, match="temperature is not sent"):
        gated = experiment(model, max_tokens=[8], temperature=[1])

    assert sent(gated, OTHER) == {"max_completion_tokens": 8}


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (OTHER, "openai/gpt-4o"),
        (OTHER, "groq/openai/gpt-oss-120b"),
        (OTHER, "some/one-pro"),
        ("https://r.services.ai.azure.com/openai/v1", "gpt-4o"),
    ],
)
def test_all_others_go_on_calling_it_max_tokens(base_url: str, model: str) -> None:
    assert sent(experiment(model, max_tokens=[8]), base_url) == {"max_tokens": 8}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"gpt-5": {"seed": True}}, "no model 'gpt-5' in the grid, which has 'm'"),
        ({"m": {"seed": 1}}, "expected true, false or the name on the wire"),
        ({"m": "seed"}, "expected true, false or the name on the wire"),
    ],
    ids=["model", "rule", "rules"],
)
def test_rules_of_another_form_are_refused(own: Any, said: str) -> None:
    with pytest.raises(pl.SpecError) as caught:
        experiment("m", capabilities=own)

    assert said in str(caught.value)
