"""The judges that have names: scorers that ask a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from promptlab.scoring.judge import MOST_TOKENS, PASS, Judge, Reasoning, made_judge
from promptlab.scoring.named import named
from promptlab.scoring.panel import MAJORITY, by_panel, models
from promptlab.scoring.rows import Rows
from promptlab.scoring.scorer import Evaluate, Scorer, Scores
from promptlab.spec.prompt import Prompt


class Judged(TypedDict, total=False):
    """The options of a judge that all scorers have."""

    threshold: float
    """The least number that is right."""
    weight: float
    """How much it counts in `weighted` and among the checks of a case; default: 1."""


class Ready(Judged, total=False):
    """The options of a judge whose rubric is ready."""

    name: str
    scale: Sequence[int]
    examples: Iterable[Mapping[str, Any]]
    reasoning: Reasoning | None
    repeats: int
    temperature: float
    max_tokens: int
    base_url: str
    structured: bool


@named(Judged)
def judge(
    name: str,
    *,
    model: str | Sequence[str],
    rubric: str = "",
    scale: Sequence[int] | None = None,
    choices: Sequence[str] | Mapping[str, float] | None = None,
    criteria: Sequence[str] | Mapping[str, str] | None = None,
    examples: Iterable[Mapping[str, Any]] = (),
    reasoning: Reasoning | None = "before",
    repeats: int = 1,
    prompt: Prompt | str | Sequence[Mapping[str, Any]] | None = None,
    shows: Iterable[str] = ("inputs", "expected"),
    temperature: float | None = None,
    max_tokens: int = MOST_TOKENS,
    parameters: Mapping[str, Any] | None = None,
    base_url: str | None = None,
    structured: bool = True,
    **options: Unpack[Judged],
) -> Scorer:
    """Asks a model whether outputs satisfy a rubric.

    The score is True or False; with `scale=(1, 5)` an integer of that scale, with
    `choices=["better", "worse"]` one of these labels, or the number that a mapping
    gives it. Any other verdict is a missing score, counted and never guessed. The
    judge's calls are calls like any other: cached, budgeted, in the ledger.

    Args:
        name: Of the score.
        model: The model that judges; several make a panel. Its score is what most of
            them say, missing if they are split, or on a scale the mean; what each says
            is a score too, `polite_<model>`, and how far they agree is in the summary.
        rubric: What a good output is, in words.
        criteria: Several questions that are answered in one call, each with a score of
            its own: names, or names with what is asked.
        examples: Verdicts to go by: `output`, `verdict`, and `reasoning`, `inputs` or
            `expected`.
        reasoning: Whether the judge explains itself "before" its verdict, "after" it,
            or not (None).
        repeats: How often each output is judged. The score is the mean, of labels the
            most frequent one.
        prompt: What the judge is asked, with the holes `{{rubric}}`, `{{verdicts}}` and
            `{{data}}`; `promptlab.scoring.judge.PROMPT` is the usual one.
        shows: What the judge sees beside the output: `inputs`, `expected`, `messages`
            (the conversation) or columns by name.
        temperature: Of the judge; default: the server's. Left out for models that
            refuse it.
        max_tokens: Of a judgement, reasoning included.
        parameters: More parameters of the request.
        base_url: The server that is asked; default: that of the run.
        structured: Whether a JSON Schema binds the reply; a server that refuses one is
            asked without it anyway.

    Raises:
        SpecError: it cannot be asked as it is.
    """
    given = {"temperature": temperature, "max_tokens": max_tokens, **(parameters or {})}
    examples = tuple(examples)
    return _scorer(
        *(
            made_judge(
                name,
                model=one,
                rubric=rubric,
                scale=scale,
                choices=choices,
                criteria=criteria,
                examples=examples,
                reasoning=reasoning,
                repeats=repeats,
                prompt=prompt,
                shows=shows,
                parameters=given,
                base_url=base_url,
                structured=structured,
            )
            for one in models(model)
        )
    )


@named(Ready)
def criteria(
    criteria: Sequence[str] | Mapping[str, str],
    *,
    model: str | Sequence[str],
    **options: Unpack[Ready],
) -> Scorer:
    """Asks a model about several criteria in one call; each is a score of its own.

    Args:
        criteria: Names, or names with what is asked.
        model: The model that judges.
    """
    return _ready("criteria", options, model=model, criteria=criteria)


@named(Ready)
def faithful(
    context: str, *, model: str | Sequence[str], **options: Unpack[Ready]
) -> Scorer:
    """Asks a model whether outputs say only what a context says.

    Args:
        context: The column that has the context.
        model: The model that judges.
    """
    rubric = (
        f"Every claim in `output` is stated in `{context}` or follows from it. Claims "
        "that are true but not found there do not pass. An output that says the "
        "information is not there passes if it is not."
    )
    return _ready("faithful", options, model=model, rubric=rubric, shows=(context,))


@named(Ready)
def answers(
    question: str = "question", *, model: str | Sequence[str], **options: Unpack[Ready]
) -> Scorer:
    """Asks a model whether outputs answer the question, rightly or not.

    Args:
        question: The column that has the question.
        model: The model that judges.
    """
    rubric = (
        f"`output` answers what `{question}` asks: directly, and all of it. Whether "
        "what it says is right does not matter here. Declining to answer, answering "
        "another question or only a part of it does not pass."
    )
    return _ready("answers", options, model=model, rubric=rubric, shows=(question,))


@named(Ready)
def same_facts(
    to: str = "expected", *, model: str | Sequence[str], **options: Unpack[Ready]
) -> Scorer:
    """Asks a model whether outputs say the same facts as what is expected.

    Args:
        to: The column that has the facts.
        model: The model that judges.
    """
    rubric = (
        f"`output` gives the same facts as `{to}`: nothing that `{to}` says is missing "
        "or contradicted. Wording, order, style and additional details that do not "
        "contradict it do not matter."
    )
    return _ready(
        "same_facts", options, model=model, rubric=rubric, shows=("inputs", to)
    )


def _ready(name: str, options: Ready, **more: Any) -> Scorer:
    """A judge whose rubric is ready, with the options it was given."""
    given: dict[str, Any] = {"name": name, **options, **more}
    return judge(**given)


def _scorer(*judges: Judge) -> Scorer:
    """A scorer by one judge, or by a panel of them."""
    judge, *others = judges
    by_majority = judge.repeats > 1 and judge.verdicts == PASS and not others
    return Scorer(
        name=judge.name,
        evaluate=by_panel(judges) if others else by_judge(judge),
        needs=("output", *columns_shown(judge)),
        threshold=MAJORITY if by_majority else None,
        judges=judges,
    )


def by_judge(judge: Judge) -> Evaluate:
    """Asks a judge about each row."""

    def evaluate(rows: Rows) -> Scores:
        scores = Scores()
        for verdicts in rows.judged(judge):
            scores.add(verdicts if judge.criteria else verdicts[judge.name])
        return scores

    return evaluate


def columns_shown(judge: Judge) -> tuple[str, ...]:
    """The columns that a judge is shown beside outputs."""
    return tuple(name for name in judge.shows if name not in ("inputs", "expected"))
