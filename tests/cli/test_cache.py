"""`cache`: list, stats, explain, prune, clear, export, import."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from promptlab.offline import OfflineServer

from .conftest import CommandLine


@pytest.fixture
def answered(promptlab: CommandLine, config: Callable[..., Path]) -> None:
    """Four answers that `triage` paid for, four that `other` did."""
    other = config(name="other", grid={"temperature": [1]}).rename("other.yaml")
    promptlab("run", other)
    promptlab("run", config())


@pytest.mark.usefixtures("answered")
def test_list_has_a_line_for_each_experiment(promptlab: CommandLine) -> None:
    done = promptlab("cache", "list")

    words = [line.split()[:2] for line in done.stdout.splitlines()]
    assert ["triage", "4"] in words
    assert ["other", "4"] in words
    assert {
        entry["experiment"]: entry["answers"]
        for entry in promptlab("cache", "list", "--json").json
    } == {"triage": 4, "other": 4}


def test_list_says_that_the_cache_is_empty(promptlab: CommandLine) -> None:
    assert promptlab("cache", "list").stdout == "the cache is empty\n"


@pytest.mark.usefixtures("answered")
def test_stats_say_where_and_how_many(promptlab: CommandLine, folder: Path) -> None:
    done = promptlab("cache", "stats")

    assert done.stdout.startswith("8 answers, ")
    assert done.stdout.endswith(f"on disk, in {folder / '.promptlab' / 'cache'}\n")


@pytest.mark.usefixtures("answered")
def test_explain_says_who_paid_for_a_hit(promptlab: CommandLine) -> None:
    done = promptlab("cache", "explain", "experiment.yaml", "--trial", "3")

    assert done.stdout.startswith("trial 3 (model='offline/small'")
    assert "cached   yes, paid for by triage" in done.stdout


@pytest.mark.usefixtures("answered")
def test_explain_says_what_makes_the_difference_to_the_nearest(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    done = promptlab("cache", "explain", config(grid={"max_tokens": [17]}))

    assert "cached   no; the nearest is" in done.stdout
    assert "max_tokens: asked 17, stored 16" in done.stdout


def test_explain_takes_trials_of_further_repeats(promptlab: CommandLine) -> None:
    promptlab("run", "experiment.yaml", "--repeats", "3")

    done = promptlab(
        "cache", "explain", "experiment.yaml", "--repeats", "3", "--trial", "11"
    )

    assert "case='2', repeat=2" in done.stdout
    assert "cached   yes" in done.stdout


def test_explain_asks_where_a_run_would(
    promptlab: CommandLine,
    config: Callable[..., Path],
    serve: Callable[..., OfflineServer],
    folder: Path,
) -> None:
    server = serve(models={"tuned": "offline/small"})
    (folder / ".env").write_text(f"OPENAI_BASE_URL={server.base_url}\n")
    promptlab("run", config(grid={"model": ["tuned"]}))

    done = promptlab("cache", "explain", "experiment.yaml")

    assert "cached   yes" in done.stdout


@pytest.mark.usefixtures("answered")
def test_prune_removes_what_an_experiment_paid_for(promptlab: CommandLine) -> None:
    done = promptlab("cache", "prune", "--experiment", "other", "--yes")

    assert done.stdout == "removed 4 answers\n"
    assert promptlab("run", "other.yaml", "--json").json["calls"] == 4
    assert promptlab("run", "experiment.yaml", "--json").json["calls"] == 0


@pytest.mark.usefixtures("answered")
def test_prune_by_age_keeps_what_is_younger(promptlab: CommandLine) -> None:
    done = promptlab("cache", "prune", "--older-than", "1h", "--yes")

    assert done.stdout == "removed 0 answers\n"


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(
    "command", [["clear"], ["prune", "--experiment", "other"]], ids=" ".join
)
def test_nothing_is_removed_without_a_yes(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    done = promptlab("cache", *command)

    assert done.code == 0
    assert "would have to be paid for again" in " ".join(done.stdout.split())
    assert "nothing was removed" in done.stdout
    assert promptlab("cache", "stats", "--json").json["answers"] == 8


@pytest.mark.usefixtures("answered")
def test_where_nobody_can_answer_yes_is_an_option(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    done = promptlab("cache", "clear")

    assert done.code == 1
    assert done.stderr.splitlines()[-1] == (
        "promptlab: nothing was removed; --yes removes without asking"
    )
    assert promptlab("cache", "stats", "--json").json["answers"] == 8


@pytest.mark.usefixtures("answered")
def test_a_variable_is_no_yes(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setenv("PROMPTLAB_YES", "1")

    done = promptlab("cache", "clear")

    assert done.code == 1
    assert promptlab("cache", "stats", "--json").json["answers"] == 8


@pytest.mark.usefixtures("answered")
def test_clear_removes_all(promptlab: CommandLine) -> None:
    done = promptlab("cache", "clear", "--yes")

    assert done.stdout == "removed 8 answers\n"
    assert promptlab("cache", "stats", "--json").json["answers"] == 0


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.gz"])
def test_exported_answers_spare_others_their_calls(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch, folder: Path, name: str
) -> None:
    exported = promptlab("cache", "export", name, "--experiment", "triage")
    monkeypatch.setenv("PROMPTLAB_HOME", str(folder / "colleague"))

    first = promptlab("cache", "import", name)
    again = promptlab("cache", "import", name)

    assert exported.stdout == f"wrote 4 answers to {name}\n"
    assert first.stdout == "added 4 answers; 0 already there\n"
    assert again.stdout == "added 0 answers; 4 already there\n"
    assert promptlab("run", "experiment.yaml", "--json").json["calls"] == 0


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("name", ["experiment.yaml", "answers.csv", "answers.gz"])
def test_answers_are_exported_to_jsonl_only(
    promptlab: CommandLine, folder: Path, name: str
) -> None:
    before = (folder / "experiment.yaml").read_bytes()

    done = promptlab("cache", "export", name)

    assert done.code == 1
    assert (
        done.stderr
        == f"promptlab: {name}: answers are written as .jsonl or .jsonl.gz\n"
    )
    assert (folder / "experiment.yaml").read_bytes() == before


@pytest.mark.usefixtures("answered")
def test_import_keeps_good_lines_and_tells_the_others_by_their_numbers(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    promptlab("cache", "export", "answers.jsonl", "--experiment", "triage")
    lines = (folder / "answers.jsonl").read_text().splitlines()
    lines[1] = lines[1].replace('"attempts":1', '"attempts":' + "9" * 30)
    lines.insert(3, "{}")
    (folder / "answers.jsonl").write_text("\n".join(lines))
    monkeypatch.setenv("PROMPTLAB_HOME", str(folder / "colleague"))

    done = promptlab("cache", "import", "answers.jsonl")

    assert done.code == 1
    first, *rest = done.stdout.splitlines()
    assert first == "added 3 answers; 0 already there; 2 lines refused:"
    assert [line.partition(":")[0] for line in rest] == ["line 2", "line 4"]
    assert promptlab("cache", "stats", "--json").json["answers"] == 3


def test_import_of_something_else_says_the_line(promptlab: CommandLine) -> None:
    Path("a.jsonl").write_text("{}\n")

    done = promptlab("cache", "import", "a.jsonl")

    assert done.code == 1
    assert "a.jsonl, line 1 is not a cached answer" in done.stderr


@pytest.fixture
def elsewhere(promptlab: CommandLine, config: Callable[..., Path]) -> Path:
    """A config file with a cache of its own, of four answers."""
    path = config(run={"cache": "own"})
    promptlab("run", path)
    return path


def test_cache_of_a_config_is_reached_by_its_folder(
    promptlab: CommandLine, elsewhere: Path
) -> None:
    here = "--cache", "own"

    assert promptlab("cache", "stats", "--json").json["answers"] == 0
    assert promptlab("cache", "stats", "--json", *here).json["answers"] == 4
    assert promptlab("cache", "list", "--json", *here).json[0]["answers"] == 4
    assert "wrote 4 answers" in promptlab("cache", "export", "a.jsonl", *here).stdout
    pruned = promptlab("cache", "prune", "--experiment", "triage", "-y", *here)
    assert pruned.stdout == "removed 4 answers\n"
    assert "added 4 answers" in promptlab("cache", "import", "a.jsonl", *here).stdout
    assert promptlab("cache", "clear", "-y", *here).stdout == "removed 4 answers\n"


def test_cache_folder_on_the_command_line_wins_over_the_configs(
    promptlab: CommandLine, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promptlab("run", elsewhere, "--limit", "1", "--cache", "other")

    there = promptlab("validate", elsewhere, "--json").json
    other = promptlab("validate", elsewhere, "--json", "--cache", "other").json
    explained = promptlab("cache", "explain", elsewhere, "--trial", "3")
    monkeypatch.setenv("PROMPTLAB_CACHE", "other")
    unlike = promptlab("cache", "explain", elsewhere, "--trial", "3")

    assert (there["cached"], other["cached"]) == (4, 2)
    assert "cached   yes" in explained.stdout
    assert "cached   no" in unlike.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["stats"],
        ["clear", "-y"],
        ["export", "a.jsonl"],
        ["prune", "--older-than", "1d", "-y"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["nowhere", "files"])
def test_folder_without_a_cache_is_told_and_stays_as_it_is(
    promptlab: CommandLine, folder: Path, command: list[str], name: str
) -> None:
    (folder / "files").mkdir()

    done = promptlab("cache", *command, "--cache", name)

    assert done.code == 1
    assert done.stderr == f"promptlab: no cache in {name}\n"
    assert not list(folder.glob("nowhere"))
    assert not list((folder / "files").iterdir())
