"""Progress: what a line says of a run, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.execution.progress import Progress, progress_html
from promptlab.formats import thousands

RUNNING = Progress(
    name="triage",
    trials=960,
    answered=60,
    cached=12,
    failed=5,
    calls=48,
    input_tokens=12_000,
    output_tokens=345,
    billed_usd=0.0123,
    in_flight=16,
    elapsed_s=3.0,
    calls_per_s=15.97,
    left_s=56.1,
)


def test_a_line_says_counts_speed_time_left_money_and_tokens() -> None:
    assert RUNNING.line == (
        "triage: 65/960 · 12 cached · 5 failed · 16 calls/s · 56 s left · $0.012 paid "
        "· 12k tokens"
    )


def test_what_is_waited_for_comes_first_as_a_narrow_line_is_cut() -> None:
    waiting = replace(RUNNING, waiting="Retry-After of m (3 calls)")

    assert waiting.facts[0] == "waiting for Retry-After of m (3 calls)"


def test_the_last_line_says_how_it_ended_and_what_it_took() -> None:
    over = replace(RUNNING, state="stopped", reason="401: wrong key", waiting="x")

    assert over.line == (
        "triage: 65/960 · 12 cached · 5 failed · 48 calls made · stopped in 3.0 s · "
        "$0.012 paid · 12k tokens · 401: wrong key"
    )


def test_one_call_is_one_call() -> None:
    over = replace(RUNNING, state="complete", calls=1)

    assert " · 1 call made · " in over.line


@pytest.mark.parametrize("billed_usd", [0.0, float("nan")], ids=["free", "unknown"])
def test_money_is_not_shown_where_nothing_is_known_to_be_paid(
    billed_usd: float,
) -> None:
    assert "$" not in replace(RUNNING, billed_usd=billed_usd).line


def test_html_is_escaped_and_needs_no_style_sheet() -> None:
    shown = progress_html(replace(RUNNING, name="<img onerror=x>", reason="</div><b>"))

    assert "<img" not in shown
    assert "</div><b>" not in shown
    assert "65/960" in shown


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((0, "0"), (999, "999"), (999.5, "1.0k"), (1_234, "1.2k"), (9_940, "9.9k")),
        *((9_990, "10k"), (12_345, "12k"), (999_499, "999k"), (999_999, "1.0M")),
        *((4_560_000, "4.6M"), (9_990_000, "10M")),
    ],
)
def test_large_counts_are_brief(count: float, text: str) -> None:
    assert thousands(count) == text
