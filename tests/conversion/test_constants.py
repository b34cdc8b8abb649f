from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cases.arrow_columns import batch_of, fed, plan
from tf2spark.conversion.from_arrow import feeder
from tf2spark.dtypes import BFLOAT16, BOOL, FLOAT32, HALF, INT32, STRING, DType

BATCH = batch_of(pa.array([1, 2]))


@pytest.mark.parametrize(
    ("dtype", "value", "row"),
    [
        (FLOAT32, 1.5, 1.5),
        (INT32, [1, 2], [1, 2]),
        (BOOL, True, True),
        (HALF, [[0.5]], [[0.5]]),
        (BFLOAT16, 1.0, 0x3F80),
        (STRING, "żółć", "żółć".encode()),
        (STRING, [b"\x00\xff\x00", ""], [b"\x00\xff\x00", b""]),
        (INT32, [], []),
    ],
)
def test_a_constant_is_fed_as_it_is_or_once_a_row(dtype: DType, value: Any, row: Any) -> None:
    """Numbers, bools and strings, of rank 0 and more."""
    assert fed(plan(form="constant", dtype=dtype, value=value), BATCH) == [row]
    assert fed(plan(form="broadcast", dtype=dtype, value=value), BATCH) == [[row, row]]
    assert fed(plan(form="broadcast", dtype=dtype, value=value), BATCH.slice(0, 0)) == [[]]


def test_shapes_follow_the_value() -> None:
    """A constant of rank 0 has no dimensions, a broadcast one those of the batch."""
    constant = feeder(plan(form="constant", dtype=FLOAT32, value=1.0), None)
    assert constant(BATCH)[0].shape == ()
    broadcast = feeder(plan(form="broadcast", dtype=STRING, value=["a", "b"]), None)
    assert broadcast(BATCH)[0].shape == (2, 2)


def test_a_constant_is_made_once() -> None:
    """Every run is fed the same memory."""
    feed = feeder(plan(form="constant", dtype=FLOAT32, value=np.arange(3).tolist()), None)
    assert feed(BATCH)[0] is feed(BATCH)[0]
