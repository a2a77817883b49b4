"""Run records: what each run was, kept in the project's database.

A record says when and with which versions the experiment ran, how it ended, its totals,
which trials were answered, which failed and why, and which answers those were: see
`run_answers`. The definition of the experiment, its cases included, is kept once for
all runs of it; the answers are in the cache. Together they give the results again,
whatever has happened since. While a run goes on, its process gives a sign of life.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import secrets
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
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
from promptlab.results.columns import OutcomeColumns, ranges
from promptlab.results.costs import Pricing
from promptlab.results.results import Results
from promptlab.results.run_answers import PastAnswers, RunAnswers
from promptlab.results.scores import ScoreColumn, score_bytes, score_from_bytes
from promptlab.spec.content import FileReader
from promptlab.spec.definition import Definition
from promptlab.spec.requests import Requests
from promptlab.spec.response import ReplySummary
from promptlab.store.alive import SignOfLife, is_alive
from promptlab.store.cache import ResponseCache
from promptlab.store.database import Database
from promptlab.store.home import home
from promptlab.store.lookup import TrialStatus, look_up
from promptlab.store.sqlite_files import why_not_written
from promptlab.store.wire_names import known_names

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_REASONS = 200
"""Different failures that a record keeps as they are. Were each of a million to hold an
id of its own, the record would be larger than the answers."""

PACKAGES = (
    *("promptlab-notebook", "openai", "pandas", "diskcache", "aiohttp"),
    "genai-prices",
)


JSON = ("routes", "prices", "versions", "wire_names", "totals", "failures")
"""The members of a record that are kept as JSON."""

LOST = b"\x89PNG"
"""What stands for a file that is not kept: an image that no answer is about."""

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
    process: str | None = None
    """The sign of life of its process; None on systems without file locks."""
    sign: SignOfLife | None = field(default=None, init=False, compare=False)
    """Of a run of this process, while it goes on."""

    @classmethod
    def begin(
        cls,
        experiment: Definition,
        routes: Mapping[str, str],
        cache: str,
        prices: Sequence[OwnPrice] = (),
    ) -> RunRecord | None:
        """A new record, on disk; None, with a warning, if it cannot be written."""
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
            totals=_of_stages(experiment),
        )
        try:
            record.sign = SignOfLife(home())
            record.process = record.sign.name
            with closing(Database()) as database, database.writing() as connection:
                kept = "INSERT OR IGNORE INTO experiments VALUES (?, ?)"
                connection.execute(kept, (digest, definition))
                row = record._to_row()
                names, values = ", ".join(row), ", ".join("?" * len(row))
                insert = f"INSERT INTO runs ({names}) VALUES ({values})"
                connection.execute(insert, [*row.values()])
        except (OSError, CacheError) as error:
            warnings.warn(
                f"could not save the run's record: {why_not_written(error)}",
                PromptlabWarning,
                stacklevel=2,
            )
            record.release()
            return None
        return record

    def finish(self, results: Results, asked: np.ndarray, answers: RunAnswers) -> None:
        """Adds how the run ended, and which answers it had."""
        self.status, self.reason = results.status, results.reason
        self.totals = asdict(results.totals)
        try:
            table = results.table
            self.answered = ranges(table["trial"][table["error"].isna()].to_numpy())
            self.asked = ranges(asked)
            self.failures = list(_grouped(results.failures))
            row = {**self._to_row(), "answers": answers.to_bytes()}
            changes = ", ".join(f"{name} = ?" for name in row)
            with closing(Database()) as database, database.writing() as connection:
                update = f"UPDATE runs SET {changes} WHERE name = ?"
                connection.execute(update, [*row.values(), self.name])
            self.keep_scores(results)
        except (OSError, CacheError, TypeError, ValueError) as error:
            warnings.warn(
                f"could not save the whole of the run's record: {error}",
                PromptlabWarning,
                stacklevel=2,
            )
        self.release()

    def keep_scores(self, results: Results) -> None:
        """Keeps the scores of the run's results with its record, in place of those of
        the same names.

        Raises:
            CacheError: they cannot be written.
        """
        trials = results.table["trial"].tolist()
        rows = [
            (self.name, name, score_bytes(trials, column))
            for name, column in results.score_columns.items()
        ]
        if not rows:
            return
        with closing(Database()) as database, database.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows
            )

    def release(self) -> None:
        """Says that the run goes on no longer, whatever came of it."""
        if self.sign is not None:
            self.sign.end()

    @property
    def state(self) -> str:
        """Its status; of one that has none yet, `running` or `ended early`; of one that
        cannot be read, `unreadable`."""
        if self.problem:
            return "unreadable"
        if self.status != "running":
            return self.status
        alive = is_alive(home(), self.process)
        if alive is None:
            return "ended early or running"
        return "running" if alive else "ended early"

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
        sql = "SELECT definition FROM experiments WHERE digest = ?"
        with closing(Database.to_read()) as database:
            found = database.rows(sql, (self.experiment,))
        try:
            ((definition,),) = found
            plain = orjson.loads(definition)
            if source := plain["dataset"].get("source"):
                source["stages"] = self.totals.get("stages", ())
            return self._made_experiment(plain, self._kept_files(plain))
        except (ValueError, KeyError) as error:
            raise UnknownRun(
                f"the definition of run {self.name!r} is lost: {error}"
            ) from error

    def _kept_files(self, plain: Mapping[str, Any]) -> FileReader | None:
        """The files that the prompts of a definition name, as they were for the run."""
        digests = plain.get("files")
        if not digests or not self.cache:
            return None
        cache = ResponseCache(self.cache)

        def read(name: str) -> bytes:
            kind, _, small = digests[name].partition(",")
            try:
                return base64.b64decode(small) if small else cache.medium(kind)
            except CacheError:  # all answers about it failed, or are gone
                return LOST

        return read

    @staticmethod
    def _made_experiment(
        plain: Mapping[str, Any], files: FileReader | None
    ) -> Definition:
        """The experiment of a definition, with its methods that run it."""
        from promptlab.experiment import Experiment

        return Experiment.from_plain(plain, files)

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
        answers = OutcomeColumns(len(experiment))
        failures = {i: f for where, f in self.failures for i in numbers(where)}
        asked = frozenset(numbers(self.asked))
        answered = None if self.answered is None else set(numbers(self.answered))
        own = tuple(own_price(**line) for line in self.prices)
        pricing = Pricing(experiment, Prices(own), self.routes)
        cache = ResponseCache(self.cache) if self.cache else None
        had = self._answers()
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
        results = Results(
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
        scores = self._kept_scores(results.table["trial"].tolist())
        return results.with_scores(scores) if scores else results

    def __repr__(self) -> str:
        answered, trials = self.totals.get("answered"), self.totals.get("trials")
        share = f", {answered:,} of {trials:,} answered" if trials is not None else ""
        return f"RunRecord({self.name!r}: {self.state}{share}; .load_results())"

    def _answers(self) -> RunAnswers | None:
        sql = "SELECT answers FROM runs WHERE name = ? AND answers IS NOT NULL"
        with closing(Database.to_read()) as database:
            found = database.rows(sql, (self.name,))
        return RunAnswers.from_bytes(found[0][0]) if found else None

    def _kept_scores(self, trials: Sequence[int]) -> dict[str, ScoreColumn]:
        """The scores that the run had; those that are damaged are left out, with a
        warning."""
        sql = "SELECT name, content FROM scores WHERE run = ? ORDER BY rowid"
        with closing(Database.to_read()) as database:
            rows = database.rows(sql, (self.name,))
        scores: dict[str, ScoreColumn] = {}
        for name, content in rows:
            try:
                scores[name] = score_from_bytes(content, trials)
            except (OSError, KeyError, ValueError):
                warnings.warn(
                    f"score {name!r} of run {self.name!r} is damaged and left out",
                    PromptlabWarning,
                    stacklevel=3,
                )
        return scores

    def _to_row(self) -> dict[str, Any]:
        return {
            name: orjson.dumps(getattr(self, name)).decode()
            if name in JSON
            else getattr(self, name)
            for name in COLUMNS
        }


COLUMNS = tuple(name for name in RunRecord.__dataclass_fields__ if name != "sign")
"""Those of a run in the database, but for its answers."""


COUNTED = ("trials", "answered", "failed", "cost_usd", "billed_usd")
"""The totals that the list of runs shows."""

LISTED = {
    "started": "float64",
    **dict.fromkeys(("run", "experiment", "status"), "str"),
    **dict.fromkeys(("variants", "trials", "answered", "failed"), "Int64"),
    **dict.fromkeys(("cost_usd", "billed_usd"), "float64"),
    "note": "str",
}
"""The columns of that list."""


def recorded_runs() -> pd.DataFrame:
    """Every recorded run, the latest first: one row for each.

    The columns: `started` (UTC), the name of the `run`, which `find_run` takes, its
    `experiment` and `status`; how many `variants` and `trials` it had, and how many of
    those were `answered` and `failed`, NA where the record does not say; `cost_usd` of
    its answers and `billed_usd`, what the run itself paid, NaN where a price is
    unknown; `note`, why it was stopped, or why its record cannot be read.
    """
    import pandas as pd

    rows = [
        {
            "started": record.started_s,
            "run": record.name,
            "experiment": record.experiment_name,
            "status": record.state,
            "variants": record.variants or None,
            **{name: record.totals.get(name) for name in COUNTED},
            "note": record.problem or record.reason,
        }
        for record in run_records()
    ]
    frame = pd.DataFrame(rows, columns=list(LISTED)).astype(LISTED)
    started = pd.to_datetime(frame["started"], unit="s", utc=True)
    return frame.assign(started=started.dt.round("s"))


def run_records() -> list[RunRecord]:
    """The record of every run, the latest first."""
    return _records("1")


def last_run_of(experiment: Definition) -> RunRecord | None:
    """The latest recorded run of just this experiment; None if it never ran."""
    digest = _digest(orjson.dumps(experiment.to_plain()))
    return next(iter(_records("experiment = ?", digest)), None)


def find_run(name: str | None = None) -> RunRecord:
    """The run of that name, or whose name begins so, or the latest of the experiment
    of that name; without a name, the latest of all.

    Raises:
        UnknownRun: no run has that name, or several begin so.
    """
    if name is None:
        found = _records("1 ORDER BY started_s DESC, rowid DESC LIMIT 1")
    else:
        found = _records("name = ?1 OR experiment_name = ?1", name)
    if not found and name is not None:
        found = _records("substr(name, 1, length(?1)) = ?1", name)
        if len(found) > 1:
            raise UnknownRun(
                f"{len(found)} runs begin with {name!r}; "
                f"the latest is {found[0].name!r}"
            )
    if found:
        return found[0]
    if not (runs := run_records()):
        raise UnknownRun(f"no run is recorded in {home()}")
    close = did_you_mean(str(name), [r.name for r in runs])
    raise UnknownRun(f"no run {name!r}{close or f'; the latest is {runs[0].name!r}'}")


def _records(where: str, *values: str) -> list[RunRecord]:
    """The records that meet a condition in SQL, the latest first."""
    sql = f"SELECT {', '.join(COLUMNS)} FROM runs WHERE {where}"
    if "ORDER BY" not in where:
        sql += " ORDER BY started_s DESC, rowid DESC"
    with closing(Database.to_read()) as database:
        rows = database.rows(sql, values)
    return [_record(dict(zip(COLUMNS, row, strict=True))) for row in rows]


def _record(row: dict[str, Any]) -> RunRecord:
    """The record in a row; with its `problem` if it cannot be read."""
    if row["format"] > FORMAT:
        row["problem"] = (
            f"recorded by a newer promptlab (format {row['format']}; this one reads up "
            f"to {FORMAT}); upgrade to read it"
        )
    parsed: dict[str, Any] = {"routes": {}}
    if not row["problem"]:
        try:
            parsed = {name: orjson.loads(row[name]) for name in JSON}
        except ValueError as error:
            row["problem"] = f"its record is damaged: {error}"
    rest = {name: value for name, value in row.items() if name not in JSON}
    return RunRecord(**rest, **parsed)


def numbers(where: str) -> Iterator[int]:
    """The integers in ranges such as `0-3,7`."""
    for part in filter(None, where.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _grouped(
    failures: Mapping[int, Failure],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The failed trials as ranges, and why; beyond the first `MOST_REASONS`, why is the
    message of one failure of the same kind and status."""
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
    """One failure in place of many that differ from one another."""
    message = f"one of many, such as: {failure.message}"
    return Failure(kind=failure.kind, status=failure.status, message=message)


def _of_stages(experiment: Definition) -> dict[str, Any]:
    """What a record says of the stages before, from its beginning on."""
    stages = experiment.dataset.source.stages
    return {"stages": [asdict(stage) for stage in stages]} if stages else {}


def _digest(definition: bytes) -> str:
    return hashlib.sha256(definition).hexdigest()


def _status(state: str) -> Any:
    return state if state in ("complete", "stopped", "running") else "interrupted"


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
