"""Padded inputs: rows of any length padded to the input's length, or to that of the longest row."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.conversion.dense import fill_unknown_dim
from tf2spark.conversion.flat_rows import (
    product_of,
    refuse_too_long,
    refuse_wrong_lengths,
    rows_reader,
)
from tf2spark.conversion.nested_padding import fill_tensor, nested_padded_feeder, pad_rows
from tf2spark.conversion.rows import Feeder, check_bytes, tensor
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.tensor import Tensor


def padded_feeder(plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose how rows of different lengths become one rectangular tensor.

    It raises `RowsTooLarge` before it allocates a tensor beyond the limit.
    """
    if any(source.layout == "list" and source.depth > 1 for source in plan.sources):
        return nested_padded_feeder(plan, limit_bytes)
    read, width = rows_reader(plan, limit_bytes), product_of(plan.dims)
    fill = fill_tensor(plan)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        rows = read(batch)
        if width is not None:
            (refuse_wrong_lengths if plan.exact else refuse_too_long)(rows.lengths, width, plan)
        # At least one slot, so that no model sees a dimension of 0 for a batch of empty rows.
        padded = width if width is not None else max(1, int(rows.lengths.max(initial=0)))
        check_bytes(batch.num_rows * padded, rows.values.itemsize, batch.num_rows, limit_bytes)
        shape = (batch.num_rows, *fill_unknown_dim(plan.dims, padded))
        values = pad_rows(rows, padded, fill.data)
        # The padding of a string input is a view as well: its text must stay alive too.
        return (tensor(plan.dtype, values, shape, (rows.owner, fill)),)

    return feed
