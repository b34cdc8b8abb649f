"""Dense inputs: every row has equally many values, in the shape that the input takes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tf2spark.conversion.flat_rows import (
    columns_text,
    product_of,
    refuse_wrong_lengths,
    rows_reader,
)
from tf2spark.conversion.images import image_reader
from tf2spark.conversion.nested_lists import Reader, nested_reader
from tf2spark.conversion.number_columns import is_number_column, number_feeder
from tf2spark.conversion.rows import Array, Feeder, Rows, RowsUneven, refuse, tensor
from tf2spark.dtypes import Dims
from tf2spark.plan.score import InputPlan, Source
from tf2spark.tensorflow_c.tensor import Tensor


def dense_feeder(plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose how the columns of a dense input become its one tensor."""
    if len(plan.sources) > 1 and not plan.assembled and _rectangular(plan):
        return _side_by_side(plan)
    if len(plan.sources) > 1 or plan.assembled:
        read = _flat_reader(plan, limit_bytes)
    else:
        read = _reader(plan, plan.sources[0], plan.dims, limit_bytes)
    dtype = plan.dtype

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        values, dims, owner = read(batch)
        return (tensor(dtype, values, (batch.num_rows, *dims), owner),)

    return number_feeder(plan, feed) if is_number_column(plan) else feed


def _rectangular(plan: InputPlan) -> bool:
    """Whether all columns are images or lists as deep as the input, or all are scalars."""
    depths = {3 if source.layout == "image" else source.depth for source in plan.sources}
    scalars = all(source.layout == "list" and not source.depth for source in plan.sources)
    return max(depths) > 1 or (scalars and len(plan.dims) == 1)


def _reader(plan: InputPlan, source: Source, dims: Dims, limit_bytes: int | None) -> Reader:
    if source.layout == "image":
        return image_reader(source, plan.dtype, dims, plan.name)
    # Lists of another depth are flat lists whose values fill several dimensions.
    if source.layout == "list" and source.depth in (0, len(dims)):
        return nested_reader(source, plan.dtype, dims, plan.name)
    return _flat_reader(plan, limit_bytes)


def _flat_reader(plan: InputPlan, limit_bytes: int | None) -> Reader:
    read = rows_reader(plan, limit_bytes)
    return lambda batch: _rectangle(read(batch), plan)


def _rectangle(rows: Rows, plan: InputPlan) -> tuple[Array, tuple[int, ...], object]:
    """Return the values of rows of equal length and their dimensions; other rows are refused."""
    width = product_of(plan.dims)
    # With an unknown dimension, rows of each length run separately.
    if width is not None:
        refuse_wrong_lengths(rows.lengths, width, plan)
    elif (width := rows.uniform) is None:
        raise RowsUneven(rows.lengths)
    return rows.values, fill_unknown_dim(plan.dims, width), rows.owner


def fill_unknown_dim(dims: Dims, width: int) -> tuple[int, ...]:
    """Replace the one unknown dimension, if there is one, with its size."""
    return tuple(width if size is None else size for size in dims)


def _side_by_side(plan: InputPlan) -> Feeder:
    """Put scalars, or nested lists, side by side along their first dimension."""
    # The input fixes the sum of the parts' lengths, not the length of each part.
    dims = (None, *plan.dims[1:])
    readers = [_reader(plan, source, dims, None) for source in plan.sources]
    expected = plan.dims[0]

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        rows = batch.num_rows
        read = [reader(batch) for reader in readers]
        shapes = [list(shape) for _, shape, _ in read]
        every_row = np.ones(rows, bool)
        if len({tuple(shape[1:]) for shape in shapes}) > 1:
            refuse(every_row, f"{columns_text(plan)} have shapes that can't be joined: {shapes}")
        parts = [values.reshape(rows, *shape) for values, shape, _ in read]
        joined = np.concatenate(parts, axis=1)
        if expected is not None and joined.shape[1] != expected:
            takes = f'but input "{plan.name}" takes {expected} in all'
            reason = f"{columns_text(plan)} have shapes {shapes}, {takes}"
            refuse(every_row, reason)
        return (tensor(plan.dtype, joined, joined.shape, [owner for _, _, owner in read]),)

    return feed
