"""Feeds made from a signature's inputs alone, where no rows are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from tf2spark.dtypes import STRING
from tf2spark.saved_model.contract import TensorSpec

Values = Callable[[tuple[int, ...]], "np.ndarray[Any, Any]"]
"""Returns an array of values of this shape, whose first dimension is the rows."""


Text = TypeVar("Text")


def attempts(
    specs: Iterable[TensorSpec], texts: Sequence[Text]
) -> Iterator[tuple[bool, Text, int]]:
    """Yield what to generate, that which models most likely accept first.

    A model may know few ids, so numbers are random, then zeros. Its texts may have to be those of
    numbers, or of something else.

    Args:
        specs: The inputs.
        texts: What to try for strings.

    Yields:
        Whether numbers are random, a text, and what stands in for unknown dimensions.
    """
    if all(spec.dtype is not STRING for spec in specs):
        texts = texts[:1]
    for random in (True, False):
        for text in texts:
            for size in (3, 1):
                yield random, text, size


def spec_feeds(
    spec: TensorSpec, rows: int, size: int, values: Values
) -> dict[str, np.ndarray[Any, Any]]:
    """Return an array for each of an input's tensors.

    Args:
        spec: The input. A sparse one gets one value per row, and so does a ragged one, at every
            ragged level.
        rows: How many rows, where the batch dimension is free.
        size: What stands in for every other unknown dimension.
        values: Makes the values.
    """
    shape = (None, None) if spec.shape is None else spec.shape
    dims = [
        (size if axis else rows) if known is None else known for axis, known in enumerate(shape)
    ]
    if spec.kind == "dense":
        return {spec.tensors[0]: values(tuple(dims))}
    if spec.kind == "sparse":
        # One value per row, at index 0 of every other axis.
        indices = np.stack(
            [np.arange(dims[0])] + [np.zeros(dims[0], np.int64)] * (len(dims) - 1), 1
        )
        parts = (indices, values((dims[0],)), np.array(dims, np.int64))
        return dict(zip(spec.tensors, parts, strict=True))
    assert spec.splits_dtype is not None, spec
    levels = len(spec.tensors) - 1
    flat_dims = (dims[0], *dims[1 + levels :])
    splits = np.arange(dims[0] + 1, dtype=spec.splits_dtype.numpy)
    return dict(zip(spec.tensors, (values(flat_dims), *[splits] * levels), strict=True))
