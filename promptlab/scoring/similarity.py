"""Similarity: how near outputs are to what is expected, by their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from promptlab.embeddings.arguments import check_arguments
from promptlab.scoring.named import MeasuredText, named, normalizer, reader
from promptlab.scoring.rows import Rows
from promptlab.scoring.scorer import Scorer, Scores, described

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@named(MeasuredText)
def similar(
    value: str | None = None,
    *,
    model: str,
    to: str = "expected",
    dimensions: int | None = None,
    **options: Unpack[MeasuredText],
) -> Scorer:
    """How similar the output is in meaning to the value, or to what the column `to`
    has: the cosine of their embeddings, 1 for the same text, about 0 for unrelated
    ones. Which number is similar enough depends on the model.

    Embeddings are calls like any other: cached by text, budgeted, in the ledger.

    Args:
        value: What to compare with; default: what a column has.
        model: The embedding model.
        to: The column to compare with.
        dimensions: The length of the vectors, of models that let it be chosen.
    """
    check_arguments(model, dimensions)
    read, target = reader(options), normalizer(options)

    def evaluate(rows: Rows) -> Scores:
        outputs, unread = _texts(rows.column("output"), read)
        wanted = [value] * len(rows) if value is not None else rows.column(to)
        targets, missing = _texts(wanted, target)
        missing = {**dict.fromkeys(missing, f"the case has no {to!r}"), **unread}
        asked = [
            text
            for place, pair in enumerate(zip(outputs, targets, strict=True))
            for text in (pair if place not in missing else (None, None))
        ]
        found = rows.vectors(asked, model, dimensions)
        scores = Scores()
        for place, cosine in enumerate(_cosines(found.array)):
            first, second = 2 * place, 2 * place + 1
            why = missing.get(place) or found.missing.get(first)
            why = why or found.missing.get(second)
            if why is not None:
                scores.miss(why)
            else:
                scores.add(cosine)
        return scores

    return Scorer(
        name="",
        evaluate=evaluate,
        needs=("output",) if value is not None else ("output", to),
        embeds=(model,),
    )


def _texts(
    values: Iterable[Any], read: Callable[[Any], str]
) -> tuple[list[str | None], dict[int, str]]:
    """The text of each value, and by place why some have none."""
    texts: list[str | None] = []
    missing: dict[int, str] = {}
    for place, value in enumerate(values):
        try:
            text = None if value is None else read(value)
        except Exception as error:  # a transform is the user's
            text, missing[place] = None, described(error)
        if not text:
            missing.setdefault(place, "there is no text to compare")
        texts.append(text or None)
    return texts, missing


def _cosines(array: npt.NDArray[np.float32]) -> list[float]:
    """Of every other row with the one that follows it; NaN without a direction."""
    import numpy as np

    first, second = array[::2].astype(np.float64), array[1::2].astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    dots = np.einsum("ij,ij->i", first, second)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines: list[float] = np.clip(dots / lengths, -1, 1).tolist()
    return cosines
