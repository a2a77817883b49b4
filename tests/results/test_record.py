"""Records: what a response and a failure say of themselves."""

from __future__ import annotations

import promptlab as pl

from .making import FAILURE


def test_a_failure_is_one_line_of_status_code_and_message() -> None:
    assert FAILURE.summary == "429 rate_limit_exceeded: Slow down (6 attempts)"


def test_a_failure_without_a_status_says_its_kind() -> None:
    assert (
        pl.Failure(kind="timeout", message="no answer").summary == "timeout: no answer"
    )


def test_a_long_message_is_cut() -> None:
    summary = pl.Failure(kind="status", message="x" * 10_000).summary

    assert len(summary) < 600
    assert summary.endswith("…")


def test_a_failure_reads_back_what_it_writes() -> None:
    assert pl.Failure.from_plain(FAILURE.to_plain()) == FAILURE


def test_headers_are_never_kept_or_shown() -> None:
    failure = pl.Failure(kind="status", message="a", headers={"x-secret": "hunter2"})
    response = pl.Response("a", "stop", pl.Usage(), 0.1, headers={"x": "hunter2"})

    assert "hunter2" not in repr(failure) + str(failure.to_plain()) + repr(response)
