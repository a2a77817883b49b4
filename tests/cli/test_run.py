"""`run`: what is asked, what is printed, what is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import promptlab as pl
from promptlab.offline import Faults, OfflineServer

from .conftest import PATIENCE_S, CommandLine

Config = Callable[..., Path]


def test_second_run_makes_no_call_and_says_so(process: CommandLine) -> None:
    first = process("run", "experiment.yaml")
    second = process("run", "experiment.yaml")

    assert first.code == second.code == 0
    assert "4 of 4 trials answered" in first.stdout
    assert "4 calls made" in first.stdout
    assert "4 of 4 trials answered, 4 from the cache (100%)" in second.stdout
    assert "0 calls made" in second.stdout
    assert "triage: 4/4" in second.stderr


def test_run_prints_a_line_for_each_variant(promptlab: CommandLine) -> None:
    done = promptlab("run", "experiment.yaml")

    assert [line.split()[:2] for line in done.stdout.splitlines()[-3:-1]] == [
        ["plain", "2"],
        ["terse", "2"],
    ]
    assert done.stdout.splitlines()[-1].startswith("recorded as ")


def test_summary_has_no_column_of_which_nothing_is_known(
    promptlab: CommandLine, config: Config
) -> None:
    answered = promptlab("run", "experiment.yaml").stdout.splitlines()[1:3]
    failed = promptlab("run", config(grid={"model": ["offline/none"]})).stdout

    assert "cost" not in " ".join(answered)  # of the offline model
    assert failed.splitlines()[1].split() == ["prompt", "trials", "failed"]


def test_a_table_is_written_to_every_file_named(
    promptlab: CommandLine, config: Config, folder: Path
) -> None:
    names = ["a.csv", "deep/b.xlsx", "c.jsonl", "d.parquet"]

    done = promptlab("run", config(output="out/z.csv"), *_each("-o", names))

    assert done.code == 0
    for name in [*names, "out/z.csv"]:
        assert f"wrote {name}" in done.stdout
        assert list(pl.read_results(folder / name)["case"].astype(str)) == list("1122")


def test_output_is_relative_to_the_config_file(
    promptlab: CommandLine, config: Config, folder: Path
) -> None:
    (folder / "sub").mkdir()
    config(output="out/z.csv").rename("sub/experiment.yaml")

    promptlab("run", "sub/experiment.yaml", "-o", "a.csv")

    assert (folder / "sub" / "out" / "z.csv").exists()
    assert (folder / "a.csv").exists()


def test_json_is_all_that_standard_output_holds(process: CommandLine) -> None:
    done = process("run", "experiment.yaml", "--json", "-o", "a.csv")

    assert done.json["answered"] == done.json["calls"] == 4
    assert done.json["status"] == "complete"
    assert done.json["output"] == ["a.csv"]
    assert done.json["errors"] == []
    assert done.stderr == ""


def test_quiet_prints_nothing(promptlab: CommandLine) -> None:
    done = promptlab("run", "experiment.yaml", "--quiet")

    assert (done.code, done.stdout, done.stderr) == (0, "", "")


def test_quiet_still_prints_why_nothing_could_run(promptlab: CommandLine) -> None:
    done = promptlab("run", "experiment.yaml", "-q", "--offline")

    assert (done.code, done.stdout) == (1, "")
    assert "nothing could run" in done.stderr


@pytest.mark.parametrize("limit", [("--rpm", "1"), ("--tpm", "10")])
def test_a_dry_run_says_how_long_the_own_limits_take(
    promptlab: CommandLine, limit: tuple[str, str]
) -> None:
    done = promptlab("run", "experiment.yaml", "--dry-run", *limit)

    assert re.search(r"4 calls to make, in \d+ min.* or more", done.stdout)


def test_dry_run_says_what_would_be_done_and_does_nothing(
    promptlab: CommandLine, server: OfflineServer, folder: Path
) -> None:
    done = promptlab("run", "experiment.yaml", "--dry-run", "-o", "a.csv", *_at(server))

    assert done.code == 0
    assert "4 trials: 0 cached, 4 new, 0 duplicates; 4 calls to make" in done.stdout
    assert server.calls == 0
    assert not (folder / "a.csv").exists()
    assert "no recorded runs" in promptlab("show", "--list").stdout


def test_base_url_is_where_requests_are_sent(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    done = promptlab("run", "experiment.yaml", *_at(server))

    assert done.code == 0
    assert server.calls == 4


def test_more_repeats_pay_for_the_new_ones_only(promptlab: CommandLine) -> None:
    promptlab("run", "experiment.yaml")

    done = promptlab("run", "experiment.yaml", "--repeats", "3", "--json")

    assert done.json["trials"] == 12
    assert done.json["calls"] == 8


@pytest.mark.parametrize(
    ("limit", "cases"), [("1", ["1"]), ("2-2", ["2"]), ("1-2", ["1", "2"])]
)
def test_limit_takes_the_first_cases_or_a_range(
    promptlab: CommandLine, folder: Path, limit: str, cases: list[str]
) -> None:
    done = promptlab("run", "experiment.yaml", "--limit", limit, "-o", "a.jsonl")

    assert done.code == 0
    assert pl.read_results(folder / "a.jsonl")["case"].unique().tolist() == cases


@pytest.mark.parametrize(
    ("only", "trials"),
    [
        (["prompt=terse"], 8),
        (["temperature=0.5"], 8),
        (["temperature=1"], 8),
        (["system=null"], 8),
        (["prompt=terse", "temperature=1"], 4),
        (["temperature=1", "temperature=0.5"], 16),
    ],
)
def test_only_keeps_the_values_named(
    promptlab: CommandLine, config: Config, only: list[str], trials: int
) -> None:
    path = config(
        grid={"temperature": [0.5, 1.0], "system": [None, "Be brief."]},
    )

    done = promptlab("validate", path, "--json", *_each("--only", only))

    assert done.json["trials"] == trials


def test_only_takes_the_name_of_a_value(promptlab: CommandLine, config: Config) -> None:
    path = config(grid={"system": {"none": None, "agent": "You route tickets."}})

    done = promptlab("validate", path, "--json", "--only", "system=none")

    assert done.json["trials"] == 4


def test_var_sets_an_input_in_every_case(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    promptlab("run", "experiment.yaml", "--var", "ticket=Hello = world", *_at(server))

    asked = {body["messages"][-1]["content"] for body in server.requests}
    assert all(text.endswith("Hello = world") for text in asked)


def test_var_gives_a_field_that_no_case_has(
    promptlab: CommandLine, config: Config, server: OfflineServer
) -> None:
    path = config(grid={"system": [None, "Be {{tone}}."], "prompt": ["{{ticket}}"]})

    without = promptlab("run", path, *_at(server))
    done = promptlab("run", path, "--var", "tone=kind", *_at(server))

    assert without.code == 1
    assert "needs ['tone']" in without.stderr
    assert done.code == 0
    asked = [body["messages"][0]["content"] for body in server.requests]
    assert asked.count("Be kind.") == 2


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("tikcet", "; did you mean 'ticket'?"),
        ("xyz", "; valid names: ticket"),
        ("expected", "; valid names: ticket"),
        ("prompt", "; valid names: ticket"),
    ],
)
@pytest.mark.parametrize(
    "command", [["run"], ["run", "--dry-run"], ["validate"], ["cache", "explain"]]
)
def test_var_that_would_change_nothing_is_refused(
    promptlab: CommandLine, command: list[str], field: str, hint: str
) -> None:
    done = promptlab(*command, "experiment.yaml", "--var", f"{field}=x")

    assert done.code == 1
    assert done.stderr == (
        f"promptlab: no prompt uses {field!r}, and no case of dataset has it{hint}\n"
    )


def test_var_may_set_a_field_that_no_prompt_uses_yet(
    promptlab: CommandLine, config: Config
) -> None:
    path = config(dataset=[{"id": "1", "ticket": "a", "note": "b"}])

    assert promptlab("validate", path, "--var", "note=c").code == 0


def test_no_cache_reads_nothing_and_stores_nothing(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    for _ in range(2):
        promptlab("run", "experiment.yaml", "--no-cache", *_at(server))

    assert server.calls == 8
    assert promptlab("cache", "stats", "--json").json["answers"] == 0


def test_refresh_asks_anew_and_stores_the_answers(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    for option in [(), ("--refresh",), ()]:
        promptlab("run", "experiment.yaml", *option, *_at(server))

    assert server.calls == 8


def test_offline_answers_from_the_cache(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    promptlab("run", "experiment.yaml", *_at(server))

    done = promptlab("run", "experiment.yaml", "--offline", *_at(server))

    assert done.code == 0
    assert "4 from the cache (100%), 0 calls made" in done.stdout
    assert server.calls == 4


def test_offline_names_the_trials_that_are_not_cached(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    promptlab("run", "experiment.yaml", "--limit", "1", *_at(server))

    done = promptlab("run", "experiment.yaml", "--offline", *_at(server))

    assert done.code == 3
    assert "2 of 4 trials answered" in done.stdout
    assert "prompt='plain', temperature=0, max_tokens=16, case='2'" in done.stdout
    assert "is not in the cache, and offline makes no calls" in done.stdout
    assert server.calls == 2


def test_offline_and_refresh_exclude_each_other(promptlab: CommandLine) -> None:
    done = promptlab("run", "experiment.yaml", "--offline", "--refresh")

    assert done.code == 1
    assert done.stderr.splitlines()[-1].startswith("promptlab: offline=True answers")


def test_retry_errors_asks_only_what_failed(
    promptlab: CommandLine, config: Config, serve: Callable[..., OfflineServer]
) -> None:
    path = config(grid={"model": ["offline/small", "tuned"]})
    knows_one = serve()
    assert promptlab("run", path, *_at(knows_one)).code == 3
    knows_both = serve(models={"tuned": "offline/small"}, log_requests=True)

    promptlab("run", path, "--retry-errors", *_at(knows_both))

    assert [body["model"] for body in knows_both.requests] == ["tuned"] * 4


def test_retry_errors_needs_a_run_to_retry(promptlab: CommandLine) -> None:
    done = promptlab("run", "experiment.yaml", "--retry-errors")

    assert done.code == 1
    assert done.stderr == (
        "promptlab: --retry-errors: no run of 'triage' is recorded; "
        "run it without --retry-errors\n"
    )


@pytest.mark.parametrize("options", [["--limit", "1"], ["--only", "prompt=plain"]])
def test_retry_errors_after_a_run_of_other_trials_says_what_to_give(
    promptlab: CommandLine, options: list[str]
) -> None:
    run = promptlab("run", "experiment.yaml", *options, "--json").json["run"]

    done = promptlab("run", "experiment.yaml", "--retry-errors")
    same = promptlab("run", "experiment.yaml", *options, "--retry-errors")

    assert done.code == 1
    (line,) = done.stderr.splitlines()
    assert f"the last run of 'triage', {run}, was of other trials" in line
    assert "--limit, --only, --var or --repeats differ; give them as they were" in line
    assert "or leave --retry-errors out" in line
    assert same.code == 0


def test_retry_errors_says_that_nothing_failed(promptlab: CommandLine) -> None:
    run = promptlab("run", "experiment.yaml", "--json").json["run"]

    done = promptlab("run", "experiment.yaml", "--retry-errors")

    assert done.code == 0
    assert f"--retry-errors: nothing failed in {run}" in done.stderr.splitlines()
    assert "4 of 4 trials answered" in done.stdout


def test_retry_errors_after_a_run_that_ended_early_says_how_to_go_on(
    promptlab: CommandLine, serve: Callable[..., OfflineServer]
) -> None:
    poor = serve(Faults(quota_after=1))
    run = promptlab("run", "experiment.yaml", "-j", "1", "--json", *_at(poor)).json
    assert (run["status"], run["failed"]) == ("stopped", 1)
    rich = serve()

    done = promptlab("run", "experiment.yaml", "--retry-errors", *_at(rich))

    assert done.code == 3
    assert rich.calls == 1
    assert (
        f"--retry-errors: {run['run']} did not ask all of its trials (stopped); "
        "leave --retry-errors out to ask the rest"
    ) in done.stderr


def test_env_file_gives_the_key_and_the_server(
    promptlab: CommandLine,
    config: Config,
    serve: Callable[..., OfflineServer],
    folder: Path,
) -> None:
    server = serve(models={"tuned": "offline/small"}, api_key="sk-test-1234567890")
    path = config(grid={"model": ["tuned"]})
    (folder / "mine.env").write_text(
        f"OPENAI_API_KEY=sk-test-1234567890\nOPENAI_BASE_URL={server.base_url}\n"
    )

    without = promptlab("run", path)
    done = promptlab("run", path, "--env-file", "mine.env")

    assert without.code == 1
    assert "no API key for https://api.openai.com/v1" in without.stderr
    assert done.code == 0
    assert server.answered == 4
    assert "sk-test-1234567890" not in done.stdout + done.stderr


@pytest.mark.parametrize("most", [1, 3])
def test_max_concurrency_bounds_the_calls_in_flight(
    promptlab: CommandLine, serve: Callable[..., OfflineServer], most: int
) -> None:
    server = serve(Faults(latency_s=0.1))

    promptlab("run", "experiment.yaml", "-j", most, *_at(server))

    assert server.calls == 4
    assert server.in_flight_max == most


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("results.txt", "written as .csv, .jsonl, .parquet, .xlsx"),
        ("results", "a file without an ending"),
        ("experiment.yaml/results.csv", "Not a directory"),
        ("taken.csv", "it is a folder"),
    ],
)
@pytest.mark.parametrize("where", ["command line", "config file"])
def test_output_that_cannot_be_written_is_said_before_any_call(
    promptlab: CommandLine,
    config: Config,
    server: OfflineServer,
    folder: Path,
    target: str,
    said: str,
    where: str,
) -> None:
    (folder / "taken.csv").mkdir()
    path = config(output=target) if where == "config file" else config()
    given = [] if where == "config file" else ["-o", "fine.csv", "-o", target]

    done = promptlab("run", path, *given, *_at(server))

    assert done.code == 1
    assert target in done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert server.calls == 0


@pytest.mark.parametrize(
    "named", ["cases.csv", "./sub/../cases.csv", "soft.csv", "hard.csv"]
)
@pytest.mark.parametrize(
    ("arguments", "in_config"),
    [
        (["validate"], True),
        (["run"], True),
        (["run", "--dry-run"], True),
        (["run"], False),
        (["run", "--dry-run"], False),
    ],
)
def test_output_never_takes_the_place_of_what_the_experiment_is_read_from(
    promptlab: CommandLine,
    config: Config,
    folder: Path,
    named: str,
    arguments: list[str],
    in_config: bool,
) -> None:
    (folder / "sub").mkdir()
    cases = folder / "cases.csv"
    cases.write_text("ticket\nI was charged twice.\n")
    (folder / "soft.csv").symlink_to(cases)
    (folder / "hard.csv").hardlink_to(cases)
    path = config(dataset="cases.csv", output=named if in_config else [])

    done = promptlab(*arguments, path, *([] if in_config else ["-o", named]))

    assert done.code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"promptlab: {Path(named)} cannot be an output: ")
    assert line.endswith("; name another file")
    assert cases.read_text() == "ticket\nI was charged twice.\n"


def test_output_that_is_a_link_to_an_input_names_both(
    promptlab: CommandLine, config: Config, folder: Path
) -> None:
    (folder / "cases.csv").write_text("ticket\nHello\n")
    (folder / "link.csv").symlink_to("cases.csv")

    own = promptlab("run", config(dataset="cases.csv"), "-o", "cases.csv")
    link = promptlab("run", config(dataset="cases.csv"), "-o", "link.csv")

    assert "cases.csv cannot be an output: the experiment is read from it" in own.stderr
    assert "link.csv cannot be an output" in link.stderr
    assert "the experiment is read from cases.csv" in link.stderr


def test_run_that_answers_nothing_leaves_the_outputs_of_an_earlier_one(
    promptlab: CommandLine, config: Config, folder: Path
) -> None:
    path = config(output="out/z.csv")
    promptlab("run", path)
    before = (folder / "out" / "z.csv").read_bytes()

    wrong = config(grid={"model": ["offline/none"]}, output="out/z.csv")
    failed = promptlab("run", wrong, "-o", "new.csv")
    plain = promptlab("run", wrong, "--json")

    assert failed.code == plain.code == 1
    assert (folder / "out" / "z.csv").read_bytes() == before
    assert not (folder / "new.csv").exists()
    assert (
        "no trial was answered, so no table is written; out/z.csv is unchanged"
        in failed.stderr.splitlines()
    )
    assert "wrote" not in failed.stdout
    assert plain.json["output"] == []


def test_run_that_answers_something_writes_all_of_its_outcomes(
    promptlab: CommandLine, config: Config, folder: Path
) -> None:
    path = config(grid={"model": ["offline/small", "offline/none"]}, output="z.csv")

    done = promptlab("run", path)

    assert done.code == 3
    assert len(pl.read_results(folder / "z.csv")) == 8


def test_output_that_fails_after_all_loses_nothing(
    started: Callable, serve: Callable[..., OfflineServer], promptlab: CommandLine
) -> None:
    from .conftest import until

    server = serve(Faults(latency_s=0.5))
    child = started(
        "run", "experiment.yaml", "-o", "out/a.csv", "-o", "b.csv", *_at(server)
    )
    until(lambda: server.calls, "a call")
    Path("out").write_text("a file stands where the folder was to be")
    stdout, stderr = child.communicate(timeout=PATIENCE_S)

    assert child.returncode == 1
    assert "4 of 4 trials answered" in stdout
    assert "wrote b.csv" in stdout
    assert "wrote out/a.csv" not in stdout
    assert stderr.splitlines()[-1].startswith("promptlab: out/a.csv cannot be written")
    assert promptlab("export", "-o", "c.csv").code == 0
    assert server.calls == 4


def _at(server: OfflineServer) -> tuple[str, str]:
    return "--base-url", server.base_url


def _each(option: str, values: list[str]) -> list[str]:
    return [part for value in values for part in (option, value)]
