"""Against LiteLLM's proxy, a gateway that is in wide use, with answers it makes up.

To have these run: `make servers`.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import promptlab as pl
from promptlab.execution.progress import Progress
from promptlab.testing import PATIENCE_S, wait_until

from .started import BUILD, Started, installed, started

pytestmark = pytest.mark.server

CONFIG = Path(__file__).with_name("litellm.yaml")
KEYS = Path(__file__).with_name("litellm_keys.py")


@dataclass(frozen=True)
class Gateway:
    """A running proxy, and how long its log was when a test began."""

    server: Started
    said_before: int

    @property
    def statuses(self) -> Counter[int]:
        """How often it answered the calls of this test with each status."""
        log = self.server.log.read_text()[self.said_before :]
        found = re.findall(r"POST /v1/chat/completions \S+ (\d+)", log)
        return Counter(map(int, found))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    program = installed(BUILD / "litellm" / "bin" / "litellm")
    folder = tmp_path_factory.mktemp("litellm")
    config = shutil.copy(CONFIG, folder)
    shutil.copy(KEYS, folder)
    listen = ("--host", "127.0.0.1", "--port", "0", "--telemetry", "False")
    with started(
        [program, "--config", config, *listen],
        folder / "server.log",
        LITELLM_MASTER_KEY=f"sk-{secrets.token_hex(16)}",
        LITELLM_LOCAL_MODEL_COST_MAP="True",  # what it carries, not a download
        PYTHONUNBUFFERED="1",
    ) as server:
        yield server


@pytest.fixture
def gateway(running: Started) -> Gateway:
    return Gateway(running, len(running.log.read_text()))


def experiment(*models: str, cases: int = 2) -> pl.Experiment:
    return pl.Experiment(
        "behind a gateway",
        grid={"model": list(models), "prompt": ["{{text}}"], "max_tokens": [16]},
        dataset=[{"text": f"text {number}"} for number in range(cases)],
    )


def options(gateway: Gateway, **more: Any) -> dict[str, Any]:
    return {
        "base_url": gateway.server.base_url,
        "api_key": "sk-plain",
        "progress": False,
        "max_attempts": 2,
        **more,
    }


def run(asked: pl.Experiment, gateway: Gateway, **more: Any) -> pl.Results:
    return asked.run(**options(gateway, **more))


def test_a_grid_is_answered_and_the_second_run_asks_nothing(gateway: Gateway) -> None:
    first = run(experiment("fine", cases=3), gateway)
    second = run(experiment("fine", cases=3), gateway)

    assert first.status == second.status == "complete"
    assert first.table["output"].tolist() == ["Certainly."] * 3
    assert first.table["input_tokens"].tolist() == [10] * 3
    assert first.table["output_tokens"].tolist() == [20] * 3
    assert (first.totals.calls, second.totals.calls) == (3, 0)
    assert gateway.statuses == {200: 3}


@pytest.mark.parametrize(
    ("model", "attempts", "said"),
    [
        ("broken", 2, "mock internal server error"),
        ("too-long", 1, "mock context window exceeded error"),
        ("filtered", 1, "content_filter_policy"),
        ("no-such", 1, "Invalid model name passed in model=no-such"),
    ],
)
def test_an_error_of_the_gateway_is_a_failure_that_says_what_happened(
    gateway: Gateway, model: str, attempts: int, said: str
) -> None:
    results = run(experiment(model, cases=1), gateway)

    (failure,) = results.failures.values()
    assert results.status == "complete"
    assert said in failure.message
    assert "\n" not in failure.summary
    assert results.errors["attempts"].tolist() == [attempts]
    assert gateway.statuses.total() == attempts


def test_a_model_that_is_always_too_busy_is_asked_again_and_then_fails(
    gateway: Gateway,
) -> None:
    results = run(experiment("busy", cases=1), gateway, max_wait_s=3)

    (failure,) = results.failures.values()
    assert "mock rate limit error" in failure.message
    assert "\n" not in failure.summary
    assert failure.attempts >= 2
    assert gateway.statuses == {429: failure.attempts}


def test_a_model_that_fails_leaves_the_others_alone(gateway: Gateway) -> None:
    results = run(experiment("fine", "too-long"), gateway)

    assert (results.totals.answered, results.totals.failed) == (2, 2)
    assert set(results.errors["model"]) == {"too-long"}
    assert gateway.statuses == {200: 2, 400: 2}


def test_a_wrong_key_stops_the_run_with_one_line(gateway: Gateway) -> None:
    results = run(
        experiment("fine", cases=9), gateway, api_key="sk-wrong", max_concurrency=1
    )

    assert results.status == "stopped"
    assert "no such key" in results.reason
    assert "sk-wrong" not in results.reason
    assert gateway.statuses == {401: 1}


def test_a_limit_per_minute_is_learnt_when_it_is_first_met(gateway: Gateway) -> None:
    seen: list[Progress] = []
    asked = experiment("three-a-minute", cases=9)

    handle = asked.start(**options(gateway, progress=seen.append))
    wait_until(lambda: any(progress.waiting for progress in seen))
    handle.cancel()
    results = handle.result(PATIENCE_S)

    assert results.status == "interrupted"
    assert 3 <= results.totals.answered < 9
    assert gateway.statuses[429] <= 6


def test_what_the_gateway_says_that_an_answer_cost_is_its_cost(
    gateway: Gateway,
) -> None:
    results = run(experiment("fine", cases=2), gateway)

    each = (10 * 0.15 + 20 * 0.60) / 1_000_000  # what it lists for its model
    assert results.table["cost_usd"].tolist() == pytest.approx([each] * 2)


def test_a_cap_on_calls_at_once_is_lived_with(gateway: Gateway) -> None:
    """It refuses with `Retry-After: 60`, though a place is free after a third of a
    second."""
    results = run(
        experiment("slow", cases=12),
        gateway,
        api_key="sk-two-at-once",
        max_wait_s=100,
    )

    assert results.totals.answered == 12
    assert results.totals.elapsed_s < 60
