"""Which rows run together: slices of a batch, bounded by rows and by bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import take_rows
from tf2spark.conversion.rows import Ints
from tf2spark.plan.score import InputPlan, Plan


def row_slices(batch: pa.RecordBatch, plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield (start, rows) of the slices of `batch` that run together, in order."""
    max_rows = plan.fixed_rows or _rows_within_bytes(batch, plan)
    for start in range(0, batch.num_rows, max_rows):
        yield start, min(max_rows, batch.num_rows - start)


def _rows_within_bytes(batch: pa.RecordBatch, plan: Plan) -> int:
    """Estimate from the bytes of the columns how many rows a run may have; at least one."""
    # Only an estimate: rows of very different lengths, or sparse ones that are densified, can take
    # more. The feeders count the bytes exactly and raise `RowsTooLarge`.
    if batch.num_rows == 1:
        return 1  # a single row runs however large it is
    fed_bytes = sum(_fed_bytes(batch, input_plan) for input_plan in plan.inputs)
    if not fed_bytes:
        return plan.batch_rows
    rows = int(plan.batch_bytes * batch.num_rows // fed_bytes)
    return max(1, min(plan.batch_rows, rows))


def _fed_bytes(batch: pa.RecordBatch, plan: InputPlan) -> int:
    """Estimate the bytes of an input's tensor: its columns', scaled to the width of its dtype."""
    total = 0
    for source in plan.sources:
        column_bytes: int = batch.column(source.column).nbytes
        fed_bits = 0 if plan.dtype.numpy is None else plan.dtype.numpy.itemsize * 8
        total += column_bytes * max(1, fed_bits // _value_bits(source.leaf))
    return total


def _value_bits(leaf: pa.DataType) -> int:
    return int(leaf.bit_width) if pa.types.is_primitive(leaf) else 64


def pad_to_rows(batch: pa.RecordBatch, rows: int) -> pa.RecordBatch:
    """Return `batch` with exactly this many rows: its last row is repeated for the missing ones.

    A real row, because the model could refuse one made of zeros.
    """
    if batch.num_rows == rows:
        return batch
    return take_rows(batch, np.minimum(np.arange(rows), batch.num_rows - 1))


def select_rows(batch: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Return the rows with these ascending numbers, without a copy if they are consecutive."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return batch.slice(int(rows[0]), len(rows))
    return take_rows(batch, rows)


def halves(rows: int) -> list[Ints]:
    """Return the row numbers of the first and of the second half."""
    return [np.arange(rows // 2), np.arange(rows // 2, rows)]


def rows_by_key(keys: Ints) -> list[Ints]:
    """Return the row numbers of each distinct key, in the order of first appearance."""
    # A stable sort by key keeps each group's rows ascending; the bin counts say where to cut.
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse.reshape(-1)))[:-1])
    return [parts[group] for group in np.argsort(first)]
