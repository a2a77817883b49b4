"""Rows as JSON: rows and headings of a comparison as plain values, for a front end.

Strings are not escaped, only cut: whoever shows them escapes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from promptlab.formats import (
    counted,
    interval_text,
    label,
    number,
    plain_text,
    score_text,
    share,
    shortened,
)
from promptlab.notebook.compare.comparison import AS_EXPECTED, MEASURES, Comparison
from promptlab.notebook.compare.marks import Mark
from promptlab.notebook.compare.row_filter import (
    EXPECTED,
    ONLY,
    RowFilter,
    fields,
    is_number,
    of_kind,
    row_names,
)
from promptlab.notebook.compare.standing import (
    LOST,
    MISSING_SCORE,
    TIED,
    WON,
    Standing,
    is_share,
    standings,
)
from promptlab.notebook.trial_table import measure_text
from promptlab.results.json_answers import indented
from promptlab.results.schema import EXPLANATION, Schema
from promptlab.results.table import plain_values
from promptlab.spec.response import is_truncated, is_withheld
from promptlab.spec.tools import called

EXCERPT = 4_000
"""Characters of an output that come with its row; the rest is asked for."""

INPUTS_EXCERPT = 6_000
"""Characters of all inputs of a row together, and at most 1,500 of each."""

MOST_INPUTS = 40
LABEL_EXCERPT = 300
WORDS_EXCERPT = 60
"""Characters of a score in words, beside an output."""

REPEAT_LOOKED = 2_000
"""Characters by which the outputs of repeats are told apart."""

REPEAT_EXCERPT = 60
MOST_REPEATS = 4
"""Characters of an output of repeats, and how many different ones are named."""

BY_EXPECTED = {"expected": "✓ as expected", "unexpected": "≠ expected"}
"""The words for an output where no criterion decides. Another text than the expected
one may be right too, so only a criterion says wrong."""

SHORT = {"input_tokens": "in", "output_tokens": "tok"}
"""The unit of a measure where there is little room."""


def page(
    comparison: Comparison,
    view: RowFilter,
    rows: np.ndarray,
    marks: Mapping[int, Mark],
    excerpt: int = EXCERPT,
) -> list[dict[str, Any]]:
    """Rows as a front end shows them, each with the outputs of the shown columns."""
    positions = comparison.positions[rows][:, list(view.columns)]
    outputs = _outputs(comparison, view, rows, positions, excerpt)
    heads = comparison.table.iloc[comparison.first[rows]]
    columns = {name: plain_values(heads[name]) for name in row_names(comparison)}
    width = len(view.columns)
    _add_folds(comparison, view, rows, outputs)
    return [
        {
            "row": int(row),
            **_head(comparison, {name: v[i] for name, v in columns.items()}),
            "fold": _fold(comparison, view, row),
            "mark": marks.get(int(row), Mark()).to_plain(),
            "outputs": outputs[i * width : (i + 1) * width],
        }
        for i, row in enumerate(rows)
    ]


def _fold(comparison: Comparison, view: RowFilter, row: int) -> dict[str, Any] | None:
    """The fold that a row is of: its number, how many repeats it has, and whether they
    are shown one by one; None where nothing is folded."""
    if not view.folded or comparison.folds is None:
        return None
    fold = int(comparison.folds[row])
    size = len(comparison.fold_of(row))
    if size < 2:
        return None
    return {"number": fold, "rows": size, "open": fold in view.opened}


def _add_folds(
    comparison: Comparison,
    view: RowFilter,
    rows: np.ndarray,
    outputs: Sequence[dict[str, Any] | None],
) -> None:
    """Adds to the outputs of folded rows what all repeats answered, and has their mean
    scores in place of the first one's."""
    if not view.folded or comparison.folds is None:
        return
    scored = {
        name: (comparison.scored(name), is_share(comparison, name))
        for name in comparison.scores
    }
    places = [(row, column) for row in rows for column in view.columns]
    for (row, column), output in zip(places, outputs, strict=True):
        fold = _fold(comparison, view, row)
        if output is None or fold is None or fold["open"]:
            continue
        positions = comparison.positions[comparison.fold_of(row), column]
        positions = positions[positions >= 0]
        means = [
            _mean_of_repeats(name, scores[positions], share=share)
            for name, (scores, share) in scored.items()
        ]
        output["repeats"] = _repeats(comparison, positions)
        output["scores"] = [mean for mean in means if mean]
        output["verdict"] = None


def _mean_of_repeats(name: str, scores: np.ndarray, *, share: bool) -> list[str] | None:
    """The mean of a score as a short and a long text; None where none is known."""
    known = scores[~np.isnan(scores)]
    if not len(known):
        return None
    mean = score_text(float(known.mean()), share=share)
    return [
        f"{_short(name)} {mean} of {len(known):,}",
        f"mean {_short(name)} of {counted(len(known), 'repeat')}",
    ]


def _repeats(comparison: Comparison, positions: np.ndarray) -> str:
    """What repeats answered, as `3 × billing, 1 × sales`."""
    starts = pc.utf8_slice_codeunits(
        comparison.outputs.take(pa.array(positions)), 0, REPEAT_LOOKED
    )
    texts = ["failed" if text is None else text.strip() for text in starts.to_pylist()]
    found = Counter(texts).most_common()
    if len(found) == 1:
        return f"{len(texts):,} × the same"
    parts = [
        f"{count:,} × {shortened(' '.join(text.split()), REPEAT_EXCERPT) or 'empty'}"
        for text, count in found[:MOST_REPEATS]
    ]
    more = len(found) - MOST_REPEATS
    return ", ".join([*parts, *[f"{more:,} more"] * (more > 0)])


def verdicts(comparison: Comparison) -> dict[str, str]:
    """The words for outputs by kind: first those that are right, then the others."""
    criterion = comparison.criterion
    return BY_EXPECTED if criterion is None else criterion.verdicts


def headings(
    comparison: Comparison, view: RowFilter, rows: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """The heading of each shown column: what it holds, and how it stands on some rows;
    without these, only what is counted fast."""
    scores: Sequence[dict[str, Any] | None] = [None] * len(view.columns)
    name = view.score_of(comparison)
    if rows is not None and name is not None:
        found = standings(comparison, name, view.columns, view.against, rows)
        share = is_share(comparison, name)
        scores = [
            _standing(comparison, name, column, one, share=share)
            for column, one in zip(view.columns, found, strict=True)
        ]
    return [
        {
            "column": index,
            "labels": _named(comparison.columns[index].labels),
            "also": _named(comparison.columns[index].also),
            "score": score,
            "facts": list(_column_facts(comparison, view, index, rows)),
        }
        for index, score in zip(view.columns, scores, strict=True)
    ]


def _standing(
    comparison: Comparison, name: str, column: int, standing: Standing, *, share: bool
) -> dict[str, Any]:
    """How a column stands, as texts; `outcomes` are kinds of rows and their counts."""
    cases = counted(standing.cases, "case")
    failed = f", {_failures(comparison, name)}" if comparison.failed.any() else ""
    won, lost, tied = standing.outcomes
    outcomes = [[WON, won], [LOST, lost], [TIED, tied]] if standing.delta else []
    if standing.missing:
        outcomes.append([MISSING_SCORE, standing.missing])
    lower = comparison.lower_is_better(name)
    better = standing.delta is not None and (standing.delta[0] < 0) == lower
    return {
        "text": interval_text(*standing.interval, share=share),
        "title": f"mean {_short(name)} of {cases}, with its 95 % interval; repeats of "
        f"a case count as one{failed}",
        "cases": standing.cases,
        "delta": standing.delta
        and interval_text(*standing.delta, share=share, signed=True)
        + " points" * share,
        "way": None if not standing.sure else "better" if better else "worse",
        "outcomes": [[f"{kind}@{column}", kind, n] for kind, n in outcomes],
    }


def _failures(comparison: Comparison, name: str) -> str:
    lower = comparison.lower_is_better(name)
    return "failed trials are left out" if lower else "failed trials count as 0"


def opening(comparison: Comparison, view: RowFilter) -> dict[str, Any]:
    """What a front end needs to know of a comparison before it shows rows."""
    return {
        "rows": len(comparison),
        "trials": len(comparison.table),
        "by": [_short(name) for name in comparison.by],
        "columns": [_short(column.name) for column in comparison.columns],
        "view": view.to_plain(),
        "fields": [
            [field.id, _short(name), is_number(comparison, field)]
            for field, name in fields(comparison)
        ],
        "kinds": list(kinds(comparison)),
        "expected": comparison.expected is not None,
        "verdicts": verdicts(comparison),
        "wrong": wrong(comparison),
        "scores": [[name, _short(name)] for name in comparison.scores],
        "repeated": comparison.folds is not None,
    }


def kinds(comparison: Comparison) -> Iterator[str]:
    """The kinds of `ONLY` that rows of a comparison can have."""
    possible = {
        "differs": len(comparison.columns) > 1,
        "failed": bool(comparison.failed.any()),
        "truncated": bool(comparison.truncated.any()),
        "wrong": comparison.criterion is not None or comparison.expected is not None,
        "complete": bool((comparison.positions < 0).any()),
    }
    return (kind for kind in ONLY if possible.get(kind, True))


def counts(
    comparison: Comparison, view: RowFilter, marks: Mapping[int, Mark]
) -> dict[str, int]:
    """The number of rows of each kind, in the columns that are shown; where repeats are
    folded, of folds that hold one."""
    folds = comparison.folds if view.folded else None
    rows = {kind: of_kind(comparison, view, kind, marks) for kind in kinds(comparison)}
    return {
        kind: int(found.sum()) if folds is None else len(np.unique(folds[found]))
        for kind, found in rows.items()
    }


def _outputs(
    comparison: Comparison,
    view: RowFilter,
    rows: np.ndarray,
    positions: np.ndarray,
    excerpt: int,
) -> list[dict[str, Any] | None]:
    flat = positions.ravel()
    present = flat[flat >= 0]
    part = comparison.table.iloc[present]
    texts = comparison.shown(present)
    errors = comparison.errors.take(pa.array(present)).to_pylist()
    starts = pc.utf8_slice_codeunits(texts, 0, excerpt).to_pylist()
    lengths = pc.utf8_length(texts).fill_null(0).to_pylist()
    verdicts = _verdicts(comparison, present)
    same = _same_as_baseline(comparison, view, rows, positions)
    facts = _facts(comparison, part)
    scores = _scores(comparison, part)
    whys = _whys(comparison, part)
    notes = _notes(part)
    made = iter(
        {
            "trial": int(position),
            "text": starts[i],
            "sent": min(lengths[i], excerpt),
            "length": lengths[i],
            "error": errors[i],
            "notes": notes[i],
            "verdict": verdicts[i],
            "why": whys[i],
            "same": same[i],
            "scores": scores[i],
            "facts": facts[i],
        }
        for i, position in enumerate(present)
    )
    return [next(made) if position >= 0 else None for position in flat]


def _verdicts(comparison: Comparison, positions: np.ndarray) -> list[str | None]:
    """The kind of verdict on each trial; None where nothing decides, or it failed."""
    if comparison.right is None:
        return [None] * len(positions)
    yes, no = verdicts(comparison)
    known = comparison.right[positions]
    known = np.where(comparison.failed[positions], np.nan, known)
    return [None if v != v else yes if v else no for v in known.tolist()]


def _whys(comparison: Comparison, part: pd.DataFrame) -> list[str]:
    """For each trial the explanation of the score that decides; empty without one."""
    criterion = comparison.criterion
    name = "" if criterion is None else f"{criterion.column}{EXPLANATION}"
    if name not in part:
        return [""] * len(part)
    return [_short(plain_text(why)) for why in plain_values(part[name])]


def _same_as_baseline(
    comparison: Comparison, view: RowFilter, rows: np.ndarray, positions: np.ndarray
) -> list[bool | None]:
    present = positions.ravel() >= 0
    if view.baseline is None or view.baseline == EXPECTED:
        return [None] * int(present.sum())
    baseline = comparison.positions[rows, view.baseline]
    base = np.repeat(baseline, positions.shape[1])[present]
    own = comparison.outputs.take(pa.array(positions.ravel()[present]))
    other = comparison.outputs.take(pa.array(base, mask=base < 0))
    same: list[bool | None] = pc.equal(own, other).to_pylist()
    return same


def _notes(part: pd.DataFrame) -> list[list[list[str]]]:
    """For each trial, notes on how it ended: a kind, a short and a long text."""
    schema = Schema.of(part)
    columns = map(schema.reply_column, ("finish_reason", "refusal", "tool_calls"))
    values = [
        [None] * len(part) if column is None else plain_values(part[column])
        for column in columns
    ]
    return [
        list(_noted(*(None if value is None else str(value) for value in of_one)))
        for of_one in zip(*values, strict=True)
    ]


def _noted(
    reason: str | None, refusal: str | None, tool_calls: str | None
) -> Iterator[list[str]]:
    if refusal is not None:
        yield ["refused", "refused", _short(plain_text(refusal))]
    if tool_calls is not None:
        names = called(tool_calls)
        yield ["calls", _short(f"calls {names}"), _short(tool_calls)]
    if is_truncated(reason):
        yield ["truncated", "cut off", "max_tokens ended this output"]
    elif is_withheld(reason):
        yield ["withheld", "withheld", f"a content filter ended this output: {reason}"]
    elif reason and reason != "stop" and tool_calls is None:
        yield ["reason", reason, "finish_reason"]


def _facts(comparison: Comparison, part: pd.DataFrame) -> list[list[list[str]]]:
    """For each trial what the run measured: a short and a long text."""
    columns = [
        (name, plain_values(part[name]))
        for name in comparison.measures
        if name in MEASURES and name != "input_tokens"
    ]
    read = plain_values(part["input_tokens"]) if "input_tokens" in part else None
    found: list[list[list[str]]] = []
    for i in range(len(part)):
        facts = []
        for name, values in columns:
            value = values[i]
            if value is None or value != value:
                continue
            title = name
            if name == "output_tokens" and read is not None and read[i] is not None:
                title = f"{number(read[i])} input tokens, {number(value)} output tokens"
            facts.append([_measure(name, value), title])
        found.append(facts)
    return found


def _scores(comparison: Comparison, part: pd.DataFrame) -> list[list[list[str]]]:
    """For each trial its scores: a short text, and one with the explanation."""
    columns = [
        (
            name,
            plain_values(part[name]),
            plain_values(part[why])
            if (why := f"{name}{EXPLANATION}") in part
            else None,
            pd.api.types.is_bool_dtype(part[name]),
        )
        for name in comparison.trials.schema.scores
        if not _is_verdict(comparison, name)
    ]
    return [
        [
            said
            for name, values, whys, is_bool in columns
            if (said := _score(name, values[i], whys and whys[i], is_bool=is_bool))
        ]
        for i in range(len(part))
    ]


def _score(name: str, value: Any, why: Any, *, is_bool: bool) -> list[str] | None:
    """A score as a short and a long text; None where there is neither it nor a reason
    why it is missing."""
    short, reason = _short(name), "" if why is None else f"\n{_short(plain_text(why))}"
    if value is None or value != value:
        return [f"{short}: –", f"{short}: missing{reason}"] if reason else None
    if isinstance(value, str):
        cut = shortened(value, WORDS_EXCERPT)
        return [f"{short}: {cut}", f"{short}: {_short(value)}{reason}"]
    text = ("yes" if value else "no") if is_bool else number(value)
    return [f"{short}: {text}", f"{short}{reason}"]


def _column_facts(
    comparison: Comparison, view: RowFilter, index: int, rows: np.ndarray | None
) -> Iterator[dict[str, str]]:
    positions = comparison.positions[slice(None) if rows is None else rows, index]
    positions = positions[positions >= 0]
    lead = view.score_of(comparison)
    trials = len(positions)
    yield _fact("trials", counted(trials, "trial"), "how many this column has")
    if not trials:
        return
    if failed := int(comparison.failed[positions].sum()):
        yield _fact("failed", f"{failed:,} failed", f"{share(failed, trials)} of all")
    if cut := int(comparison.truncated[positions].sum()):
        answered = trials - failed
        yield _fact(
            "truncated",
            f"{share(cut, answered or trials)} cut off",
            f"{cut:,} of {answered:,} answers were cut short by max_tokens",
        )
    if (
        rows is not None
        and comparison.right is not None
        and not _is_lead(comparison, lead)
    ):
        known = comparison.right[positions]
        known = known[~np.isnan(known)]
        if len(known):
            criterion = comparison.criterion
            what = "as expected" if criterion is None else _short(criterion.met)
            met = int(known.sum())
            yield _fact(
                "right",
                f"{share(met, len(known))} {what}",
                f"{met:,} of {len(known):,}",
                sort=f"right@{index}:",
            )
    for name in comparison.measures:
        values = comparison.trials.numbers(name)[positions]
        values = values[~np.isnan(values)]
        if name == "input_tokens" or not len(values) or _is_verdict(comparison, name):
            continue
        if rows is not None and name == lead:
            continue
        mean = float(values.mean())
        if pd.api.types.is_bool_dtype(comparison.table[name]):
            text, title = share(values.sum(), len(values)), f"share of {_short(name)}"
        else:
            text, title = _measure(name, mean), f"mean {_short(name)}"
        yield _fact(
            "mean",
            text if name in MEASURES else f"{_short(name)} {text}",
            f"{title}, of {len(values):,}",
            sort=f"trial@{index}:{name}",
        )


def wrong(comparison: Comparison) -> list[str]:
    """The name of the filter for what is not right, and the rows that pass it."""
    criterion = comparison.criterion
    if criterion is None:
        what = "that is not the expected text, apart from case and white space"
        return ["Unexpected", f"Rows with an output {what}"]
    name = _short(criterion.unmet)
    return [name[0].upper() + name[1:], f"Rows with an output that is {name}"]


def _is_lead(comparison: Comparison, lead: str | None) -> bool:
    """Whether the score that leads a heading is what decides which are right."""
    return lead == AS_EXPECTED or (lead is not None and _is_verdict(comparison, lead))


def _is_verdict(comparison: Comparison, name: str) -> bool:
    """Whether a column is no more than the verdict."""
    criterion = comparison.criterion
    return (
        criterion is not None
        and criterion.column == name
        and criterion.threshold is None
    )


def _fact(kind: str, text: str, title: str, sort: str = "") -> dict[str, str]:
    return {"kind": kind, "text": text, "title": title, "sort": sort}


def _measure(name: str, value: float) -> str:
    return f"{measure_text(name, value)} {SHORT.get(name, '')}".rstrip()


def _head(comparison: Comparison, values: Mapping[str, Any]) -> dict[str, Any]:
    """The head of a row: its case, its inputs, what is expected."""
    tags = {name: values[name] for name in comparison.others}
    if comparison.trials.repeated and "repeat" in values:
        tags["repeat"] = values["repeat"]
    expected = None
    if values.get("expected") is not None:
        expected = indented(plain_text(values["expected"]))
    inputs = comparison.trials.schema.inputs
    room = max(50, min(1_500, INPUTS_EXCERPT // max(1, len(inputs))))
    return {
        "case": None if "case" not in values else _short(plain_text(values["case"])),
        "tags": _named(tags),
        "inputs": [
            [_short(name), *_cut(plain_text(values[name]), room)]
            for name in inputs[:MOST_INPUTS]
            if values[name] is not None
        ],
        "expected": None if expected is None else _cut(expected, 1_500),
    }


def _cut(text: str, length: int) -> list[Any]:
    return [text[:length], len(text)]


def _named(values: Mapping[str, Any]) -> list[list[str]]:
    return [[_short(name), _short(label(value))] for name, value in values.items()]


def _short(text: str) -> str:
    return shortened(text, LABEL_EXCERPT)
