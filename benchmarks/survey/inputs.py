"""Inputs and embeddings of the surveyed models, in Keras 2 or 3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WIDTH = 8


def inputs_of(keras: Any, names: Iterable[str], *, length: int | None = None) -> dict[str, Any]:
    """Return an input of ids for each name: of one id, or of `length`."""
    shape = () if length is None else (length,)
    return {name: keras.Input(shape, name=name, dtype="int32") for name in names}


def embedded(keras: Any, ids: dict[str, Any], name: str, size: int, width: int = WIDTH) -> Any:
    """Return the vectors of an input's ids, from a table of their own."""
    return keras.layers.Embedding(size, width)(ids[name])
