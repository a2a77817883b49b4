"""Arguments: which model embeds, and how long its vectors are."""

from __future__ import annotations

from promptlab.errors import SpecError, brief


def check_arguments(model: object, dimensions: object) -> None:
    """Raises `SpecError` if that is no model, or no number of dimensions."""
    if not isinstance(model, str) or not model:
        raise SpecError(
            "model: expected the name of an embedding model, such as "
            f"'text-embedding-3-small', got {brief(model)}"
        )
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise SpecError(f"dimensions: expected an integer ≥ 1, got {brief(dimensions)}")
