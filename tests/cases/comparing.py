"""Scores compared with TensorFlow's own, and with those of another run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

# Runs of other shapes, threads or graphs may add the same numbers in another order, which changes
# the last of float32's seven digits. Scores in the tests are about 1 in size.
TOLERANCE = 1e-5


def assert_same(out: pa.Table, expected: dict[str, Any]) -> None:
    """Assert that columns hold what TensorFlow's arrays hold, bit by bit, NaN equal to NaN."""
    assert set(out.column_names) >= set(expected)
    for name, array in expected.items():
        np.testing.assert_equal(out[name].to_pylist(), as_column(array))


def same_but_for_rounding(got: Any, expected: Any) -> bool:
    """Return whether two rows, or lists of them, are equal, floats within `TOLERANCE`.

    The tolerance is absolute below 1 and relative above.
    """
    if isinstance(expected, dict):
        return got.keys() == expected.keys() and all(
            same_but_for_rounding(got[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        return len(got) == len(expected) and all(map(same_but_for_rounding, got, expected))
    if isinstance(expected, float) and isinstance(got, float) and math.isfinite(expected):
        return math.isclose(got, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(got == expected or (got != got and expected != expected))  # NaN != NaN


def as_column(array: Any) -> list[Any]:
    """Return TensorFlow's array as the list that a column of tf2spark's holds."""
    values = np.asarray(array)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    column: list[Any] = _decoded(values.tolist())
    return column


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(element) for element in value]
    return value.decode() if isinstance(value, bytes) else value
