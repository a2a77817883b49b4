"""Results: what a run gave, as a tidy table with its failures and totals."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import orjson
import pandas as pd

from promptlab.errors import Failure, PromptlabWarning, SpecError, brief, did_you_mean
from promptlab.formats import counted, dollars, thousands
from promptlab.money.own_prices import to_be_given
from promptlab.money.price_table import price_frame
from promptlab.money.reported import SOURCE
from promptlab.paths import user_path
from promptlab.render.results_card import ROWS, results_card
from promptlab.results.columns import OutcomeColumns, known_tokens
from promptlab.results.costs import Pricing, cache_savings
from promptlab.results.exports import write
from promptlab.results.flags import FLAGS, mixed, prompt_cache_hit
from promptlab.results.given import GivenAnswers
from promptlab.results.json_answers import parsed_table
from promptlab.results.judged import check_notes
from promptlab.results.record import Record, Score, conversation
from promptlab.results.schema import EXPLANATION, Schema
from promptlab.results.scores import (
    JUDGE,
    ScoreColumn,
    changed,
    in_words,
    summarised,
    with_scores,
)
from promptlab.results.stages import LINK, Names, groups_of, later_dataset
from promptlab.results.table import TOKENS, plain_values, priced_table, texts
from promptlab.spec.content import shown
from promptlab.spec.dataset import REPLY_COLUMNS, Dataset
from promptlab.spec.definition import Definition
from promptlab.spec.documents import Lookup, Wanted, documents, tokens
from promptlab.spec.response import ReplySummary, combined
from promptlab.spec.stage import Stage
from promptlab.spec.tools import tool_calls
from promptlab.spec.trial import Trial
from promptlab.spec.usage import Usage

INPUTS = 2
"""The most inputs that the card shows."""

AT_ONCE = 1_000
"""Records that are made together."""

COPIED = (
    *("output", "finish_reason", "latency_s", "cost_usd", "billed_usd"),
    *("cached", "key"),
)
"""The columns that a record has as they are."""

Status = Literal["complete", "interrupted", "stopped", "running"]


ELSEWHERE = {
    **dict.fromkeys(
        ("df", "data", "dataframe", "frame", "to_df", "to_pandas"), "table"
    ),
    **{
        f"to_{name}": f"to('results.{ending}')"
        for name, ending in (
            *(("csv", "csv"), ("excel", "xlsx"), ("json", "jsonl")),
            ("parquet", "parquet"),
        )
    },
    "outputs": "table['output']",
}
"""What people look for, and where it is."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a run came to, in trials, calls and tokens."""

    trials: int
    """All trials of the experiment."""
    answered: int
    cached: int
    """Those of the answered that this run paid nothing for."""
    failed: int
    truncated: int
    """Those of the answered that max_tokens cut short (finish_reason `length`)."""
    withheld: int
    """Those that a content filter withheld, in part or whole."""
    refused: int
    """Those that are, or come with, a refusal that the model marked as one."""
    empty: int
    """Those without text, or anything in its place."""
    calls: int
    """Calls that were made and answered; of one that was retried, the attempts that
    failed are not among them. `pl.usage` counts each attempt, as `requests`."""
    cost_usd: float
    """What all answers cost at list price; NaN where one of the prices is unknown."""
    billed_usd: float
    """What this run paid; NaN where one of the prices is unknown."""
    cached_input_tokens: float
    """Input of the calls made that the provider read from its own prompt cache; NaN
    where a server does not say."""
    prompt_cache_saved_usd: float
    """What that took off the list price of the input, less what writing to that cache
    cost on top; NaN where that is unknown."""
    saved_usd: float
    """What the `cached` answers would have cost beyond what this run paid for them, at
    list price; NaN where that is unknown."""
    elapsed_s: float
    stages: tuple[Stage, ...] = ()
    """The experiments before, whose answers were its cases, the first one first."""
    judgements: int = 0
    """Calls of judges that were made; they are among the calls, and what they cost is
    in `billed_usd`."""
    cached_judgements: int = 0
    """Judgements that were in the cache."""

    def with_judgements(self, asked: int, cached: int, billed_usd: float) -> Totals:
        """The same with more judgements."""
        return replace(
            self,
            calls=self.calls + asked,
            billed_usd=self.billed_usd + billed_usd,
            judgements=self.judgements + asked,
            cached_judgements=self.cached_judgements + cached,
        )

    @property
    def chain_cost_usd(self) -> float:
        """What its answers and those of all stages before cost at list price; NaN where
        one of them is unknown."""
        return sum((stage.cost_usd for stage in self.stages), self.cost_usd)

    @property
    def chain_billed_usd(self) -> float:
        """What this run and those of all stages before paid; NaN where one of them is
        unknown."""
        return sum((stage.billed_usd for stage in self.stages), self.billed_usd)

    @property
    def missing(self) -> int:
        """The trials that were not asked: the run ended before."""
        return self.trials - self.answered - self.failed


class Results:
    """What a run gave: one row for each trial that was answered or failed.

    Iterating gives a `Record` for each row.
    """

    def __init__(
        self,
        experiment: Definition,
        answers: OutcomeColumns,
        *,
        pricing: Pricing | None = None,
        status: Status = "complete",
        reason: str = "",
        calls: int = 0,
        billed_usd: float | None = None,
        elapsed_s: float = 0.0,
        run: str | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        """Takes the answers over: their columns become the table's. `billed_usd` is
        what all calls cost, those of trials without a row too; else the table's sum.
        `lookup` gives the answers as they were received."""
        counts = answers.counts()
        self._calls = answers.calls
        self._cache_write_tokens = answers.cache_write_tokens
        self._received_s = answers.received_s
        self._lookup = lookup
        self._asked = True
        """Whether the messages that were sent are known."""
        pricing = pricing or Pricing(experiment)
        self._table, breakdown = priced_table(pricing, answers)
        self._used, self._price_of = breakdown.used, breakdown.price_of
        self._scores: dict[str, ScoreColumn] = {}
        answered = self._table["output"].notna()
        self.experiment = experiment
        self.status: Status = status
        """`complete`: every trial was asked; `interrupted` by the user; `stopped` as
        going on was pointless; `running`: it goes on."""
        self.reason = reason
        """Why it was stopped, in one line."""
        missing = {used.model for used in self._used if used.missing}
        self.unpriced = tuple(sorted(missing))
        """The models that answered from elsewhere, and whose price is not known."""
        self.run = run
        """The name of the run's record, which `promptlab show` takes."""
        self.failures: Mapping[int, Failure] = answers.failures
        """By trial index, why it has no answer."""
        self.changes, self.change_note = changed(self._table, {}, {})
        """The rows whose verdict is another than when they were scored before, or whose
        score is where that is no verdict; and how many these are, in one line."""
        self.totals = Totals(
            trials=len(answers),
            answered=counts["answered"],
            cached=counts["cached"],
            failed=counts["failed"],
            **{name: int(flag(self._table).sum()) for name, flag in FLAGS.items()},
            calls=calls,
            cost_usd=float(self._table.loc[answered, "cost_usd"].sum(skipna=False)),
            billed_usd=(
                float(self._table["billed_usd"].sum(skipna=False))
                if billed_usd is None
                else billed_usd
            ),
            cached_input_tokens=breakdown.cached_input_tokens,
            prompt_cache_saved_usd=breakdown.prompt_cache_saved_usd,
            saved_usd=sum(
                (usd for *_, usd in cache_savings(experiment, self._table)), 0.0
            ),
            elapsed_s=elapsed_s,
            stages=experiment.dataset.source.stages,
        )

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        output: str | None = None,
        expected: str | None = None,
        case: str | None = None,
        variants: Sequence[str] | None = None,
        metadata: Collection[str] = (),
        name: str = "given answers",
    ) -> Results:
        """Results of answers that are there, from whatever asked for them: they are
        scored, compared and exported without a call.

        `table` is a DataFrame (pandas, polars), rows as dicts, columns as lists, or the
        path of a file that `read_results` reads. Its rows come in the order of trials:
        by case, variant and repeat. Columns called as those of results, such as
        `latency_s`, `cost_usd` and `output_tokens`, are taken as these. A row without
        an output is a failed trial; `error` says why. What was asked is not known, so
        records have no messages but the answer, and the experiment cannot be run.

        Args:
            output: The column with the answers; default: `output`.
            expected: That with what is expected; default: `expected`, if any.
            case: That which says which rows are of one case; default: `case` or `id`.
                Without one, rows with the same inputs are of one case.
            variants: Those that tell variants apart; default: those called as
                parameters, such as `model`, `prompt` and `temperature`. Rows of one
                case and variant are its repeats.
            metadata: Those that are carried along; all others are inputs.
            name: What the experiment is called.

        Raises:
            SpecError: there is no such column, no row, or an input that differs among
                the rows of a case.
            ExportError: the file cannot be read.

        >>> rows = [{"q": "1 + 1", "answer": "2", "model": m} for m in ("a", "b")]
        >>> given = Results.from_table(rows, output="answer")
        >>> given.table[["model", "case", "q", "output"]]
          model case      q output
        0     a    1  1 + 1      2
        1     b    1  1 + 1      2
        """
        given = GivenAnswers(
            table,
            output=output,
            expected=expected,
            case=case,
            variants=variants,
            metadata=metadata,
        )
        made = cls(cls._given_experiment(name, given), given.answers())
        made._asked = False
        made._table["billed_usd"] = given.billed_usd()
        made.totals = replace(
            made.totals,
            trials=len(made),
            billed_usd=float(made._table["billed_usd"].sum(skipna=False)),
        )
        return made.with_scores(given.score_columns())

    @staticmethod
    def _given_experiment(name: str, given: GivenAnswers) -> Definition:
        """The experiment of given answers, with its methods that score them."""
        from promptlab.experiment import Experiment

        return Experiment(
            name,
            grid=given.grid,
            dataset=given.dataset,
            repeats=given.repeats,
            capabilities=given.capabilities,
        )

    @property
    def table(self) -> pd.DataFrame:
        """One tidy row for each trial; yours to change."""
        return self._table.copy(deep=False)  # pandas copies what is written to

    @cached_property
    def schema(self) -> Schema:
        """What each column of the table is."""
        return Schema.of(self._table)

    @property
    def cluster(self) -> str | None:
        """The column by which cases are put together in intervals: that of the case of
        the first stage, where several cases are answers of one; None if there is none.
        """
        name = self.experiment.dataset.source.case
        if name is None or name not in self._table:
            return None
        groups = self._table[name].nunique(dropna=False)
        return name if 1 < groups < self._table["case"].nunique() else None

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of the scores, as the table has them."""
        return tuple(self._scores)

    @property
    def score_columns(self) -> Mapping[str, ScoreColumn]:
        """By name, the scores of all rows."""
        return self._scores

    def with_scores(self, scores: Mapping[str, ScoreColumn]) -> Results:
        """The same results with more scores, each with one value for each row; those
        of a name that is there already are replaced.

        Raises:
            SpecError: the table has another column of a score's name.
        """
        made = copy(self)
        made.__dict__.pop("schema", None)
        made._scores = {**self._scores, **scores}
        made.changes, made.change_note = changed(self._table, self._scores, scores)
        made.__dict__.pop("outcome", None)
        ours = (*self._scores, *(f"{name}{EXPLANATION}" for name in self._scores))
        bare = self._table.drop(columns=list(ours), errors="ignore")
        made._table = with_scores(bare, made._scores)
        return made

    def score(self, *scorers: Any, engine: Any = None, **options: Any) -> Results:
        """The same results with the scores of these scorers, or with the experiment's
        own computed again; no answer is asked for.

        Judges are asked through `engine`, an open `pl.Engine`, or one with these
        `options` of a run, as `budget_usd=1`.

        Those of a name that is there already are replaced; `changes` lists the rows
        whose verdict is another then, and the headline says how many these are.

        Raises:
            SpecError: a scorer is wrong, or needs what no row has.
        """
        return cast(Results, self.experiment.scored(self, scorers, options, engine))

    @property
    def errors(self) -> pd.DataFrame:
        """The failed trials: what they asked, and how they failed."""
        parameters = list(self.experiment.grid.parameters)
        rows = self._table[self._table["error"].notna()]
        failures = [self.failures[trial] for trial in rows["trial"]]
        shown = rows[["trial", *parameters, "case", "repeat"]].reset_index(drop=True)
        for name in ("kind", "status", "code", "message", "attempts", "request_id"):
            values = [getattr(failure, name) for failure in failures]
            shown[name] = pd.array(
                values, dtype="Int64" if name in ("status", "attempts") else "str"
            )
        return shown

    def summary(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Counts and means, for each value of `by`, or of all that varies.

        Failed trials are counted in `trials` and `failed`; token counts, latency and
        cost are means over the answered ones. `truncated` counts answers that
        max_tokens cut short, `withheld` those that a content filter withheld, `refused`
        those that the model marked as a refusal, `empty` those without text.
        `prompt_cache_hit` counts the answers that read at least half of their prompt
        from the provider's own cache, which makes them faster.

        Of each score that is a number, such as `exact`, there is the mean, the ends of
        its 95 % interval, clustered by case, as `exact_low` and `exact_high`, on how
        many trials it stands as `exact_n`, and how many have no score as
        `exact_missing`. A failed trial scores 0, as in `pl.leaderboard`; of a score of
        which less is better, and of labels, it is missing. Of a score that a model
        gave, such as `polite`, there is what is known of the judge as `polite_judge`
        (see `pl.agreement`). Of a score of labels, such as `tone`, there is the share
        of each of the six most common, as `tone=warm` with `tone=warm_low` and
        `tone=warm_high`.

        Raises:
            SpecError: the table has no such column.
        """
        table = self._table
        numbers = [*TOKENS, "latency_s", "cost_usd"]
        outcomes = table[["trial", "cached", *numbers]].assign(
            answered=table["output"].notna(),
            failed=table["error"].notna(),
            **{name: flag(table) for name, flag in FLAGS.items()},
            prompt_cache_hit=prompt_cache_hit(
                table["input_tokens"], table["cached_input_tokens"]
            ),
        )
        groups = [_groupable(table[name]) for name in self._groups(by)]
        if not groups:
            groups = [pd.Series("all trials", index=table.index, name="all")]
        grouped = outcomes.groupby(groups, dropna=False, observed=True, sort=False)
        counts = grouped.agg(
            trials=("trial", "size"),
            answered=("answered", "sum"),
            failed=("failed", "sum"),
            **{name: (name, "sum") for name in FLAGS},
            cached=("cached", "sum"),
            **{f"mean_{name}": (name, "mean") for name in (TOKENS[0], TOKENS[2])},
            mean_latency_s=("latency_s", "mean"),
            prompt_cache_hit=("prompt_cache_hit", "sum"),
            mean_cost_usd=("cost_usd", "mean"),
        )
        case = table[self.cluster or "case"].factorize()[0]
        number = grouped.ngroup().to_numpy()
        failed = outcomes["failed"].to_numpy()
        scores = summarised(self._scores, case, number, failed)
        judges = {
            f"{name}{JUDGE}": note
            for name, note in self._checks().items()
            if f"{name}_n" in scores
        }
        return counts.assign(**scores, **judges)

    def summary_in_words(self) -> pd.DataFrame:
        """The summary as it is shown: each score with its interval as text, and
        how many are missing only where any is."""
        return in_words(self.summary(), self._scores)

    @property
    def parsed(self) -> pd.DataFrame:
        """The answers in JSON: one row for each of `table`, a column for each field.

        Fences and text around the JSON do not matter: of an answer that is not JSON as
        a whole it is the first object in it, else the first list. `valid` says whether
        there is any; `parsed["valid"].mean()`, also in `parsed.attrs["valid"]`, is the
        share of all trials, failed ones among them.

        A field inside another is `outer.inner`; lists stay lists; what is no object at
        all is in `value`. A field that an answer lacks is missing there; of a key that
        is there twice the last value counts. A name that is taken, as `valid` is, gets
        a number: `valid_2`. Beyond 1,000 fields the most common are kept, with a
        warning.

        >>> answers = ['{"label": "spam", "sure": 0.9}', "```json\\n{}\\n```", "No."]
        >>> Results.from_table({"output": answers}).parsed
           valid label  sure
        0   True  spam   0.9
        1   True   NaN   NaN
        2  False   NaN   NaN
        """
        return self._parsed.copy(deep=False)

    @cached_property
    def _parsed(self) -> pd.DataFrame:
        return parsed_table(plain_values(self._table["output"]), self._table.index)

    @property
    def score_notes(self) -> dict[str, list[str]]:
        """By score, what to know of it: who judged it, how far people agree with that
        judge (`pl.agreement`), and what its scorer says of all rows."""
        checks = self._checks()
        notes: dict[str, list[str]] = {}
        for name, column in self._scores.items():
            lines = [f"{name}: {column.note}"] * bool(column.note)
            if column.judged_by is not None:
                by = column.judged_by.model
                lines.insert(0, f"{name}: judged by {by}, {checks[name]}")
            if lines:
                notes[name] = lines
        return notes

    def _checks(self) -> dict[str, str]:
        judges = {
            name: column.judged_by
            for name, column in self._scores.items()
            if column.judged_by is not None
        }
        return check_notes(self.experiment.name, judges)

    @property
    def messages(self) -> pd.DataFrame:
        """The conversations in full: one row for each message, `trial`, `case`,
        `repeat` and the parameters of its trial, then `turn` (0 for the first call),
        `role` and `content`; where any reply has them, `tool_calls` as JSON and
        `refusal` too."""
        parameters = list(self.experiment.grid.parameters)
        rows = self._table[["trial", *parameters, "case", "repeat"]]
        found = [
            (position, turn, message)
            for position, record in enumerate(self)
            for turn, messages in enumerate(record.turns)
            for message in messages
        ]
        table = rows.iloc[[position for position, *_ in found]].reset_index(drop=True)
        table["turn"] = np.asarray([turn for _, turn, _ in found], dtype=np.int64)
        table["role"] = texts([message["role"] for *_, message in found])
        table["content"] = texts([shown(message["content"]) for *_, message in found])
        for name in ("tool_calls", "refusal"):
            values = [_written(message.get(name)) for *_, message in found]
            if any(values):
                table[name] = texts(values)
        return table

    @property
    def logprobs(self) -> pd.DataFrame:
        """How likely each token of the answers was, where `logprobs` was asked for: one
        row for each token, `trial`, `position` (from 0), `token`, `logprob` (natural
        logarithm) and `top`, the likeliest tokens at its position by their logprobs.

        It is of the last reply of each trial, and read from the cache: answers that are
        not kept there are left out, with a warning.
        """
        found = [
            (trial, position, *token)
            for trial, document in self._kept()
            for position, token in enumerate(tokens(document))
        ]
        columns = list(zip(*found, strict=True)) or [()] * 5
        return pd.DataFrame(
            {
                "trial": np.asarray(columns[0], dtype=np.int64),
                "position": np.asarray(columns[1], dtype=np.int64),
                "token": texts(columns[2]),
                "logprob": np.asarray(columns[3], dtype=np.float64),
                "top": pd.Series(columns[4], dtype=object),
            }
        )

    def _kept(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every reply that is kept; a warning where some are not."""
        kept = 0
        for found in self._documents(slice(None)):
            kept += 1
            yield found
        if missing := self.totals.answered - kept:
            what = counted(missing, "answer")
            warnings.warn(
                f"{what} cannot be read: not in the cache",
                PromptlabWarning,
                stacklevel=4,
            )

    @property
    def prices(self) -> pd.DataFrame:
        """The prices that the costs were priced with: `model`, `snapshot` (as the
        replies name it) and `tier`, then US dollars for a million tokens, `source` and
        `as_of` as `promptlab.prices` has them; NaN where no price is known. Where
        replies say what they cost, their source is `the reply`, without rates."""
        names = {
            name: [getattr(used, name) for used in self._used]
            for name in ("model", "snapshot", "tier")
        }
        frame = price_frame(names, [used.price for used in self._used])
        sources = [used.source for used in self._used]
        return frame.assign(source=texts(sources))

    def to_dataset(
        self,
        *,
        rename: Mapping[str, str] | None = None,
        keep: str | Sequence[str] = (),
        by: str | Sequence[str] = (),
        only_trials: Iterable[int] | None = None,
        keep_failed: bool = False,
        prefix: str = "source",
        name: str | None = None,
    ) -> Dataset:
        """The answers as the cases of a later experiment: a critique, a second step, a
        choice among several.

        Prompts see the columns in `rename` under their new names, the output (else
        `source_output`), and the inputs of the case, which they may leave unused.
        Carried along into the later table as metadata are the case's own, and, to say
        where each case came from, `source_case`, `source_trial`, `source_key` (of the
        answer), `source_run`, `source_model`, the parameters that vary, the repeat
        where there are several, and what `keep` names, such as a score.

        What is of the case keeps its name. Where another column has that, `source_` is
        put before it, and also to `checks`, which were for the earlier output, and to
        the link to a stage before: `source_source_trial`.

        The id is that of the case; where several answers have one case, followed by
        what tells them apart. As these are not independent, later intervals are
        clustered by the case of the first stage. Later `totals` list what the stages
        before cost.

        Args:
            rename: By column of the table, its name in the dataset.
            keep: More columns to carry along.
            by: With `"case"`, or `["case", "model"]`, one case for all its answers:
                the output is a list, and so are the other columns of trials.
            only_trials: Takes only these, such as those with the best scores.
            keep_failed: Takes failed trials too, with an output that is missing.
            prefix: Takes the place of `source`.
            name: What the dataset is called.

        Raises:
            SpecError: the table has no such column, two would have one name, or no
                trial is left.
        """
        rows = self._table
        if only_trials is not None:
            rows = rows[rows["trial"].isin(list(only_trials))]
        failed = rows["output"].isna()
        if not keep_failed and failed.any():
            rows = rows[~failed]
            trials = counted(int(failed.sum()), "failed trial")
            warnings.warn(
                f"to_dataset leaves out {trials}; keep_failed=True takes all",
                PromptlabWarning,
                stacklevel=2,
            )
        if rows.empty:
            raise SpecError("to_dataset: no trial with an answer is left")
        apart = [*dict.fromkeys((*self.varying, *self.schema.wordings))]
        apart += ["repeat"] * (self.experiment.repeats > 1)
        keep = [keep] if isinstance(keep, str) else keep
        groups = groups_of(by, apart)
        return later_dataset(
            rows,
            Names.of(rows, rename or {}, [*LINK, *apart, *keep], prefix),
            by=groups,
            apart=apart,
            run=self.run,
            case=self.experiment.dataset.source.case or "case",
            name=name or f"answers of {self.experiment.name}",
            folder=self.experiment.dataset.folder,
            stages=(*self.totals.stages, self._as_stage()),
        )

    def to(self, path: str | Path) -> Path:
        """Writes the table to a .csv, .xlsx, .jsonl or .parquet file.

        CSV and Excel are for people: strings that a spreadsheet would run as a formula
        get a leading apostrophe. JSONL and Parquet keep every string as it is, and
        `promptlab.read_results` gives back the same table.

        Raises:
            ExportError: an unknown ending, or a file that cannot be written.
        """
        return write(self._table, user_path(path))

    def _as_stage(self) -> Stage:
        """What a later experiment on these answers says of this one."""
        return Stage(
            experiment=self.experiment.name,
            run=self.run,
            trials=self.totals.trials,
            cost_usd=self.totals.cost_usd,
            billed_usd=self.totals.billed_usd,
        )

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Record]:
        for start in range(0, len(self), AT_ONCE):
            yield from self._records(start, start + AT_ONCE)

    def __getitem__(self, position: int) -> Record:
        if not isinstance(position, (int, np.integer)):
            column = isinstance(position, str) and position in self._table
            raise SpecError(
                "expected the position of a row, as results[0] gives its record, got "
                f"{brief(position)}"
                + (f"; the column is results.table[{position!r}]" if column else "")
            )
        rows = len(self)
        if not -rows <= position < rows:
            raise IndexError(f"row {position} of results with {counted(rows, 'row')}")
        start = int(position) % rows
        return next(self._records(start, start + 1))

    def _records(self, start: int, stop: int) -> Iterator[Record]:
        """The records of the rows from `start` up to `stop`."""
        part = self._table.iloc[start:stop]
        columns = {str(name): plain_values(part[name]) for name in part}
        for position, values in enumerate(zip(*columns.values(), strict=True), start):
            yield self._record(position, dict(zip(columns, values, strict=True)))

    def _record(self, position: int, row: Mapping[str, Any]) -> Record:
        trial: Trial = self.experiment.trials[row["trial"]]
        at = int(self._price_of[position])
        used = None if at < 0 else self._used[at]
        beside = {
            name: row.get(self.schema.reply_column(name) or "")
            for name in REPLY_COLUMNS
        }
        if calls := self._calls.get(trial.index):
            replies = [(r.output, r.tool_calls, r.refusal) for r in calls.replies]
        elif row["output"] is None:
            replies = []
        else:
            replies = [(row["output"], beside["tool_calls"], beside["refusal"])]
        return Record(
            trial=trial,
            usage=Usage(
                **{name: row[name] for name in TOKENS},
                cache_write_tokens=known_tokens(self._cache_write_tokens[trial.index]),
            ),
            price=None if used is None else used.price,
            cost_source=None if used is None else used.source,
            error=self.failures.get(trial.index),
            turns=conversation(trial, replies, asked=self._asked),
            **{name: row[name] for name in COPIED},
            tool_calls=tool_calls(beside["tool_calls"]),
            refusal=beside["refusal"],
            reasoning=beside["reasoning"],
            scores={
                name: Score(row[name], row.get(f"{name}{EXPLANATION}"))
                for name in self._scores
            },
            read=partial(self._document, position),
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):  # what Python and Jupyter look for
                raise AttributeError(name)
            if name in ELSEWHERE:
                hint = f"; write results.{ELSEWHERE[name]}"
            elif name in self._table:
                hint = f"; the column is results.table[{name!r}]"
            else:
                hint = did_you_mean(
                    name, [n for n in dir(self) if not n.startswith("_")]
                )
            raise AttributeError(f"Results has no attribute {name!r}{hint}")

    def __repr__(self) -> str:
        return f"Results({self.experiment.name!r}: {self.headline})"

    def _repr_html_(self) -> str:
        shown = bool(self.varying or self.scores) and len(self) > 0
        summary = self.summary_in_words()
        columns = self._telling_columns()
        rows = self._table[columns].head(ROWS)
        reasons = Counter(failure.summary for failure in self.failures.values())
        return results_card(
            self.experiment.name,
            self.headline,
            varying=self.varying,
            summary=_plain_rows(summary.reset_index()) if shown else [],
            scores=[n for n in self._scores if n in summary],
            notes=self._notes if shown else [],
            failures=reasons.most_common(),
            columns=columns,
            rows=_plain_rows(rows),
            more=len(self) - len(rows),
            prices=_plain_rows(self.prices.dropna(subset="input")),
        )

    @property
    def _notes(self) -> list[str]:
        """What to know of the summary."""
        latency = [self.latency_note] if self.latency_note else []
        return [*(line for of in self.score_notes.values() for line in of), *latency]

    def _telling_columns(self) -> list[str]:
        """The columns worth showing: parameters that vary, inputs if they are few, and
        what is not the same throughout."""
        schema, table = self.schema, self._table
        columns = [*self.varying, "case"]
        columns += schema.inputs if len(schema.inputs) <= INPUTS else ()
        columns += schema.names("expected")
        columns += ["repeat"] if self.experiment.repeats > 1 else []
        beside = (schema.reply_column(name) for name in REPLY_COLUMNS)
        columns += ["output", *(name for name in beside if name is not None)]
        columns += ["finish_reason"] if table["finish_reason"].ne("stop").any() else []
        columns += ["output_tokens", "latency_s"]
        columns += ["cached"] if table["cached"].nunique() > 1 else []
        columns += ["error"] if self.failures else []
        return [*columns, *schema.scores]

    def _document(self, position: int) -> dict[str, Any] | None:
        """The last reply of a row as it was received; None if it is not kept."""
        found = self._documents(slice(position, position + 1))
        return next((document for _, document in found), None)

    def _documents(self, positions: slice) -> Iterator[tuple[int, dict[str, Any]]]:
        """The replies of rows as they were received, as far as they are kept, each with
        the index of its trial."""
        rows = self._table.iloc[positions]
        rows = rows[rows["output"].notna()]
        wanted = (
            Wanted(trial, key, self._received_s[trial], output)
            for trial, key, output in zip(
                *(rows[name].tolist() for name in ("trial", "key", "output")),
                strict=True,
            )
        )
        return documents(wanted, self._lookup) if self._lookup else iter(())

    @property
    def varying(self) -> list[str]:
        """The parameters that have more than one value, wordings aside."""
        grid = self.experiment.grid
        names = [p for p in grid.parameters if p not in grid.nested]
        return [p for p in names if len(grid.used(p)) > 1]

    @property
    def headline(self) -> str:
        """The totals in one line, with why the run was stopped, if it was."""
        return self.outcome + (f": {self.reason}" if self.reason else "")

    @cached_property
    def outcome(self) -> str:
        """The totals in one line: answered, cached, failed, the calls made, each once
        however often it was retried, and how many answers were truncated, withheld,
        refused or empty."""
        totals = self.totals
        share = f" ({totals.cached / totals.answered:.0%})" if totals.cached else ""
        parts = [
            f"{totals.answered:,} of {counted(totals.trials, 'trial')} answered",
            f"{totals.cached:,} from the cache{share}",
            f"{counted(totals.calls, 'call')} made",
            f"{totals.failed:,} failed",
        ]
        if totals.billed_usd > 0:
            parts.insert(3, f"{dollars(totals.billed_usd)} paid")
        if totals.stages and totals.chain_billed_usd > 0:
            paid = dollars(totals.chain_billed_usd)
            stages = counted(len(totals.stages), "stage")
            parts.insert(4, f"{paid} with the {stages} before")
        if totals.cached_input_tokens > 0:
            read = thousands(totals.cached_input_tokens)
            saved = totals.prompt_cache_saved_usd
            parts.append(
                f"{read} tokens of input from the provider's cache"
                + (f", {dollars(saved)} saved" if saved > 0 else "")
            )
        if totals.truncated:
            parts.append(f"{totals.truncated:,} truncated by max_tokens")
        if totals.withheld:
            parts.append(f"{totals.withheld:,} withheld by a content filter")
        if totals.refused:
            parts.append(f"{totals.refused:,} refused by the model")
        if totals.empty:
            parts.append(f"{totals.empty:,} empty")
        if totals.missing:
            parts.append(f"{totals.missing:,} left")
        if self.status != "complete":
            parts.append(self.status)
        if self.change_note:
            parts.append(self.change_note)
        return ", ".join(parts)

    @property
    def price_note(self) -> str:
        """What to do about models without a price, in one line; empty if all have
        one."""
        if not self.unpriced:
            return ""
        missing = dict.fromkeys(used.named for used in self._used if used.missing)
        names = ", ".join(sorted(missing))
        hint = to_be_given(self.unpriced[0])
        return f"no price is known for {names}, so the cost is NaN; {hint}"

    @property
    def latency_note(self) -> str:
        """One line that some answers read their prompt from the provider's cache, which
        is faster, and others not; empty if all or none did."""
        rows = self._table[self._table["output"].notna()]
        note = mixed(
            prompt_cache_hit(rows["input_tokens"], rows["cached_input_tokens"])
        )
        return f"latency: {note}" if note else ""

    def _groups(self, by: str | Sequence[str] | None) -> list[str]:
        if by is None:
            return self.varying
        groups = [by] if isinstance(by, str) else list(by)
        for group in groups:
            if group not in self._table:
                names = [str(column) for column in self._table]
                raise SpecError(
                    f"summary: the table has no column {group!r}"
                    + (
                        did_you_mean(group, names)
                        or f"; valid names: {', '.join(names)}"
                    )
                )
        return groups


def settled_record(
    trial: Trial,
    pricing: Pricing,
    variant: int,
    replies: Sequence[ReplySummary],
    paid: Sequence[bool],
    key: str,
    failure: Failure | None,
) -> Record:
    """The record of a trial that was just settled, as `Results` would give it.

    `variant` is its position among the effective variants; `paid` says of each reply
    whether this run paid for it.
    """
    last = combined(replies) if replies and failure is None else None
    costs = [pricing.call_usd(variant, reply) for reply in replies]
    price = None
    if last is not None and last.reported_cost_usd is None:
        price = pricing.prices.price(pricing.call_context(variant, replies[-1]))
    source = None if price is None else price.source
    if last is not None and last.reported_cost_usd is not None:
        source = SOURCE
    return Record(
        trial=trial,
        output=None if last is None else last.output,
        finish_reason=None if last is None else last.finish_reason,
        usage=Usage() if last is None else last.usage,
        latency_s=None if last is None else last.latency_s,
        cost_usd=None if last is None else _known(sum(costs)),
        billed_usd=_known(sum(c for c, own in zip(costs, paid, strict=True) if own)),
        price=price,
        cost_source=source,
        cached=last is not None and not any(paid),
        error=failure,
        key=None if last is None else key,
        turns=conversation(
            trial, ((r.output, r.tool_calls, r.refusal) for r in replies)
        ),
        tool_calls=tool_calls(None if last is None else last.tool_calls),
        refusal=None if last is None else last.refusal,
        reasoning=None if last is None else last.reasoning,
    )


def _known(usd: float) -> float | None:
    return None if math.isnan(usd) else float(usd)


def _written(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = {str(name): plain_values(frame[name]) for name in frame}
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _groupable(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column; lists and objects, which cannot be grouped by, as JSON."""
    if values.dtype != object:
        return values
    return values.map(
        lambda value: (
            orjson.dumps(value).decode() if isinstance(value, (list, dict)) else value
        )
    )
