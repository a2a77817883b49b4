"""How a process ends: interrupted, terminated, or with nobody to read it."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from promptlab.offline import Faults, OfflineServer

from .conftest import COMMAND, PATIENCE_S, CommandLine, until

Started = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_keeps_its_answers_and_the_next_asks_the_rest(
    started: Started,
    promptlab: CommandLine,
    serve: Callable[..., OfflineServer],
    how: signal.Signals,
) -> None:
    server = serve(Faults(latency_s=0.3))
    run = ["run", "experiment.yaml", "--repeats", "4", "--base-url", server.base_url]
    child = started(*run, "--json", "-j", "2", "-o", "a.csv")
    until(lambda: server.answered >= 3, "three answers")

    child.send_signal(how)
    stdout, stderr = child.communicate(timeout=PATIENCE_S)

    assert child.returncode == 130
    assert "Traceback" not in stderr
    said = json.loads(stdout)
    assert said["status"] == "interrupted"
    assert 3 <= said["answered"] == server.answered < 16
    assert Path("a.csv").exists()
    assert promptlab("show", "--json").json["status"] == "interrupted"
    rest = promptlab(*run, "--json").json
    assert rest["answered"] == 16
    assert rest["calls"] == 16 - said["answered"]


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_terminal_ends_the_shells_loop_of_runs_too(
    config: Callable[..., Path], serve: Callable[..., OfflineServer], times: int
) -> None:
    server = serve(Faults(latency_s=0.5))
    run = shlex.join([*COMMAND, "run", "experiment.yaml", "-j", "1"])
    at = f"--base-url {server.base_url}"
    loop = f"for one in 1 2; do {run} {at} --no-cache -q; echo next; done"

    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "-c", loop],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        start_new_session=True,
    )
    os.close(theirs)
    with shell:
        until(lambda: server.calls, "a call")
        for _ in range(times):
            os.killpg(shell.pid, signal.SIGINT)
        stdout, _ = shell.communicate(timeout=PATIENCE_S)
    os.close(ours)
    until(lambda: not server.in_flight, "the end of the call")

    assert shell.returncode == -signal.SIGINT
    assert "next" not in stdout
    assert server.calls == 1


def test_run_is_listed_as_running_until_its_process_is_gone(
    started: Started, promptlab: CommandLine, serve: Callable[..., OfflineServer]
) -> None:
    server = serve(Faults(latency_s=2))
    at = "--base-url", server.base_url
    child = started("run", "experiment.yaml", "-j", "1", "--repeats", "4", *at)
    until(lambda: server.in_flight, "a call")

    during = promptlab("show", "--list", "--json").json
    shown = promptlab("show")
    child.kill()
    child.communicate(timeout=PATIENCE_S)
    after = promptlab("show", "--list")
    until(lambda: not server.in_flight, "the end of the call")

    assert [run["status"] for run in during] == ["running"]
    assert shown.stdout.splitlines()[1].endswith(", running")
    assert after.stdout.splitlines()[-1].split()[1:] == [
        "ended",
        "early",
        "2",
        *"–––––",
    ]


@pytest.mark.parametrize(
    "arguments",
    [["run", "experiment.yaml"], ["schema"], ["validate", "experiment.yaml"]],
    ids=" ".join,
)
def test_pipe_that_nobody_reads_ends_quietly(
    started: Started, arguments: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    child = started(*arguments, stdout=writer)
    os.close(writer)
    _, stderr = child.communicate(timeout=PATIENCE_S)

    assert child.returncode == 0
    assert "Error" not in stderr
    assert "Errno" not in stderr


def test_run_goes_on_when_nobody_reads_its_log(
    started: Started, promptlab: CommandLine
) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    child = started("run", "experiment.yaml", stderr=writer)
    os.close(writer)
    stdout, _ = child.communicate(timeout=PATIENCE_S)

    assert child.returncode == 0
    assert "4 of 4 trials answered" in stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_behind_standard_output_is_one_line(started: Started) -> None:
    with Path("/dev/full").open("w") as full:
        child = started("schema", stdout=full)
        _, stderr = child.communicate(timeout=PATIENCE_S)

    assert child.returncode == 1
    (line,) = stderr.splitlines()
    assert "No space left on device" in line


def test_offline_server_ends_with_ctrl_c(started: Started) -> None:
    child = started("serve-offline", "--port", "0")
    assert "on http://127.0.0.1:" in child.stdout.readline()

    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=PATIENCE_S)

    assert child.returncode == 130
    assert "Traceback" not in stderr


def test_port_in_use_is_one_line(promptlab: CommandLine, server: OfflineServer) -> None:
    port = server.base_url.rsplit(":", 1)[1].removesuffix("/v1")

    done = promptlab("serve-offline", "--port", port)

    assert done.code == 1
    assert f"port {port} cannot be used" in done.stderr
    assert len(done.stderr.splitlines()) == 1
