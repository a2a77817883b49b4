"""Run records: what each run was, kept in `.promptlab/runs`.

A record is a folder with `run.json`: when and with which versions the experiment ran,
how it ended, its totals, which trials were answered and which failed and why. Beside it
`answers.parquet` says which answers those were: see `run_answers`. The definition of
the experiment, its cases included, is kept once for all runs of it, in
`runs/experiments`; the answers are in the cache. Together they give the results again,
whatever has happened since. While a run goes on, its process holds a lock on the file
`running` beside it, which the system lets go however the process ends.
"""

from __future__ import annotations

import calendar
import hashlib
import os
import platform
import secrets
import time
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from promptlab.errors import (
    CacheError,
    Failure,
    PromptlabWarning,
    UnknownRun,
    did_you_mean,
)
from promptlab.formats import counted
from promptlab.money.own_prices import OwnPrice, own_price
from promptlab.money.prices import Prices
from promptlab.results.columns import Answers, ranges
from promptlab.results.costs import Pricing
from promptlab.results.results import Results
from promptlab.results.run_answers import PastAnswers, RunAnswers
from promptlab.spec.definition import Definition
from promptlab.spec.requests import Requests
from promptlab.spec.response import ReplySummary
from promptlab.store.cache import ResponseCache
from promptlab.store.home import home, ignore_in_git, private_folder
from promptlab.store.lookup import TrialStatus, look_up
from promptlab.store.wire_names import known_names

if TYPE_CHECKING:
    import pandas as pd

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MOST_REASONS = 200
"""Different failures that a record keeps as they are. Were each of a million to hold an
id of its own, the record would be larger than the answers."""

PACKAGES = (
    *("promptlab-notebook", "openai", "pandas", "diskcache", "aiohttp"),
    "genai-prices",
)


FORMAT = 1
"""The version of the records that this promptlab writes; it reads those up to it."""

PRUNED = Failure(kind="not_cached", message="this run's answer is no longer kept")
NOT_KEPT = Failure(kind="not_cached", message="not kept: the run did not use the cache")


@dataclass(repr=False)
class RunRecord:
    """One recorded run; `load_results()` gives what it gave."""

    name: str
    """What `promptlab show` takes: time, experiment, and a few random letters."""
    experiment: str
    """The SHA-256 of the experiment's definition, under which it is kept."""
    experiment_name: str
    dataset_digest: str
    routes: dict[str, str]
    """Where each model was asked: part of every key."""
    cache: str
    """The folder of the cache that holds the answers; empty if none does."""
    started_s: float
    """In seconds since 1970."""
    variants: int = 0
    """How many points of the grid it asked; 0 in a record that does not say."""
    prices: list[dict[str, Any]] = field(default_factory=list)
    """The own prices that were in force."""
    versions: dict[str, str] = field(default_factory=dict)
    status: str = "running"
    """How it ended; `running` while it has not, and for ever if it was killed."""
    reason: str = ""
    wire_names: list[tuple[str, str, str]] = field(default_factory=list)
    """By base URL and model, what the server wanted `max_tokens` to be called."""
    totals: dict[str, Any] = field(default_factory=dict)
    answered: str | None = None
    """The trials that were answered, as ranges: `0-3,7`. None in a record that does not
    say, as of a run that was killed: those that are in the cache now."""
    asked: str = ""
    """Those of them that were answered by calls of this run."""
    failures: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Which trials failed, as ranges, and why."""
    format: int = FORMAT
    """The version of the record."""
    problem: str = ""
    """What is wrong with a record that cannot be read; empty otherwise."""

    @classmethod
    def begin(
        cls,
        experiment: Definition,
        routes: Mapping[str, str],
        cache: str,
        prices: Sequence[OwnPrice] = (),
    ) -> RunRecord | None:
        """A new record, on disk; None, with a warning, where none can be written."""
        definition = orjson.dumps(experiment.to_plain())
        digest = _digest(definition)
        record = cls(
            name=_new_name(experiment.name),
            experiment=digest,
            experiment_name=experiment.name,
            dataset_digest=experiment.dataset.digest,
            routes=dict(routes),
            cache=cache,
            started_s=time.time(),
            variants=len(experiment.effective_variants),
            prices=[own.to_plain() for own in prices],
            versions=_versions(),
        )
        try:
            folder = private_folder(runs_folder() / "experiments")
            ignore_in_git(home())
            if not (file := folder / f"{digest}.json").exists():
                _write(file, definition)
            record._take_lock()
            record.save()
        except (OSError, CacheError) as error:
            warnings.warn(
                f"this run leaves no record: {error}", PromptlabWarning, stacklevel=2
            )
            return None
        return record

    def finish(
        self, results: Results, asked: Iterable[int], answers: RunAnswers
    ) -> None:
        """Adds how the run ended, and which answers it had."""
        self.status, self.reason = results.status, results.reason
        self.totals = asdict(results.totals)
        try:
            table = results.table
            answers.write(self._folder())
            self.answered = ranges(table["trial"][table["error"].isna()].tolist())
            self.asked = ranges(asked)
            self.failures = list(_grouped(results.failures))
            self.save()
        except (OSError, CacheError, TypeError, ValueError) as error:
            warnings.warn(
                f"the record of this run is incomplete: {error}",
                PromptlabWarning,
                stacklevel=2,
            )
        self.release()

    def save(self) -> None:
        """Writes it to its folder."""
        _write(
            self._folder() / "run.json",
            orjson.dumps(self._to_plain(), option=orjson.OPT_INDENT_2),
        )

    def release(self) -> None:
        """Tells that the run goes on no longer, whatever came of it."""
        with suppress(OSError):
            (runs_folder() / self.name / "running").unlink()

    @property
    def state(self) -> str:
        """Its status; of one that has none yet, `running` or `ended early`; of one that
        cannot be read, `unreadable`."""
        if self.problem:
            return "unreadable"
        if self.status != "running":
            return self.status
        held = _is_locked(runs_folder() / self.name / "running")
        if held is None:
            return "ended early or running"
        return "running" if held else "ended early"

    @property
    def failed(self) -> frozenset[int]:
        """The indexes of the trials that failed."""
        return frozenset(i for where, _ in self.failures for i in numbers(where))

    def load_experiment(self) -> Definition:
        """The experiment that was run.

        Raises:
            UnknownRun: its definition is no longer there, or its record cannot be
                read.
        """
        if self.problem:
            raise UnknownRun(f"run {self.name!r}: {self.problem}")
        path = runs_folder() / "experiments" / f"{self.experiment}.json"
        try:
            return self._made_experiment(orjson.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError) as error:
            raise UnknownRun(
                f"the definition of run {self.name!r} is lost: {error}"
            ) from error

    @staticmethod
    def _made_experiment(plain: Mapping[str, Any]) -> Definition:
        """The experiment of a definition, with its methods that run it."""
        from promptlab.experiment import Experiment

        return Experiment.from_plain(plain)

    def load_results(self) -> Results:
        """The results that the run gave, whatever has been asked since.

        An answer that is no longer kept, as it was pruned or cleared, is a failure, and
        a warning says how many there are. Of a run that was killed, which could not say
        which answers it had, they are what the cache holds now.

        Raises:
            UnknownRun: its definition is no longer there, or its record cannot be
                read.
        """
        experiment = self.load_experiment()
        names = {(base_url, model): name for base_url, model, name in self.wire_names}
        if self.status == "running":  # it could not say
            names = dict(known_names())
        requests = Requests(experiment, self.routes.__getitem__, names)
        answers = Answers(len(experiment))
        failures = {i: f for where, f in self.failures for i in numbers(where)}
        asked = frozenset(numbers(self.asked))
        answered = None if self.answered is None else set(numbers(self.answered))
        own = tuple(own_price(**line) for line in self.prices)
        pricing = Pricing(experiment, Prices(own), self.routes)
        cache = ResponseCache(self.cache) if self.cache else None
        had = RunAnswers.read(runs_folder() / self.name)
        kept = PastAnswers(cache, had) if cache is not None and had else cache
        gone = 0
        failed_with: dict[int, Sequence[ReplySummary]] = {}
        for group in look_up(requests, kept):
            for lookup in group:
                index = lookup.trial
                if index in failures:
                    heads = lookup.heads
                    if lookup.status is TrialStatus.DUPLICATE:
                        heads = failed_with.get(lookup.first, ())
                    failed_with[index] = heads
                    paid = had.paid_by(index) if had else []
                    failure = Failure.from_plain(failures[index])
                    answers.fail(index, failure, heads[: len(paid)], paid)
                elif answered is not None and index not in answered:
                    continue
                elif lookup.status is TrialStatus.CACHED:
                    paid = (
                        had.paid_by(index)
                        if had
                        else [index in asked] * len(lookup.heads)
                    )
                    answers.put(index, lookup.heads, lookup.key, paid)
                elif answered is not None or self.status == "complete":
                    answers.fail(index, PRUNED if cache is not None else NOT_KEPT)
                    gone += cache is not None
        if gone:
            warnings.warn(
                f"{counted(gone, 'answer')} of run {self.name!r} "
                f"{'is' if gone == 1 else 'are'} no longer kept in {self.cache}: "
                "pruned, cleared or removed since; shown as failures",
                PromptlabWarning,
                stacklevel=2,
            )
        return Results(
            experiment,
            answers,
            pricing=pricing,
            status=_status(self.state),
            reason=self.reason,
            calls=self.totals.get("calls", 0),
            billed_usd=self.totals.get("billed_usd"),
            elapsed_s=self.totals.get("elapsed_s", 0.0),
            run=self.name,
            lookup=None if cache is None else cache.entries_of,
        )

    def __repr__(self) -> str:
        answered, trials = self.totals.get("answered"), self.totals.get("trials")
        said = f", {answered:,} of {trials:,} answered" if trials is not None else ""
        return f"RunRecord({self.name!r}: {self.state}{said}; .load_results())"

    def _to_plain(self) -> dict[str, Any]:
        return {n: value for n, value in asdict(self).items() if n != "problem"}

    def _folder(self) -> Path:
        return private_folder(runs_folder() / self.name)

    def _take_lock(self) -> None:
        """Locks the file `running` for as long as this process and object live."""
        if fcntl is None:
            return
        descriptor = os.open(self._folder() / "running", os.O_RDWR | os.O_CREAT, 0o600)
        weakref.finalize(self, os.close, descriptor)
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def recorded_runs() -> pd.DataFrame:
    """Every recorded run, the latest first: one row for each.

    The columns: `started` (UTC), the name of the `run`, which `find_run` takes, its
    `experiment` and `status`; how many `variants` and `trials` it had, and how many of
    those were `answered` and `failed`, NA where the record does not say; `cost_usd` of
    its answers and `billed_usd`, what the run itself paid, NaN where a price is
    unknown; `note`, why it was stopped, or why its record cannot be read.
    """
    import pandas as pd

    records = run_records()
    frame = pd.DataFrame(
        {
            "started": pd.to_datetime(
                [record.started_s for record in records], unit="s", utc=True
            ).round("s"),
            "run": pd.array([record.name for record in records], dtype="str"),
            "experiment": pd.array(
                [record.experiment_name for record in records], dtype="str"
            ),
            "status": pd.array([record.state for record in records], dtype="str"),
            "variants": pd.array(
                [record.variants or None for record in records], dtype="Int64"
            ),
        }
    )
    for name in ("trials", "answered", "failed"):
        values = [record.totals.get(name) for record in records]
        frame[name] = pd.array(values, dtype="Int64")
    for name in ("cost_usd", "billed_usd"):
        values = [record.totals.get(name) for record in records]
        frame[name] = pd.array(values, dtype="float64")
    frame["note"] = pd.array([r.problem or r.reason for r in records], dtype="str")
    return frame


def run_records() -> list[RunRecord]:
    """The record of every run, the latest first."""
    records = [_read(file) for file in runs_folder().glob("*/run.json")]
    return sorted(records, key=lambda record: record.started_s, reverse=True)


def last_run_of(experiment: Definition) -> RunRecord | None:
    """The latest recorded run of just this experiment; None if there is none."""
    digest = _digest(orjson.dumps(experiment.to_plain()))
    return next((r for r in run_records() if r.experiment == digest), None)


def find_run(name: str | None = None) -> RunRecord:
    """The run of that name, or whose name begins so, or the latest of the experiment
    of that name; without a name, the latest of all.

    Raises:
        UnknownRun: there is none, or more than one begins so.
    """
    runs = run_records()
    if not runs:
        raise UnknownRun(f"no run is recorded in {runs_folder()}")
    if name is None:
        return runs[0]
    found = [r for r in runs if name in (r.name, r.experiment_name)]
    if not found:
        found = [r for r in runs if r.name.startswith(name)]
        if len(found) > 1:
            raise UnknownRun(
                f"{len(found)} runs begin with {name!r}; "
                f"the latest is {found[0].name!r}"
            )
    if not found:
        close = did_you_mean(name, [r.name for r in runs])
        raise UnknownRun(
            f"no run {name!r}{close or f'; the latest is {runs[0].name!r}'}"
        )
    return found[0]


def runs_folder() -> Path:
    """Where records are kept."""
    return home() / "runs"


def numbers(where: str) -> Iterator[int]:
    """The whole numbers that ranges such as `0-3,7` name."""
    for part in filter(None, where.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _grouped(
    failures: Mapping[int, Failure],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Which trials failed, as ranges, and why; beyond the first `MOST_REASONS` why is
    what others of the kind and status said."""
    groups: dict[bytes, list[int]] = {}
    others: dict[tuple[str, int | None], bytes] = {}
    for index in sorted(failures):
        failure = failures[index]
        plain = orjson.dumps(failure.to_plain())
        if plain not in groups and len(groups) >= MOST_REASONS:
            sort = failure.kind, failure.status
            plain = others.setdefault(sort, orjson.dumps(_like(failure).to_plain()))
        groups.setdefault(plain, []).append(index)
    for plain, indexes in groups.items():
        yield ranges(indexes), orjson.loads(plain)


def _like(failure: Failure) -> Failure:
    """What stands for many failures that differ from one another."""
    said = f"one of many, such as: {failure.message}"
    return Failure(kind=failure.kind, status=failure.status, message=said)


def _digest(definition: bytes) -> str:
    return hashlib.sha256(definition).hexdigest()


def _status(state: str) -> Any:
    return state if state in ("complete", "stopped", "running") else "interrupted"


def _is_locked(file: Path) -> bool | None:
    """Whether a process holds a lock on a file; None where that cannot be told."""
    if fcntl is None:
        return None
    try:
        with file.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError) as error:
        return isinstance(error, BlockingIOError)
    except OSError:
        return None
    return False


def _read(file: Path) -> RunRecord:
    """The record in a file; one that says what is wrong, where it cannot be read."""
    plain: dict[str, Any] = {}
    try:
        plain = dict(orjson.loads(file.read_bytes()))
        version = int(plain.get("format", FORMAT))
        if version <= FORMAT:
            return _checked(RunRecord(**plain))
        problem = (
            f"recorded by a newer promptlab (format {version}; this one reads up to "
            f"{FORMAT}); upgrade to read it"
        )
    except TypeError:
        problem = "its record is damaged: it is not what promptlab writes"
    except (OSError, ValueError) as error:
        problem = f"its record is damaged: {error}"
    return RunRecord(
        name=file.parent.name,
        experiment="",
        experiment_name=str(plain.get("experiment_name", "")),
        dataset_digest="",
        routes={},
        cache="",
        started_s=_started_s(file.parent.name),
        problem=problem,
    )


def _checked(record: RunRecord) -> RunRecord:
    """The record, if what listings show of it is of the right type."""
    numbers_there = all(
        value is None or isinstance(value, (int, float))
        for value in (record.started_s, record.variants, *record.totals.values())
    )
    if not numbers_there or not isinstance(record.name, str):
        raise ValueError("numbers were expected")
    return record


def _started_s(name: str) -> float:
    """When a run began, by its name; 0 where that is not one of ours."""
    try:
        return calendar.timegm(time.strptime(name[:15], "%Y%m%d-%H%M%S"))
    except ValueError:
        return 0.0


def _write(file: Path, content: bytes) -> None:
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _new_name(experiment: str) -> str:
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in experiment)
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{moment}-{kept.strip('-')[:40] or 'run'}-{secrets.token_hex(2)}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
