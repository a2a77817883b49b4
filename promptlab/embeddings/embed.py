"""embed: the vectors of texts, for those who want just these."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Unpack, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from promptlab.embeddings.arguments import check_arguments
from promptlab.embeddings.vectors import Vectors, vectors_of
from promptlab.errors import PromptlabError, PromptlabWarning, SpecError, brief
from promptlab.execution.engine import Engine
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions, RunOptionsDict, with_run_options
from promptlab.secret import sealed

Array = npt.NDArray[np.float32]


@overload
def embed(
    texts: pd.Series[Any],
    *,
    model: str,
    dimensions: int | None = None,
    **options: Unpack[RunOptionsDict],
) -> pd.DataFrame: ...
@overload
def embed(
    texts: Sequence[str | None],
    *,
    model: str,
    dimensions: int | None = None,
    **options: Unpack[RunOptionsDict],
) -> Array: ...
@with_run_options
def embed(
    texts: pd.Series[Any] | Sequence[str | None],
    *,
    model: str,
    dimensions: int | None = None,
    **options: Unpack[RunOptionsDict],
) -> Array | pd.DataFrame:
    """The vectors of texts: a float32 array with a row for each, or of a Series a
    DataFrame with its index.

    Each different text is asked once and kept by text, model and dimensions, within
    the budgets of a run. Where there is no text, or its call failed, the row is NaN; a
    warning says how many and why.

    ```python
    vectors = pl.embed(["a refund", "my money back"], model="offline/embedding")
    vectors[0] @ vectors[1]
    ```

    Args:
        texts: A list of strings, or a column of a DataFrame; None where one is missing.
        model: The embedding model.
        dimensions: The length of the vectors, of models that let it be chosen.

    Raises:
        SpecError: an argument is wrong, or a budget cannot be kept.
        PromptlabError: no text could be embedded.
    """
    engine = Engine("embed", RunOptions(**sealed(options)))
    asked = background_loop().submit(_vectors(engine, texts, model, dimensions))
    try:
        found = asked.result()
    except KeyboardInterrupt:  # what is in flight is paid for: it is kept
        background_loop().loop.call_soon_threadsafe(engine.cancel)
        asked.result()
        raise
    return _as_given(texts, found)


@with_run_options
async def aembed(
    texts: pd.Series[Any] | Sequence[str | None],
    *,
    model: str,
    dimensions: int | None = None,
    **options: Unpack[RunOptionsDict],
) -> Array | pd.DataFrame:
    """As `embed`, in an event loop of your own."""
    engine = Engine("embed", RunOptions(**sealed(options)))
    found = await _vectors(engine, texts, model, dimensions)
    return _as_given(texts, found)


async def _vectors(
    engine: Engine, texts: Any, model: str, dimensions: int | None
) -> Vectors:
    check_arguments(model, dimensions)
    given = _texts(texts)
    async with engine:
        return await vectors_of(engine, given, model, dimensions)


def _as_given(texts: Any, found: Vectors) -> Array | pd.DataFrame:
    """The vectors, with the index of the texts if they have one."""
    if missing := found.missing:
        why = next(iter(missing.values()))
        said = f"{len(missing):,} of {len(texts):,} texts have no vector: {why}"
        if len(missing) == len(texts):
            raise PromptlabError(said)
        warnings.warn(said, PromptlabWarning, stacklevel=3)
    if isinstance(texts, pd.Series):
        return pd.DataFrame(found.array, index=texts.index)
    return found.array


def _texts(given: Any) -> list[str | None]:
    if isinstance(given, (str, pd.DataFrame)) or not hasattr(given, "__len__"):
        raise SpecError(
            "texts: expected a list of strings, or one column such as df['text'], got "
            f"{type(given).__name__}"
        )
    texts = [
        None if text is None or text is pd.NA or text != text else text
        for text in given
    ]
    for text in texts:
        if text is not None and not isinstance(text, str):
            raise SpecError(f"texts: expected strings, got {brief(text)}")
    return texts
