"""Columns of numbers that already have the dtype of the input that each of them feeds.

Where a row has hundreds of them, a call for each takes longer than anything else. So one column is
read with few calls, and many columns of a few rows are copied into one array by a single call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
from attrs import define

from tf2spark.conversion.arrow_buffers import NUMBERS
from tf2spark.conversion.rows import Feeder
from tf2spark.dtypes import BFLOAT16, DType
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.tensor import Tensor

FewRows = Callable[[pa.RecordBatch], Iterable[tuple[int, Tensor]]]
"""Returns the tensors of many inputs, each with the position of its input; none where the batch
has many rows, nulls or columns of other types."""

_MIN_COLUMNS = 8
# For more rows, the copy takes longer than the calls.
_MAX_ROWS = 256


def is_number_column(plan: InputPlan) -> bool:
    """Return whether an input is fed a column of numbers that already have its dtype."""
    source, dtype = plan.sources[0], plan.dtype
    is_scalar = source.layout == "list" and not source.depth and not source.fields
    if not is_scalar or len(plan.sources) > 1 or plan.assembled or dtype is BFLOAT16:
        return False  # bfloat16 is stored as uint16, but isn't one
    number = NUMBERS.get(source.leaf.id)
    # NumPy takes None for float64.
    return number is not None and dtype.numpy is not None and number == dtype.numpy


def number_feeder(plan: InputPlan, feed: Feeder) -> Feeder:
    """Feed a column of numbers as `feed` does, with a tenth of its calls."""
    dtype, numpy, ones = plan.dtype, plan.dtype.numpy, (1,) * len(plan.dims)
    index, type_id = plan.sources[0].column, plan.sources[0].leaf.id
    assert numpy is not None

    def feed_numbers(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        array, rows = batch.column(index), batch.num_rows
        if not rows or array.null_count or array.type.id != type_id:
            return feed(batch)
        values = np.frombuffer(array.buffers()[1], numpy, rows, array.offset * numpy.itemsize)
        return (Tensor(dtype, (rows, *ones), values),)

    return feed_numbers


def readers_of_few_rows(inputs: Sequence[InputPlan]) -> list[FewRows]:
    """Return a function for each group of inputs whose columns can be read by one call."""
    groups: dict[tuple[int, DType, int], list[int]] = {}
    for position, plan in enumerate(inputs):
        if plan.form == "dense" and plan.batched and is_number_column(plan):
            key = plan.sources[0].leaf.id, plan.dtype, len(plan.dims)
            groups.setdefault(key, []).append(position)
    return [
        _reader(inputs, positions)
        for positions in groups.values()
        if len(positions) >= _MIN_COLUMNS
    ]


@define
class _Checked:
    """The schema of the last batch whose columns had the types of the plan."""

    schema: pa.Schema | None = None


def _reader(inputs: Sequence[InputPlan], positions: Sequence[int]) -> FewRows:
    first = inputs[positions[0]]
    dtype, type_id, ones = first.dtype, first.sources[0].leaf.id, (1,) * len(first.dims)
    columns = [inputs[position].sources[0].column for position in positions]
    all_columns = list(range(len(columns)))
    checked = _Checked()

    def has_types(schema: pa.Schema) -> bool:
        if checked.schema is None or not schema.equals(checked.schema):
            if any(kind.id != type_id for kind in schema.types):
                return False
            checked.schema = schema
        return True

    def read(batch: pa.RecordBatch) -> Iterable[tuple[int, Tensor]]:
        rows = batch.num_rows
        if not 0 < rows <= _MAX_ROWS:
            return ()
        is_whole = columns == all_columns and batch.num_columns == len(columns)
        part = batch if is_whole else batch.select(columns)
        if not has_types(part.schema):
            return ()
        try:
            matrix = part.to_tensor(row_major=False).to_numpy()
        except pa.ArrowException:  # there are nulls
            return ()
        shape = (rows, *ones)
        return zip(positions, (Tensor(dtype, shape, column) for column in matrix.T), strict=True)

    return read
