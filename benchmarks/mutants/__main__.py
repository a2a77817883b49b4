"""python -m benchmarks.mutants [WORD ...]: how many small faults does a test notice?

Each fault is put into a copy of the package, and the tests that should notice it run
there. Words choose some of the faults, by their files or what goes wrong. The exit code
is 0 if the share of those noticed is at least `ENOUGH`.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from benchmarks.mutants.faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]
AT_ONCE = 2
ENOUGH = 0.9
LONGEST_S = 300.0
"""Tests that take longer than this wait for ever, and so notice a fault."""

NOT_COPIED = shutil.ignore_patterns(
    *(".*", "__pycache__", "*.egg-info", "node_modules", "dist", "build", "out")
)
PASSED, FAILED = 0, 1
"""Exit codes of pytest."""

FIRST_FAILED = re.compile(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", re.MULTILINE)


class Outcome(NamedTuple):
    """What became of a fault."""

    by: str
    """The test that noticed it, or that they took too long; empty if none did."""
    took_s: float


def main(words: Sequence[str]) -> int:
    """Puts faults in, one by one, and prints which of them were noticed."""
    faults = [f for f in FAULTS if not words or any(w in f.file + f.why for w in words)]
    if problems := [said for fault in faults for said in problems_of(fault)]:
        print(*problems, sep="\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Path(folder, str(number)) for number in range(AT_ONCE)]
        for copy in copies:
            shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
        by = [one.by for one in shown(faults, outcomes(faults, copies)) if one.by]
        noticing = sorted({test for test in by if "::" in test})
        again = ran(copies[0], noticing) if noticing else None
    if again is not None and again.returncode != PASSED:
        print(f"a test that noticed a fault fails without one:\n{again.stdout}")
        return 2
    share = len(by) / len(faults) if faults else 1.0
    print(f"{len(by)} of {len(faults)} noticed: {share:.0%}")
    return 0 if share >= ENOUGH else 1


def problems_of(fault: Fault) -> Iterator[str]:
    """Why a fault cannot be tried, as the package or its tests have changed."""
    count = (ROOT / "promptlab" / fault.file).read_text("utf-8").count(fault.old)
    if count != 1:
        yield f"{fault.file}: found {count} times, expected once: {fault.old!r}"
    for name in fault.tests.split():
        if not (ROOT / "tests" / name).is_file():
            yield f"{fault.file}: no file tests/{name}"


def outcomes(faults: Sequence[Fault], copies: Collection[Path]) -> Iterator[Outcome]:
    """What becomes of each fault, in order; as many at once as there are copies."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def outcome(fault: Fault) -> Outcome:
        copy, started = free.get(), time.monotonic()
        file = copy / "promptlab" / fault.file
        right = file.read_text("utf-8")
        try:
            file.write_text(right.replace(fault.old, fault.new), "utf-8")
            return Outcome(noticed_by(copy, fault), time.monotonic() - started)
        finally:
            file.write_text(right, "utf-8")
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        yield from pool.map(outcome, faults)


def noticed_by(copy: Path, fault: Fault) -> str:
    """The first test that fails in a copy; empty if all pass."""
    try:
        ended = ran(copy, fault.tests.split(), LONGEST_S)
    except subprocess.TimeoutExpired:
        return f"tests that take more than {LONGEST_S:g} s"
    if ended.returncode == PASSED:
        return ""
    found = FIRST_FAILED.search(ended.stdout)
    if ended.returncode != FAILED or found is None:
        raise RuntimeError(f"pytest did not run: {ended.stdout}{ended.stderr}")
    return found[1]


def ran(
    copy: Path, tests: Iterable[str], longest_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Tests, run in a copy up to the first that fails."""
    # No bytecode is kept: a fault may be as long as what it replaces.
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
            *(f"tests/{test}" for test in tests),
        ],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=longest_s,
    )


def shown(faults: Iterable[Fault], found: Iterable[Outcome]) -> Iterator[Outcome]:
    """The outcomes, each printed as it comes."""
    for fault, outcome in zip(faults, found, strict=True):
        mark = "noticed" if outcome.by else "NOT NOTICED"
        print(f"{mark:11} {outcome.took_s:4.0f} s  {fault.file}: {fault.why}")
        if outcome.by:
            print(f"{'':18}  by {outcome.by}")
        sys.stdout.flush()
        yield outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
