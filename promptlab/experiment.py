"""Experiments: a definition, and what can be done with it."""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack

from promptlab.errors import SpecError
from promptlab.execution.options import RunOptions, RunOptionsDict, with_run_options
from promptlab.formats import counted, plain_text
from promptlab.render.experiment_card import experiment_card
from promptlab.secret import sealed
from promptlab.spec.content import shown
from promptlab.spec.dataset import CHECKS
from promptlab.spec.definition import Definition
from promptlab.spec.prompt import Prompt

if TYPE_CHECKING:
    from promptlab.execution.runner import Handle
    from promptlab.planning.forecast import Forecast
    from promptlab.planning.plan import Plan
    from promptlab.planning.power import Power
    from promptlab.results.results import Results
    from promptlab.spec.grid import Grid


class Experiment(Definition):
    """A grid × a dataset × repeats: what to run. `run()` gives `Results`.

    Everything is checked here, before any call: every field that a prompt needs is
    in every case, no parameter is misspelt, no list is empty. `warnings` holds what
    is odd and yet may be meant.

    Raises:
        SpecError: it cannot be run as it is; the message says what would do.
    """

    @with_run_options
    def run(
        self,
        *,
        only_trials: Collection[int] | None = None,
        scorers: Iterable[Any] | None = None,
        **options: Unpack[RunOptionsDict],
    ) -> Results:
        """Runs it to the end and returns the results; asks nothing that is cached.

        Ctrl-C or the stop button ends it early, keeps every answer that was paid for,
        and returns the results so far; running it again goes on from there. Pressed
        twice, calls in flight are given up, and `KeyboardInterrupt` is raised when that
        is done, or after a few seconds; a third time, at once.

        With `only_trials`, only trials of these indexes are asked; others are looked
        up. With `scorers`, these score the answers, in place of the experiment's.

        Raises:
            SpecError: an option is wrong, or a prompt fails on some case.
            CredentialsError: a key is needed and none was found.
            CacheError: the cache cannot be used.
        """
        from promptlab.execution.runner import run

        return run(self._scored_by(scorers), RunOptions(**sealed(options)), only_trials)

    @with_run_options
    async def arun(
        self,
        *,
        only_trials: Collection[int] | None = None,
        scorers: Iterable[Any] | None = None,
        **options: Unpack[RunOptionsDict],
    ) -> Results:
        """As `run`, for a running event loop of any kind: `await experiment.arun()`.

        When it is cancelled the run ends, its answers are kept, and the cancellation
        goes on to the caller.
        """
        from promptlab.execution.runner import arun

        return await arun(
            self._scored_by(scorers), RunOptions(**sealed(options)), only_trials
        )

    @with_run_options
    def start(
        self,
        *,
        only_trials: Collection[int] | None = None,
        scorers: Iterable[Any] | None = None,
        **options: Unpack[RunOptionsDict],
    ) -> Handle:
        """Starts a run in the background; the handle it returns waits and cancels.

        A notebook shows a button that stops it.
        """
        from promptlab.execution.runner import start

        return start(
            self._scored_by(scorers), RunOptions(**sealed(options)), only_trials
        )

    @with_run_options
    def plan(self, **options: Unpack[RunOptionsDict]) -> Plan:
        """What a run would do: which trials are cached, new or duplicates of others,
        and how many judgements of the answers are cached and new.

        Nothing is called, no key is needed.

        Raises:
            SpecError: an option is wrong, or a prompt fails on some case.
            CacheError: the cache cannot be read.
        """
        from promptlab.scoring.planned import plan

        return plan(self, RunOptions(**sealed(options)))

    @with_run_options
    def forecast(
        self,
        pilot: int = 2,
        *,
        level: float = 0.9,
        seed: int = 0,
        **options: Unpack[RunOptionsDict],
    ) -> Forecast:
        """What a run would cost, from `pilot` answers of each variant, which it buys.

        The pilot spreads cases over variants, in an order that `seed` decides; its
        answers are cached, and a run goes on from them. With `pilot=0` nothing is
        bought. `level` is the confidence level of the intervals.

        Raises:
            SpecError: an option is wrong, or a prompt fails on some case.
            CredentialsError: a key is needed and none was found.
            CacheError: the cache cannot be used.
        """
        from promptlab.planning.forecast import forecast
        from promptlab.planning.pilot import choose

        chosen = choose(self, RunOptions(**sealed(options)), pilot, seed=seed)
        return forecast(self, chosen, level=level)

    @with_run_options
    def power(
        self,
        mde: float = 0.05,
        *,
        pilot: Results | None = None,
        score: str | None = None,
        variances: Sequence[float] | None = None,
        base_rate: float | None = None,
        power: float = 0.8,
        alpha: float = 0.05,
        comparisons: int | None = None,
        **options: Unpack[RunOptionsDict],
    ) -> Power:
        """How many cases and repeats it takes to see a difference, and what they cost.

        n = (z_{α/2} + z_β)²·(ω² + σ²_A/R + σ²_B/R)/mde² cases with R repeats (Miller
        2024, arXiv:2411.00640, eq. 9), α divided by the number of comparisons; of one
        repeat of 0/1 scores, what McNemar's exact test takes. Valid from about 30
        cases, if they are drawn independently. Prices are those of `plan`, with nothing
        cached. Nothing is called, no key is needed.

        Give one of `pilot`, `variances` and `base_rate`.

        Args:
            mde: the minimum detectable effect, a difference of scores: 0.05 is 5 points
                of a share.
            pilot: results of two variants or more with a score of which more is better,
                such as those of `experiment.limit(30).run()`.
            score: its column in the pilot; may be left out if there is one.
            variances: ω² of the difference of two variants from case to case, then
                σ²_A and σ²_B of each from repeat to repeat, 0 unless given.
            base_rate: the share of right answers that is expected of 0/1 scores, if
                variants are right independently of each other.
            power: the chance to see such a difference, from 0.5.
            alpha: the chance to see one where there is none.
            comparisons: how many share `alpha`; each variant with one baseline unless
                given.

        Raises:
            SpecError: an argument or option is wrong, the pilot is of no use, or a
                prompt fails on some case.

        >>> grid = {"model": ["m"], "prompt": {"a": "{{q}}", "b": "Think. {{q}}"}}
        >>> dataset = [{"q": f"{n} + 1 = ?"} for n in range(100)]
        >>> experiment = Experiment("sums", grid=grid, dataset=dataset)
        >>> needed = experiment.power(0.1, variances=(0.05, 0.08, 0.08))
        >>> needed.recommended.cases, needed.recommended.repeats
        (82, 3)
        """
        from promptlab.planning.power import expected
        from promptlab.planning.power import power as power_of
        from promptlab.scoring.planned import plan

        given = RunOptions(**sealed(options))
        known = expected(
            mde=mde,
            pilot=pilot,
            score=score,
            variances=variances,
            base_rate=base_rate,
        )
        uncached = replace(given, refresh=True, use_cache=True, offline=False)
        return power_of(
            plan(self, uncached),
            mde,
            known,
            power=power,
            alpha=alpha,
            comparisons=comparisons,
        )

    def scored(
        self,
        results: Any,
        scorers: Sequence[Any],
        options: Mapping[str, Any],
        engine: Any,
    ) -> Results:
        """Results of this experiment with scores, as `Results.score` says."""
        from promptlab.scoring.apply import score

        return score(results, scorers, options, engine)

    @classmethod
    def from_plain(
        cls,
        plain: Mapping[str, Any],
        files: Callable[[str], bytes] | None = None,
    ) -> Self:
        """The experiment that `to_plain` wrote, with those of its scorers whose plain
        form says all of them."""
        made = super().from_plain(plain, files)
        try:
            return made.with_scorers([s for s in plain.get("scorers", ()) if s])
        except SpecError:  # as of another version
            return made

    def _scored_by(self, scorers: Iterable[Any] | None) -> Self:
        return self if scorers is None else self.with_scorers(scorers)

    def _check(self) -> None:
        super()._check()
        if self.scorers or CHECKS in self.dataset.metadata:
            from promptlab.scoring.apply import checked_scorers

            object.__setattr__(self, "scorers", checked_scorers(self.scorers, self))

    def _repr_html_(self) -> str:
        messages, problem = self._first_messages()
        variant, dataset = self.trials[0].variant, self.dataset
        sent = {"model": variant.model, **variant.parameters}
        return experiment_card(
            self.name,
            self.size,
            parameters={n: [*_levels(self.grid, n)] for n in self.grid.parameters},
            dataset=f"{dataset.name}: {counted(len(dataset), 'case')}",
            fields=[*dataset.fields, *["expected"] * dataset.has_expected],
            warnings=self.warnings,
            trials=len(self),
            messages=messages,
            sent={name: plain_text(value) for name, value in sent.items()},
            problem=problem,
        )

    def _first_messages(self) -> tuple[list[tuple[str, str]], str]:
        """Role and text of the messages of the first trial, or why there are none."""
        try:
            turns = self.trials[0].turns
        except SpecError as error:
            return [], str(error)
        messages = (message for turn in turns for message in turn)
        return [(m["role"], shown(m["content"])) for m in messages], ""


def _levels(grid: Grid, name: str) -> Iterator[tuple[str | None, str]]:
    """The values of a parameter: their labels, and of prompts and system messages the
    text in one line."""
    for level in grid.used(name):
        value = level.value
        if isinstance(value, Prompt):
            asked = [m.text for m in value.messages if m.role == "user"]
            several = "(messages, the last:) " if len(value.messages) > 1 else ""
            text = several + (asked[-1] if asked else "")
        else:
            text = str(value) if name == "system" else ""
        label = None if value is None else plain_text(level.label)
        yield label, " ".join(text.split())
