"""Which rows run together: slices of a batch that are bounded by rows and by bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tf2spark.plan import Plan
from tf2spark.runtime.rows import Ints


def row_slices(batch: pa.RecordBatch, plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield (start, rows) of the slices of `batch` that run together, in order."""
    most = plan.fixed_rows or _rows_within_bytes(batch, plan)
    for start in range(0, batch.num_rows, most):
        yield start, min(most, batch.num_rows - start)


def _rows_within_bytes(batch: pa.RecordBatch, plan: Plan) -> int:
    columns = {source.column for one in plan.inputs for source in one.sources}
    used_bytes = sum(batch.column(index).nbytes for index in columns)
    if not used_bytes:
        return plan.batch_rows
    return max(1, min(plan.batch_rows, plan.batch_bytes * batch.num_rows // used_bytes))


def filled_up(batch: pa.RecordBatch, rows: int) -> pa.RecordBatch:
    """Return `batch` with exactly so many rows: its last row stands for the missing ones.

    A real row, because one made of zeros could be one that the model refuses.
    """
    if batch.num_rows == rows:
        return batch
    return batch.take(np.minimum(np.arange(rows), batch.num_rows - 1))


def groups(keys: Ints) -> list[Ints]:
    """Return the row numbers of each distinct key, in the order of first appearance."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    return [np.flatnonzero(inverse == group) for group in np.argsort(first)]
