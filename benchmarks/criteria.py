"""The criteria: what must hold, what we aim at, and the work that each is judged by.

A scenario lists its work and judges what came of it. Work that two scenarios list alike
is done once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import eq, ge, le
from statistics import median

from benchmarks.notebook import Compared, Watched
from benchmarks.server import Settings
from benchmarks.sitting import Command, FirstCell, Simulated, Work

LIMITED = Settings(rpm=5_000, tpm=4_000_000, burst_s=6)
"""500 requests and 400,000 tokens a minute, in time that is ten times as fast."""

FAULTY = Settings(share_429=0.02, share_500=0.01, share_dropped=0.005)
TELLING = ("told by all replies", "told by answers")
"""Servers whose headers say what is left."""

SIGNS = {"≥": ge, "≤": le, "=": eq}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many trials the scenarios have; multiples of 72."""

    cold: int = 2_016
    limits: int = 4_032
    warm: int = 100_008
    planning: tuple[int, ...] = (10_008, 200_016)
    """The first is what later ones are compared with."""
    scores: int = 100_000
    """Rows that are scored."""
    comparison: tuple[tuple[int, int], ...] = ((200, 4), (10_000, 4), (100_000, 2))
    """Rows × columns. The second is compared with the first; others are only to have
    no larger notebook."""
    progress: tuple[int, int] = (2_016, 6)
    """Trials of a run, and how many there are with progress and without."""


QUICK = Sizes(
    cold=288,
    limits=2_016,
    warm=7_200,
    planning=(1_008, 20_016),
    scores=10_000,
    comparison=((50, 4), (1_000, 4)),
    progress=(504, 1),
)
FULL = Sizes(planning=(10_008, 200_016, 1_000_008))


@dataclass(frozen=True)
class Bound:
    """One side that a value has to stay on, such as `≥ 0.55`."""

    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        return SIGNS[self.sign](value, self.limit)


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A measured value, beside what it must be and what we aim at."""

    scenario: str
    name: str
    values: Sequence[float]
    """One for each repetition, or the worst of all of them alone."""
    unit: str = ""
    must: Bound | None = None
    aim: Bound | None = None
    bare: float | None = None
    """What the bare client reaches in this sitting, where that says what can be."""

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def verdict(self) -> str:
        """`pass`: the aim is reached, `near`: only what must hold, `fail`: not even."""
        if self.must and not self.must.holds(self.value):
            return "fail"
        return "near" if self.aim and not self.aim.holds(self.value) else "pass"


Measurable = Work | Command | FirstCell | Simulated | Compared | Watched


@dataclass(frozen=True)
class Taken:
    """The measurements that were taken: for each piece of work, one a repetition."""

    measurements: dict[Measurable, list[dict]]

    def of(self, work: Measurable, *path: str) -> list[float]:
        """A number of each repetition, by its name, such as `"server", "calls"`."""
        found = self.measurements[work]
        for name in path:
            found = [numbers[name] for numbers in found]
        return found

    def ratios(self, above: Measurable, below: Measurable, *path: str) -> list[float]:
        """A number's ratio in each repetition, between neighbours in time."""
        pairs = zip(self.of(above, *path), self.of(below, *path), strict=True)
        return [one / other for one, other in pairs]


@dataclass(frozen=True)
class Scenario:
    """Some work, and the criteria that it is judged by."""

    name: str
    work: tuple[Measurable, ...]
    judge: Callable[[Taken], list[Criterion]]


def scenarios(sizes: Sizes) -> list[Scenario]:
    """All of them, in the order in which they are measured."""
    return [
        cold(sizes.cold),
        faults(sizes.cold),
        account(sizes.cold),
        limits(sizes.limits),
        warm(sizes.warm),
        planning(*sizes.planning),
        imports(),
        first(sizes.cold),
        scores(sizes.scores),
        comparison(*sizes.comparison),
        progress(*sizes.progress),
    ]


def cold(trials: int) -> Scenario:
    """A grid of which nothing is in the cache."""
    bare, hand, ours = (
        Work(peer=peer, trials=trials) for peer in ("bare", "hand", "promptlab")
    )
    bare_256, ours_256 = replace(bare, concurrency=256), replace(ours, concurrency=256)

    def shares_in_flight(taken: Taken, work: Work) -> list[float]:
        means = taken.of(work, "server", "in_flight_mean")
        return [mean / work.concurrency for mean in means]

    def judge(taken: Taken) -> list[Criterion]:
        bare_speedup = median(taken.ratios(bare, bare_256, "wall_s"))
        return [
            Criterion(
                scenario="cold",
                name="speed ÷ bare client's",
                values=taken.ratios(bare, ours, "wall_s"),
                unit="x",
                must=Bound("≥", 0.80),
                aim=Bound("≥", 0.90),
            ),
            Criterion(
                scenario="cold",
                name="speed at 256 ÷ bare client's",
                values=taken.ratios(bare_256, ours_256, "wall_s"),
                unit="x",
                must=Bound("≥", 0.60),
                aim=Bound("≥", 0.80),
            ),
            Criterion(
                scenario="cold",
                name="speed ÷ hand-written loop's",
                values=taken.ratios(hand, ours, "wall_s"),
                unit="x",
                must=Bound("≥", 2.2),
                aim=Bound("≥", 3.5),
                bare=median(taken.ratios(hand, bare, "wall_s")),
            ),
            Criterion(
                scenario="cold",
                name="CPU of the grid ÷ hand-written loop's",
                values=taken.ratios(ours, hand, "cpu_s"),
                unit="x",
                must=Bound("≤", 0.20),
                aim=Bound("≤", 0.12),
                bare=median(taken.ratios(bare, hand, "cpu_s")),
            ),
            Criterion(
                scenario="cold",
                name="speed at 256 ÷ at 64",
                values=taken.ratios(ours, ours_256, "wall_s"),
                unit="x",
                must=Bound("≥", 1.0),
                aim=Bound("≥", bare_speedup),
                bare=bare_speedup,
            ),
            *(
                Criterion(
                    scenario="cold",
                    name=f"most in flight at {work.concurrency}",
                    values=[max(taken.of(work, "server", "in_flight_max"))],
                    must=Bound("≤", work.concurrency),
                )
                for work in (ours, ours_256)
            ),
            Criterion(
                scenario="cold",
                name="mean in flight ÷ the limit of 64",
                values=shares_in_flight(taken, ours),
                unit="x",
                must=Bound("≥", 0.6),
                aim=Bound("≥", 0.85),
                bare=median(shares_in_flight(taken, bare)),
            ),
            Criterion(
                scenario="cold",
                name="calls beyond one a trial",
                values=[max(taken.of(ours, "server", "calls")) - trials],
                must=Bound("=", 0),
            ),
        ]

    return Scenario("cold", (bare, hand, ours, bare_256, ours_256), judge)


def faults(trials: int) -> Scenario:
    """The same grid, with calls that fail."""
    calm = Work(peer="promptlab", trials=trials)
    faulty = replace(calm, settings=FAULTY)

    def judge(taken: Taken) -> list[Criterion]:
        needless = [
            abs(server["calls"] - server["distinct"] - server["faults"])
            for server in taken.of(faulty, "server")
        ]
        return [
            Criterion(
                scenario="faults",
                name="trials without an answer",
                values=[trials - min(taken.of(faulty, "distinct_answers"))],
                must=Bound("=", 0),
            ),
            Criterion(
                scenario="faults",
                name="calls beyond the distinct ones and the injected faults",
                values=[max(needless)],
                must=Bound("=", 0),
            ),
            Criterion(
                scenario="faults",
                name="most in flight at 64",
                values=[max(taken.of(faulty, "server", "in_flight_max"))],
                must=Bound("≤", faulty.concurrency),
            ),
            Criterion(
                scenario="faults",
                name="time ÷ without faults",
                values=taken.ratios(faulty, calm, "wall_s"),
                unit="x",
                aim=Bound("≤", 1.3),
            ),
        ]

    return Scenario("faults", (calm, faulty), judge)


def account(trials: int) -> Scenario:
    """What the ledger and a budget take of a run.

    A run without them is not to be had, so that their work is done once more by
    itself, one call after the other: the time that takes, beside the run's, is the most
    that they can take of its throughput. Their share of the CPU is more, as a run waits
    for its server most of the time.
    """
    guarded = Work(peer="promptlab", task="guarded", trials=trials)
    alone = Work(peer="account", task="enter", trials=trials)

    def judge(taken: Taken) -> list[Criterion]:
        return [
            Criterion(
                scenario="account",
                name="time of ledger and budget ÷ the run's",
                values=taken.ratios(alone, guarded, "wall_s"),
                unit="x",
                must=Bound("≤", 0.05),
                aim=Bound("≤", 0.03),
            ),
            Criterion(
                scenario="account",
                name="CPU of ledger and budget ÷ the run's",
                values=taken.ratios(alone, guarded, "cpu_s"),
                unit="x",
                must=Bound("≤", 0.05),
                aim=Bound("≤", 0.03),
            ),
        ]

    return Scenario("account", (guarded, alone), judge)


def limits(trials: int) -> Scenario:
    """The same grid, at a server that lets through so many a minute and no more; and
    calls to servers of many kinds, in simulated time."""
    calls, tokens, runs, processes = (
        Work(peer="promptlab", task=task, trials=trials, settings=LIMITED)
        for task in ("grid", "long", "two_runs", "two_processes")
    )
    simulated = Simulated()
    names = {
        calls: "by requests",
        tokens: "by tokens",
        runs: "by requests, two runs",
        processes: "by requests, two processes",
    }

    def beyond_ideal(taken: Taken, work: Work) -> list[float]:
        """How much longer the calls took than the limits made them take, in %."""
        servers = taken.of(work, "server")
        return [100 * (s["span_s"] / s["ideal_s"] - 1) for s in servers]

    def refused(taken: Taken, work: Work) -> list[float]:
        return [100 * s["refused"] / s["calls"] for s in taken.of(work, "server")]

    def judge_simulated(taken: Taken) -> list[Criterion]:
        return [
            criterion
            for kind in taken.measurements[simulated][0]
            for criterion in (
                Criterion(
                    scenario="limits",
                    name=f"time beyond the ideal, {kind}",
                    values=[100 * (t - 1) for t in taken.of(simulated, kind, "time")],
                    unit="%",
                    must=Bound("≤", 20),
                ),
                Criterion(
                    scenario="limits",
                    name=f"calls refused after a minute, {kind}",
                    values=[100 * r for r in taken.of(simulated, kind, "refused")],
                    unit="%",
                    must=Bound("≤", 5 if kind.endswith(TELLING) else 15),
                ),
            )
        ]

    def judge(taken: Taken) -> list[Criterion]:
        return judge_simulated(taken) + [
            criterion
            for work, name in names.items()
            for criterion in (
                Criterion(
                    scenario="limits",
                    name=f"time beyond the ideal, limited {name}",
                    values=beyond_ideal(taken, work),
                    unit="%",
                    must=None if work is processes else Bound("≤", 5),
                    aim=Bound("≤", 5),
                ),
                Criterion(
                    scenario="limits",
                    name=f"calls refused with 429, limited {name}",
                    values=refused(taken, work),
                    unit="%",
                    must=None if work is processes else Bound("≤", 0.1),
                    aim=Bound("≤", 1 if work is processes else 0.1),
                ),
            )
        ]

    return Scenario("limits", (calls, tokens, runs, processes, simulated), judge)


def warm(trials: int) -> Scenario:
    """A grid of which everything is in the cache."""
    hand, ours = (
        Work(peer=peer, trials=trials, filled=True) for peer in ("hand", "promptlab")
    )

    def judge(taken: Taken) -> list[Criterion]:
        return [
            Criterion(
                scenario="warm",
                name="calls",
                values=[max(taken.of(ours, "server", "calls"))],
                must=Bound("=", 0),
            ),
            Criterion(
                scenario="warm",
                name="CPU of the grid ÷ hand-written loop's",
                values=taken.ratios(ours, hand, "cpu_s"),
                unit="x",
                must=Bound("≤", 0.35),
                aim=Bound("≤", 0.2),
            ),
            Criterion(
                scenario="warm",
                name="memory growth per trial",
                values=[
                    growth / trials / 1000
                    for growth in taken.of(ours, "rss_growth_bytes")
                ],
                unit="KB",
                must=Bound("≤", 2.3),
            ),
        ]

    return Scenario("warm", (hand, ours), judge)


def planning(first: int, *larger: int) -> Scenario:
    """What a run would do, without doing it: the slope beyond the first trials."""
    base, *grown = (
        Work(peer="promptlab", task="plan", trials=trials)
        for trials in (first, *larger)
    )

    def slopes(taken: Taken, work: Work, name: str, scale: float) -> list[float]:
        pairs = zip(taken.of(work, name), taken.of(base, name), strict=True)
        return [
            (large - small) / (work.trials - first) * scale for large, small in pairs
        ]

    def judge(taken: Taken) -> list[Criterion]:
        return [
            criterion
            for work in grown
            for criterion in (
                Criterion(
                    scenario="planning",
                    name=f"CPU per trial beyond {first:,}, of {work.trials:,}",
                    values=slopes(taken, work, "cpu_s", 1e6),
                    unit="µs",
                    must=Bound("≤", 40),
                ),
                Criterion(
                    scenario="planning",
                    name=f"memory per trial beyond {first:,}, of {work.trials:,}",
                    values=slopes(taken, work, "rss_growth_bytes", 1e-3),
                    unit="KB",
                    must=Bound("≤", 1),
                ),
            )
        ]

    return Scenario("planning", (base, *grown), judge)


def imports() -> Scenario:
    """What a notebook waits for before it can begin."""
    pandas, ours, help_page = (
        Command(peer="promptlab", arguments=arguments)
        for arguments in (
            ("-c", "import pandas"),
            ("-c", "import promptlab"),
            ("-X", "importtime", "-m", "promptlab", "--help"),
        )
    )

    def judge(taken: Taken) -> list[Criterion]:
        pairs = zip(
            taken.of(ours, "process_cpu_s"),
            taken.of(pandas, "process_cpu_s"),
            strict=True,
        )
        heavy = {"pandas", "openai"}.intersection(*taken.of(help_page, "imported"))
        return [
            Criterion(
                scenario="import",
                name="CPU of import promptlab - of import pandas",
                values=[one - other for one, other in pairs],
                unit="s",
                must=Bound("≤", 0.3),
            ),
            Criterion(
                scenario="import",
                name="of pandas and openai, imported by --help",
                values=[len(heavy)],
                must=Bound("=", 0),
            ),
        ]

    return Scenario("import", (pandas, ours, help_page), judge)


def first(trials: int) -> Scenario:
    """The first run of a process, and of a kernel."""
    hand, ours = (
        Work(peer=peer, trials=trials, first=True) for peer in ("hand", "promptlab")
    )
    cell = FirstCell(trials=trials)

    def judge(taken: Taken) -> list[Criterion]:
        return [
            Criterion(
                scenario="first",
                name="CPU of a process, imports and grid ÷ hand-written loop's",
                values=taken.ratios(ours, hand, "process_cpu_s"),
                unit="x",
                must=Bound("≤", 0.45),
                aim=Bound("≤", 0.35),
            ),
            Criterion(
                scenario="first",
                name="time of the first cell that runs, all cached",
                values=taken.of(cell, "wall_s"),
                unit="s",
                must=Bound("≤", 2),
                aim=Bound("≤", 1),
            ),
        ]

    return Scenario("first", (hand, ours, cell), judge)


def scores(rows: int) -> Scenario:
    """Outputs scored by named scorers, and by a function that does nothing."""
    bare, named, function = (
        Command(
            peer="promptlab", arguments=("-m", "benchmarks.scores", str(rows), *names)
        )
        for names in ((), ("exact", "contains", "regex", "number"), ("function",))
    )

    def besides(taken: Taken, work: Command) -> list[float]:
        """CPU beyond that of making the table."""
        pairs = zip(
            taken.of(work, "process_cpu_s"),
            taken.of(bare, "process_cpu_s"),
            strict=True,
        )
        return [one - other for one, other in pairs]

    def judge(taken: Taken) -> list[Criterion]:
        per_row = [cpu_s / rows * 1e6 for cpu_s in besides(taken, function)]
        return [
            Criterion(
                scenario="scores",
                name=f"CPU of exact, contains, regex and number, {rows:,} rows",
                values=besides(taken, named),
                unit="s",
                must=Bound("≤", 2),
            ),
            Criterion(
                scenario="scores",
                name="CPU of a function beyond its own, for each row",
                values=per_row,
                unit="µs",
                must=Bound("≤", 5),
            ),
        ]

    return Scenario("scores", (bare, named, function), judge)


def comparison(
    first: tuple[int, int], large: tuple[int, int], *larger: tuple[int, int]
) -> Scenario:
    """Outputs side by side in JupyterLab: as quick and as small for many as for few."""
    small, judged, *others = (
        Compared(rows=rows, columns=columns)
        for rows, columns in (first, large, *larger)
    )
    acts = {
        "scroll": "to the end of a page",
        "last_row": "to the last row, right after the first paint",
        "word": "to filter by a word, from its last key",
        "failed": "to filter by failed",
    }

    def judge(taken: Taken) -> list[Criterion]:
        criterion = partial(Criterion, scenario="comparison")
        return [
            criterion(
                name=f"first paint of {judged} ÷ of {small}",
                values=taken.ratios(judged, small, "opening", "s"),
                unit="x",
                must=Bound("≤", 1.5),
            ),
            criterion(
                name=f"sent to the page to show {judged}",
                values=[max(taken.of(judged, "opening", "bytes")) / 1000],
                unit="KB",
                must=Bound("≤", 500),
            ),
            criterion(
                name=f"widget models of {judged}",
                values=[max(taken.of(judged, "opening", "models"))],
                must=Bound("≤", 12),
            ),
            *(
                criterion(
                    name=f"{judged}: {what}",
                    values=taken.of(judged, act, "s"),
                    unit="s",
                    aim=Bound("≤", 0.5),
                )
                for act, what in acts.items()
            ),
            criterion(
                name=f"{judged}: CPU of kernel and page for the dearest of these",
                values=list(map(max, *(taken.of(judged, a, "cpu_s") for a in acts))),
                unit="s",
                must=Bound("≤", 0.5),
            ),
            *(
                criterion(
                    name=f"saved notebook's growth by {work}{how}",
                    values=[max(taken.of(work, name)) / 1000],
                    unit="KB",
                    must=Bound("≤", 200),
                )
                for work in (small, judged, *others)
                for name, how in (
                    ("notebook_bytes", ""),
                    ("with_state_bytes", ", with widget state"),
                )
            ),
        ]

    return Scenario("comparison", (small, judged, *others), judge)


def progress(trials: int, turns: int) -> Scenario:
    """What it takes to show a run's progress, at about 500 calls a second."""
    work = Watched(trials=trials, turns=turns)

    def besides(taken: Taken, name: str) -> list[float]:
        """The share of a run's time that showing its progress takes besides, in %: of
        each repetition the median of the pairs."""
        repetitions = zip(
            taken.of(work, "shown"), taken.of(work, "silent"), strict=True
        )
        return [
            median(
                100 * (one[name] - other[name]) / other["wall_s"]
                for one, other in zip(shown, silent, strict=True)
            )
            for shown, silent in repetitions
        ]

    def judge(taken: Taken) -> list[Criterion]:
        return [
            Criterion(
                scenario="progress",
                name="CPU of showing it, of a run's time",
                values=besides(taken, "cpu_s"),
                unit="%",
                must=Bound("≤", 2),
            ),
            Criterion(
                scenario="progress",
                name="time beyond that without it",
                values=besides(taken, "wall_s"),
                unit="%",
                aim=Bound("≤", 2),
            ),
        ]

    return Scenario("progress", (work,), judge)
