"""Scores held against TensorFlow's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def assert_same(out: pa.Table, expected: dict[str, Any]) -> None:
    """Assert that columns hold what TensorFlow's arrays hold, bit by bit, NaN equal to NaN."""
    assert set(out.column_names) >= set(expected)
    for name, want in expected.items():
        array = np.asarray(want)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        np.testing.assert_equal(out[name].to_pylist(), _as_column(array.tolist()))


def _as_column(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_column(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value
