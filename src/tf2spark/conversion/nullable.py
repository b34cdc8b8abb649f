"""Columns of inputs that can do without a value: the rows of a batch that have one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.arrow_buffers import bool_array, values_of, without_offset
from tf2spark.conversion.rows import Mask, nullable_column_of, nulls_of, plain
from tf2spark.plan.score import Source


def present_rows(source: Source) -> Callable[[pa.RecordBatch], tuple[pa.RecordBatch, Mask]]:
    """Choose how the rows of a column that have a value are read.

    Absent are nulls, structs of indices and values whose fields are both null, and, in a column of
    floats, NaN: pandas has no other float for a missing value.

    Returns:
        A function from a batch to the column as a batch of its own, without the absent rows, and
        which rows of the batch those are that it has. `alone` is the source of that column.
    """
    take = nullable_column_of(source)
    is_float = source.layout == "list" and not source.depth and pa.types.is_floating(source.leaf)

    def present(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Mask]:
        array = take(batch)
        absent = nulls_of(array) if array.null_count else np.zeros(len(array), bool)
        if source.layout == "pairs" and not source.part:
            absent = absent | _without_fields(array)
        elif is_float:
            absent = absent | np.isnan(values_of(array))
        if absent.any():
            array = without_offset(array).filter(bool_array(~absent))
        return pa.RecordBatch.from_arrays([array], [source.label]), ~absent

    return present


def alone(source: Source) -> Source:
    """Return where a column is in the batch of its own that `present_rows` makes of it."""
    return evolve(source, column=0, fields=())


def _without_fields(array: pa.StructArray) -> Mask:
    indices, values = (plain(array.field(name)) for name in ("indices", "values"))
    if not (indices.null_count and values.null_count):
        return np.zeros(len(array), bool)
    return nulls_of(indices) & nulls_of(values)
