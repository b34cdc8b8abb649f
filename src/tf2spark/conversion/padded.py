"""Padded inputs: rows of any length filled up to the input's length, or to the longest row's."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tf2spark.conversion.constants import constant_tensor
from tf2spark.conversion.dense import filled_in
from tf2spark.conversion.flat_rows import (
    product_of,
    refuse_too_long,
    refuse_wrong_lengths,
    rows_reader,
)
from tf2spark.conversion.rows import Array, Feeder, Rows, check_bytes, tensor
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.tensor import Tensor


def padded_feeder(plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose how rows of different lengths become one rectangular tensor."""
    read, width = rows_reader(plan, limit_bytes), product_of(plan.dims)
    empty = "" if plan.dtype.numpy is None else 0
    fill = constant_tensor(plan.dtype, [empty if plan.pad is None else plan.pad])

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        rows = read(batch)
        if width is not None:
            (refuse_wrong_lengths if plan.exact else refuse_too_long)(rows.lengths, width, plan)
        # One slot at least, so that no model sees a dimension of 0 for a batch of empty rows.
        wide = width if width is not None else max(1, int(rows.lengths.max(initial=0)))
        check_bytes(batch.num_rows * wide, rows.values.itemsize, batch.num_rows, limit_bytes)
        shape = (batch.num_rows, *filled_in(plan.dims, wide))
        return (tensor(plan.dtype, filled_up(rows, wide, fill.data), shape, (rows.owner, fill)),)

    return feed


def filled_up(rows: Rows, width: int, fill: Array) -> Array:
    """Return `width` values a row: its own, then the one of `fill`."""
    if (rows.lengths == width).all():
        return rows.values
    full = np.full((len(rows.lengths), width), fill[0], rows.values.dtype)
    full[np.arange(width) < rows.lengths[:, None]] = rows.values
    return full.reshape(-1)
