"""Pairwise: a judge that compares each output with that of a baseline, in both
orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from promptlab.analysis.leaderboard import references
from promptlab.analysis.scores import Scores as Variants
from promptlab.analysis.scores import scores_of
from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.formats import counted, label
from promptlab.results.record import Score
from promptlab.scoring.judge import (
    MOST_TOKENS,
    PAIR_PROMPT,
    Judge,
    Reasoning,
    made_judge,
)
from promptlab.scoring.judges import Judged, columns_shown
from promptlab.scoring.named import made, named
from promptlab.scoring.rows import Rows
from promptlab.scoring.scorer import Evaluate, Scorer, Scores
from promptlab.spec.definition import Definition
from promptlab.spec.prompt import Prompt
from promptlab.stats.agreement import position_bias

VERDICTS = {"first": 1.0, "second": 0.0, "tie": 0.5}
"""What the judge may say, and what that is worth to the answer shown first."""

WORDS = {1.0: "better", 0.5: "a tie", 0.0: "worse"}
SURE = 0.05


@named(Judged)
def pairwise(
    rubric: str | Scorer | Mapping[str, Any],
    *,
    baseline: Any,
    model: str = "",
    name: str = "pairwise",
    reasoning: Reasoning | None = "before",
    prompt: Prompt | str | Sequence[Mapping[str, Any]] | None = None,
    shows: Iterable[str] = ("inputs", "expected"),
    temperature: float | None = None,
    max_tokens: int = MOST_TOKENS,
    parameters: Mapping[str, Any] | None = None,
    base_url: str | None = None,
    structured: bool = True,
    **options: Unpack[Judged],
) -> Scorer:
    """Asks a model whether outputs are better than the baseline's on the same case.

    Each pair is asked in both orders. The score is 1 for an output that is better in
    both, 0 for one that is worse in both, and ½ for a tie, which a verdict that changes
    with the order is, too; the baseline's own outputs have ½. `pairwise_first` and
    `pairwise_second` are the verdicts where the output was shown first and second. How
    many pairs flipped with the order is in the summary. Equal outputs are ties without
    a call; where the baseline has no output, the score is missing.

    Args:
        rubric: What a good output is, in words; or a judge, whose rubric, model and
            parameters are taken.
        baseline: As that of `pl.leaderboard`: a value of a parameter ("plain"), or a
            mapping. Each variant is compared with the one that has this value, and all
            else as it has.
        model: The model that judges.
        name: Of the score.
        reasoning: Whether the judge explains itself "before" its verdict, "after" it,
            or not (None).
        prompt: What the judge is asked, with the holes `{{rubric}}`, `{{verdicts}}` and
            `{{data}}`; `promptlab.scoring.judge.PAIR_PROMPT` is the usual one.
        shows: What the judge sees beside the outputs, as that of `judge`.
        temperature: Of the judge; default: the server's.
        max_tokens: Of a judgement, reasoning included.
        parameters: More parameters of the request.
        base_url: The server that is asked; default: that of the run.
        structured: Whether a JSON Schema binds the reply.

    Raises:
        SpecError: it cannot be asked as it is.
    """
    given: dict[str, Any] = {
        "rubric": rubric,
        "model": model,
        "reasoning": reasoning,
        "shows": shows,
        "base_url": base_url,
        "structured": structured,
        "parameters": {
            "temperature": temperature,
            "max_tokens": max_tokens,
            **(parameters or {}),
        },
    }
    if not isinstance(rubric, str):
        given |= _of_judge(rubric)
    made_of = made_judge(
        name, choices=list(VERDICTS), prompt=prompt or PAIR_PROMPT, **given
    )
    judge = replace(made_of, answers=("first", "second"))

    def fits(definition: Definition) -> None:
        _check_baseline(baseline, definition)

    return Scorer(
        name=name,
        evaluate=_comparing(judge, baseline),
        needs=("output", *columns_shown(judge)),
        judges=(judge, judge),  # one for each order
        fits=fits,
    )


def _of_judge(given: Any) -> dict[str, Any]:
    """What is taken of a judge."""
    judges = made(given).judges if isinstance(given, (Scorer, Mapping)) else ()
    if len(judges) != 1:
        raise SpecError(
            f"rubric: expected a string, or one judge of one model, got {brief(given)}"
        )
    (judge,) = judges
    return {
        "rubric": judge.whole_rubric,
        "model": judge.model,
        "reasoning": judge.reasoning,
        "shows": judge.shows,
        "base_url": judge.base_url,
        "structured": judge.structured,
        "parameters": judge.parameters,
    }


def _check_baseline(baseline: Any, definition: Definition) -> None:
    """Refuses a baseline that no variant of an experiment is."""
    grid = definition.grid
    valid = {
        name: [label(level.label) for level in grid.used(name)]
        for name in grid.parameters
    }
    if isinstance(baseline, (list, tuple)):
        return  # a value of each parameter that varies: found when rows are scored
    wanted = baseline if isinstance(baseline, Mapping) else {"": baseline}
    for name, value in wanted.items():
        if name and name not in valid:
            raise SpecError(
                f"pairwise: baseline: the grid has no parameter {name!r}"
                f"{did_you_mean(str(name), valid)}"
            )
        known = valid[name] if name else [v for of in valid.values() for v in of]
        if label(value) not in known:
            listed = did_you_mean(label(value), known)
            raise SpecError(
                f"pairwise: no variant is {value!r}, the baseline"
                + (listed or f"; valid values: {', '.join(known[:20])}")
            )


def _comparing(judge: Judge, baseline: Any) -> Evaluate:
    """Compares each row with its baseline's."""

    def evaluate(rows: Rows) -> Scores:
        scores = Scores()
        try:
            pairs = _Pairs(rows, baseline)
        except SpecError as error:
            for _ in range(len(rows)):
                scores.miss(str(error))
            return scores
        seen, outputs = rows.seen(judge), rows.column("output")
        asked = [n for n in range(len(rows)) if pairs.is_asked(n, outputs)]
        both = []
        for place in asked:
            mine, theirs = outputs[place], outputs[pairs.baselines[place]]
            both += [
                {**seen[place], "first": mine, "second": theirs},
                {**seen[place], "first": theirs, "second": mine},
            ]
        said = [verdicts[judge.name] for verdicts in rows.ask(judge, both)]
        orders = dict(zip(asked, zip(said[::2], said[1::2], strict=True), strict=True))
        for place in range(len(rows)):
            if place in orders:
                scores.add(_compared(*orders[place], pairs.names[place]))
            else:
                scores.add(pairs.without_a_call(place))
        scores.judges = {"first": (), "second": ()}  # of which the score is made
        scores.notes[""] = _note(list(orders.values()))
        return scores

    return evaluate


class _Pairs:
    """The row of the baseline's output for each row."""

    def __init__(self, rows: Rows, baseline: Any) -> None:
        """Raises `SpecError` if no row is of the baseline."""
        table = rows.table
        variants: Variants = scores_of(table.assign(**{"\0": 0.0}), "\0")
        targets = references(variants, baseline)
        numbers, cases, _ = variants.repeats
        repeats = table["repeat"].tolist() if "repeat" in table else [0] * len(table)
        keys = {
            int(place): (int(number), int(case), int(repeats[place]))
            for place, number, case in zip(variants.rows, numbers, cases, strict=True)
        }
        places = {key: place for place, key in keys.items()}
        self.baselines: dict[int, int] = {}
        """Of each row, where its baseline's is."""
        self.names: dict[int, str] = {}
        """Of each row, what its baseline is called."""
        for place, (number, case, repeat) in keys.items():
            target = int(targets[number])
            self.names[place] = variants.labels[target] if target >= 0 else ""
            found = places.get((target, case, repeat))
            if found is not None:
                self.baselines[place] = found

    def is_asked(self, place: int, outputs: Sequence[str]) -> bool:
        """Whether it takes a judge to compare a row."""
        base = self.baselines.get(place)
        return base not in (None, place) and outputs[place] != outputs[base or 0]

    def without_a_call(self, place: int) -> dict[str, Score]:
        """The scores of a row that no judge is asked about."""
        base, name = self.baselines.get(place), self.names[place]
        if base == place:
            itself = Score(0.5, "the baseline itself")
            return dict.fromkeys(("", "first", "second"), itself)
        if base is not None:
            return {"": Score(0.5, f"a tie with {name}: the same output")}
        if name:
            return {"": Score(None, f"the baseline {name} has no output here")}
        return {"": Score(None, "the grid has no baseline with all else as here")}


def _compared(first: Score, second: Score, name: str) -> dict[str, Score]:
    """The score of an output shown first, and second, beside the baseline's."""
    one = VERDICTS.get(str(first.value))
    swapped = VERDICTS.get(str(second.value))
    other = None if swapped is None else 1 - swapped
    each = {
        "first": Score(one, first.explanation),
        "second": Score(other, second.explanation),
    }
    if one is None or other is None:
        why = first.explanation if one is None else second.explanation
        return {"": Score(None, why), **each}
    if one == other:
        against = f"{WORDS[one]} {'with' if one == 0.5 else 'than'} {name}"
        return {"": Score(one, f"{against}: {first.explanation or ''}"), **each}
    flipped = (
        f"a tie with {name}, as the verdict changed with the order: {WORDS[one]} when "
        f"shown first, {WORDS[other]} when second"
    )
    return {"": Score(0.5, flipped), **each}


def _note(orders: Sequence[tuple[Score, Score]]) -> str:
    """How many pairs flipped with the order, in words."""
    said = [[VERDICTS.get(str(s.value)) for s in pair] for pair in orders]
    known = [(a, b) for a, b in said if a is not None and b is not None]
    if not known:
        return ""
    bias = position_bias([a for a, _ in known], [b for _, b in known])
    flips = round(bias.flipped.value * len(known))
    line = f"{flips:,} of {counted(len(known), 'pair')} flipped with the order"
    if bias.p > SURE:
        return line
    place = "first" if bias.first.value > 0.5 else "second"
    return f"{line}: the judge favours what is shown {place}"
