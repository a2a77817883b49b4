"""Against aimock, an OpenAI-compatible server that is not ours, from npm.

To have these run: `make servers`.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import promptlab as pl

from .started import ROOT, Started, installed, started

pytestmark = pytest.mark.server

LLMOCK = ROOT / "node_modules" / ".bin" / "llmock"

SCRIPT = [
    {
        "match": {"userMessage": "busy", "sequenceIndex": 0},
        "response": {
            "status": 429,
            "retryAfter": 1,
            "error": {
                "message": "Rate limit reached",
                "type": "requests",
                "code": "rate_limit_exceeded",
            },
        },
    },
    {
        "match": {"model": "no-key"},
        "response": {
            "status": 401,
            "error": {
                "message": "Incorrect API key provided: sk-1234567890abcdef",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            },
        },
    },
    {
        "match": {"model": "no-credit"},
        "response": {
            "status": 429,
            "retryAfter": 0,  # none at all, which it cannot do
            "error": {
                "message": "You exceeded your current quota, please check your plan",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            },
        },
    },
    {
        "match": {"model": "no-such"},
        "response": {
            "status": 404,
            "error": {
                "message": "The model `no-such` does not exist",
                "type": "invalid_request_error",
                "code": "model_not_found",
            },
        },
    },
    {
        "match": {"userMessage": "too long"},
        "response": {
            "status": 400,
            "error": {
                "message": "This model's maximum context length is 8 tokens",
                "type": "invalid_request_error",
                "code": "context_length_exceeded",
            },
        },
    },
    {"match": {}, "response": {"content": "Certainly."}},
]
"""What aimock answers; the last one to everything else."""


@dataclass(frozen=True)
class Mock:
    """A running aimock."""

    server: Started

    @property
    def journal(self) -> list[dict[str, Any]]:
        """What it was asked and answered, in order."""
        address = f"{self.server.address}/__aimock/journal"
        with urllib.request.urlopen(address, timeout=10) as reply:
            entries: list[dict[str, Any]] = json.load(reply)
        return entries

    @property
    def statuses(self) -> Counter[int]:
        """How often it answered with each status."""
        return Counter(entry["response"]["status"] for entry in self.journal)

    @property
    def questions(self) -> list[str]:
        """The last message of each call, in order."""
        return [entry["body"]["messages"][-1]["content"] for entry in self.journal]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("aimock") / "script.json"
    path.write_text(json.dumps({"fixtures": SCRIPT}))
    return path


@pytest.fixture
def serve(script: Path) -> Iterator[Callable[..., Mock]]:
    """Starts aimock with the command-line options given, for the time of a test."""
    program = installed(LLMOCK)
    words = program, "--port", "0", "--fixtures", script
    with ExitStack() as stack:

        def start(*options: str) -> Mock:
            log = script.with_name(f"{secrets.token_hex(8)}.log")
            return Mock(stack.enter_context(started([*words, *options], log)))

        yield start


def experiment(*texts: str, model: str | list[str] = "any", **more: Any) -> Any:
    models = [model] if isinstance(model, str) else model
    return pl.Experiment(
        "mocked",
        grid={
            "model": models,
            "prompt": {"plain": "{{text}}", "polite": "Please: {{text}}"},
            "temperature": [0],
            "max_tokens": [16],
        },
        dataset=[{"text": text} for text in texts],
        **more,
    )


def run(asked: Any, mock: Mock, **options: Any) -> pl.Results:
    settings = {"base_url": mock.server.base_url, "progress": False, **options}
    return asked.run(**settings)


def test_every_trial_is_answered_and_paid_for_once(serve: Callable[..., Mock]) -> None:
    mock, asked = serve(), experiment("one", "two", "three", repeats=2)

    first = run(asked, mock)
    second = run(asked, mock)

    assert first.status == second.status == "complete"
    assert first.table["output"].tolist() == ["Certainly."] * 12
    assert (first.table["output_tokens"] > 0).all()
    assert first.totals.calls == 12
    assert second.totals.calls == 0
    assert mock.statuses == {200: 12}


def test_wrong_key_stops_the_run_with_one_line(serve: Callable[..., Mock]) -> None:
    mock, texts = serve(), [f"text {number}" for number in range(20)]

    results = run(experiment(*texts, model="no-key"), mock, max_concurrency=1)

    assert results.status == "stopped"
    assert "401 invalid_api_key" in results.reason
    assert "check the API key" in results.reason
    assert "sk-1234567890abcdef" not in results.reason
    assert mock.statuses == {401: 1}


def test_exhausted_quota_stops_the_run_without_a_retry(
    serve: Callable[..., Mock],
) -> None:
    mock = serve()

    results = run(experiment("one", "two", model="no-credit"), mock, max_concurrency=1)

    assert results.status == "stopped"
    assert "insufficient_quota" in results.reason
    assert mock.statuses == {429: 1}


def test_unknown_model_fails_alone_and_is_asked_once(
    serve: Callable[..., Mock],
) -> None:
    mock = serve()
    asked = experiment("one", "two", model=["any", "no-such"])

    results = run(asked, mock, max_concurrency=1)

    assert results.status == "complete"
    assert (results.totals.answered, results.totals.failed) == (4, 4)
    assert set(results.errors["model"]) == {"no-such"}
    assert set(results.errors["code"]) == {"model_not_found"}
    assert mock.statuses == {200: 4, 404: 1}


def test_bad_request_fails_its_trials_and_is_not_repeated(
    serve: Callable[..., Mock],
) -> None:
    mock = serve()

    results = run(experiment("fine", "too long"), mock)

    assert (results.totals.answered, results.totals.failed) == (2, 2)
    assert set(results.errors["code"]) == {"context_length_exceeded"}
    assert set(results.errors["attempts"]) == {1}
    assert mock.statuses == {200: 2, 400: 2}


def test_retry_after_is_honoured_and_the_call_answered(
    serve: Callable[..., Mock],
) -> None:
    mock = serve()

    results = run(experiment("busy"), mock, max_concurrency=1)

    assert results.totals.answered == 2
    assert results.totals.calls == 2
    assert results.totals.elapsed_s >= 1
    assert mock.statuses == {200: 2, 429: 1}


@pytest.mark.parametrize(
    "chaos",
    [
        "--chaos-ratelimit",
        "--chaos-drop",
        "--chaos-malformed",
        "--chaos-disconnect",
    ],
)
def test_under_chaos_every_trial_ends_and_the_next_run_asks_what_is_missing(
    serve: Callable[..., Mock], chaos: str
) -> None:
    mock = serve(chaos, "0.3")
    asked = experiment("one", "two", "three")

    first = run(asked, mock, max_attempts=3)
    before = len(mock.questions)
    second = run(asked, mock, max_attempts=3)

    assert first.status == second.status == "complete"
    assert first.totals.answered + first.totals.failed == 6
    assert len(first.table) == 6
    assert all(failure.message for failure in first.failures.values())
    assert first.totals.calls == first.totals.answered
    assert second.totals.cached == first.totals.answered
    assert second.totals.answered >= first.totals.answered
    missing = first.table[first.table["error"].notna()]
    assert set(mock.questions[before:]) == {
        row.text if row.prompt == "plain" else f"Please: {row.text}"
        for row in missing.itertuples()
    }


@pytest.mark.parametrize(
    ("chaos", "said"),
    [
        ("--chaos-ratelimit", "429"),
        ("--chaos-drop", "500"),
        ("--chaos-malformed", "not JSON"),
        ("--chaos-disconnect", "connection"),
    ],
)
def test_server_that_always_fails_is_told_clearly(
    serve: Callable[..., Mock], chaos: str, said: str
) -> None:
    mock = serve(chaos, "1")

    results = run(experiment("one"), mock, max_attempts=2, max_wait_s=3)

    assert results.status == "complete"
    assert results.totals.failed == 2
    assert results.totals.calls == 0
    assert all(said in failure.summary for failure in results.failures.values())


def test_command_line_runs_against_it(
    serve: Callable[..., Mock], tmp_path: Path
) -> None:
    mock, config = serve(), tmp_path / "mocked.yaml"
    config.write_text(
        "name: mocked\n"
        "dataset: [{text: one}, {text: two}]\n"
        "grid: {model: [any], prompt: ['{{text}}']}\n"
        f"run: {{base_url: {mock.server.base_url}}}\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "promptlab", "run", "mocked.yaml", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["calls"] == 2
    assert mock.statuses == {200: 2}
