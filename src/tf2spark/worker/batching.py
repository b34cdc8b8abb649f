"""Which rows run together: slices of a batch that are bounded by rows and by bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import take_indices
from tf2spark.conversion.rows import Ints
from tf2spark.plan.score import InputPlan, Plan


def row_slices(batch: pa.RecordBatch, plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield (start, rows) of the slices of `batch` that run together, in order."""
    most = plan.fixed_rows or _rows_within_bytes(batch, plan)
    for start in range(0, batch.num_rows, most):
        yield start, min(most, batch.num_rows - start)


def _rows_within_bytes(batch: pa.RecordBatch, plan: Plan) -> int:
    """Estimate from the bytes of the columns how many rows a run may have, one at least."""
    fed_bytes = sum(_fed_bytes(batch, one) for one in plan.inputs)
    if not fed_bytes:
        return plan.batch_rows
    within = int(plan.batch_bytes * batch.num_rows // fed_bytes)
    return max(1, min(plan.batch_rows, within))


def _fed_bytes(batch: pa.RecordBatch, plan: InputPlan) -> int:
    """Estimate the bytes of an input's tensor: those of its columns, times how much wider it is."""
    total = 0
    for source in plan.sources:
        column_bytes: int = batch.column(source.column).nbytes
        fed = 0 if plan.dtype.numpy is None else plan.dtype.numpy.itemsize * 8
        total += column_bytes * max(1, fed // _value_bits(source.leaf))
    return total


def _value_bits(leaf: pa.DataType) -> int:
    return int(leaf.bit_width) if pa.types.is_primitive(leaf) else 64


def pad_to_rows(batch: pa.RecordBatch, rows: int) -> pa.RecordBatch:
    """Return `batch` with exactly so many rows: its last row stands for the missing ones.

    A real row, because one made of zeros could be one that the model refuses.
    """
    if batch.num_rows == rows:
        return batch
    return batch.take(take_indices(np.minimum(np.arange(rows), batch.num_rows - 1)))


def select_rows(batch: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Return the rows with these rising numbers, without a copy where they follow each other."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return batch.slice(int(rows[0]), len(rows))
    return batch.take(take_indices(rows))


def halves(rows: int) -> list[Ints]:
    """Return the row numbers of the first and of the second half."""
    return [np.arange(rows // 2), np.arange(rows // 2, rows)]


def rows_by_key(keys: Ints) -> list[Ints]:
    """Return the row numbers of each distinct key, in the order of first appearance."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse.reshape(-1)))[:-1])
    return [parts[group] for group in np.argsort(first)]
