"""Capabilities: which parameters a model takes, and under which name on the wire.

Most current models refuse `temperature`; a grid that varies it anyway would fail, or
pay five times for one question. The rules below leave out what a model is known to
refuse. A model that no rule knows is sent everything.

Source: OpenAI's guides to its models and the refusals its API gives, as of November
2026: with a reasoning effort other than "none", `temperature`, `top_p`, `logprobs` and
`top_logprobs` are refused; reasoning models refuse `stop`; the others refuse
`reasoning_effort`. A model not in the rules, or a rule that turns out wrong, is set
right with `capabilities=` of the experiment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from promptlab.errors import SpecError, did_you_mean

Rules = Mapping[str, bool | str]
"""Own rules on one model: parameter → False (not taken), True (taken), wire name."""

Capabilities = Mapping[str, Rules]
"""Own rules, by model."""

SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")


@dataclass(frozen=True)
class Family:
    """Models that take the same parameters."""

    pattern: str
    """A regular expression for the whole model name, its date left out."""
    reasons: bool
    """Whether the model reasons, and takes `reasoning_effort`."""
    default_effort: str | None = None
    """The effort where none is given; None for "some", which rules out sampling."""
    efforts_without_sampling_only: bool = False
    """Whether sampling parameters are refused whatever the effort."""


FAMILIES = (
    Family(r"(gpt-3\.5-turbo|gpt-4|gpt-4-turbo|gpt-4o|gpt-4\.1)(-mini|-nano)?", False),
    Family(r"o[134](-mini|-pro)?|gpt-5(-mini|-nano)?", True, None, True),
    Family(r"gpt-5\.[124](-mini|-nano)?", True, "none"),
    Family(r"gpt-5\.5|gpt-5\.6-\w+|gpt-6-(sol|luna)|gpt-6\.1-terra", True),
    Family(r"gpt-6-astra|gpt-6\.1-sol|gpt-6\.2-(astra|sol)", True, None, True),
    Family(
        r"(o\d|gpt-[5-9])[\w.-]*-(pro|codex(-mini|-max)?|deep-research)",
        *(True, None, True),
    ),
)


@dataclass(frozen=True)
class SupportedParameters:
    """The parameters of a request that a model takes, and those it does not."""

    sent: dict[str, Any]
    """What is sent, by its name in the grid."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Why each of the others is not, by its name in the grid."""


def supported_parameters(
    model: str, parameters: Mapping[str, Any], rules: Rules
) -> SupportedParameters:
    """The parameters that `model` takes, and why the others are left out.

    A parameter whose value is None was not given and is not sent.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    refused = _refused(model, given)
    dropped = {
        name: reason
        for name in given
        if (reason := _reason(name, rules.get(name), refused))
    }
    return SupportedParameters(
        {n: v for n, v in given.items() if n not in dropped}, dropped
    )


OLD_NAME, NEW_NAME = "max_tokens", "max_completion_tokens"
"""What bounds an answer, as compatible servers call it, and as OpenAI does now."""


WireNames = Mapping[tuple[str, str], str]
"""By base URL and model, what the server wants `max_tokens` to be called."""


def wire_name(name: str, base_url: str, rules: Rules, model: str = "") -> str:
    """The name of a parameter on the wire. OpenAI and Azure call `max_tokens`
    `max_completion_tokens`, as do OpenAI's reasoning models behind other servers; all
    else still calls it so."""
    if isinstance(rule := rules.get(name), str):
        return rule
    if name != OLD_NAME:
        return name
    family = _family(model)
    reasons = family is not None and family.reasons
    if _is_openai(base_url) or reasons or (_is_azure(base_url) and family is None):
        return NEW_NAME
    return OLD_NAME


def other_name(sent: Mapping[str, Any], refusal: str) -> str | None:
    """What `max_tokens` would be called instead, where a refusal of these parameters
    names both; None if it does not."""
    for name, other in ((OLD_NAME, NEW_NAME), (NEW_NAME, OLD_NAME)):
        if name in sent and all(re.search(rf"\b{n}\b", refusal) for n in (name, other)):
            return other
    return None


NOT_WIRE_NAMES = ("", "messages", "model", "n", "stream", "stream_options")
"""What no parameter can be called on the wire."""


def check_capabilities(
    own: Capabilities, models: Sequence[str], parameters: Sequence[str]
) -> None:
    """Raises `SpecError` where own rules are not well formed."""
    for model, rules in own.items():
        if model not in models:
            raise SpecError(
                f"capabilities: no model {model!r} in the grid, which has "
                + ", ".join(map(repr, models)),
                at=("capabilities", model),
            )
        if not isinstance(rules, Mapping) or not all(
            isinstance(rule, (bool, str)) for rule in rules.values()
        ):
            raise SpecError(
                f"capabilities of {model!r}: expected true, false or the name on the "
                f"wire of each parameter, got {rules!r}",
                at=("capabilities", model),
            )
        for name, rule in rules.items():
            if name not in parameters:
                raise SpecError(
                    f"capabilities of {model!r}: no parameter is called {name!r}"
                    + did_you_mean(name, parameters),
                    at=("capabilities", model),
                )
            if rule in NOT_WIRE_NAMES:
                raise SpecError(
                    f"capabilities of {model!r}: {name} cannot be sent as {rule!r}",
                    at=("capabilities", model),
                )


def own_name(model: str) -> str:
    """What a model is called by those who made it: without the prefix of who serves it,
    and without what was made of it.

    >>> own_name("openrouter/openai/gpt-5-mini:online")
    'gpt-5-mini'
    >>> own_name("ft:gpt-4.1-mini-2025-04-14:organisation::id")
    'gpt-4.1-mini-2025-04-14'
    """
    name = model.rpartition("/")[2]
    return name.removeprefix("ft:").partition(":")[0]


def _reason(name: str, rule: bool | str | None, refused: Mapping[str, str]) -> str:
    if rule is False:
        return "capabilities say that it is not taken"
    return "" if rule is not None else refused.get(name, "")


def _refused(model: str, given: Mapping[str, Any]) -> dict[str, str]:
    family = _family(model)
    if family is None:
        return {}
    if not family.reasons:
        return {"reasoning_effort": "the model does not reason"}
    refused = {"stop": "the model reasons, and takes no stop sequences"}
    effort = given.get("reasoning_effort", family.default_effort)
    if family.efforts_without_sampling_only:
        refused |= dict.fromkeys(SAMPLING, "the model takes no sampling parameters")
    elif effort != "none":
        refused |= dict.fromkeys(SAMPLING, "taken only with reasoning_effort 'none'")
    return refused


def _family(model: str) -> Family | None:
    name = re.sub(r"-(\d{4}-\d{2}-\d{2}|\d{4})$", "", own_name(model))
    return next((f for f in FAMILIES if re.fullmatch(f.pattern, name)), None)


def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host.endswith((".openai.com", ".openai.azure.com"))


def _is_azure(base_url: str) -> bool:
    """Whether it is one of Azure's other hosts. They serve models of other makers too,
    and deployments by any name."""
    host = urlsplit(base_url).hostname or ""
    return host.endswith(
        (".services.ai.azure.com", ".cognitiveservices.azure.com", ".azure-api.net")
    )
