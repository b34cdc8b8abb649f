"""Fetched tensors to Arrow columns; `arrow_to_tensors` is the mirror.

`columner` looks at an `OutputPlan` once and returns the function for the hot loop. No step is
taken per row: lists are offsets over one buffer, strings come as one buffer already.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf2spark.contract import shape_text
from tf2spark.errors import RunError
from tf2spark.plan import OutputPlan
from tf2spark.runtime.casts import from_bfloat16
from tf2spark.runtime.rows import Array, refuse
from tf2spark.runtime.tensor import Strings, Tensor

Columner = Callable[[Tensor | Strings, int], pa.Array]


def columner(plan: OutputPlan) -> Columner:
    """Choose, once, how a fetched tensor of so many rows becomes a column.

    The function raises `RunError` where the tensor has not one entry a row or not the shape that
    was declared, and `RowsRefused` where a string isn't UTF-8 and the column is ``string``.
    """
    leaf = _leaf_type(plan.arrow)
    convert = _strings(plan, leaf) if plan.dtype.numpy is None else _numbers(plan, leaf)

    def column(tensor: Tensor | Strings, rows: int) -> pa.Array:
        shape = _checked_shape(plan, tensor.shape, rows)
        return _nested(convert(tensor, rows), shape, plan.arrow, rows)

    return column


def _leaf_type(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_list(kind):
        kind = kind.value_type
    return kind


def _checked_shape(plan: OutputPlan, shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
    """Return the dimensions of a row, or raise where they are not what the plan says."""
    fits = len(shape) == len(plan.dims) + 1 and shape[0] == rows
    if fits and all(want in (None, got) for want, got in zip(plan.dims, shape[1:], strict=True)):
        return shape[1:]
    want = shape_text((rows, *plan.dims))
    raise RunError(
        f'output "{plan.name}" came as {shape_text(shape)} for {rows} rows, expected {want}: '
        "every output that becomes a column must have one entry a row; "
        "leave it out by naming the others in fetch={...}"
    )


def _nested(values: pa.Array, shape: tuple[int, ...], kind: pa.DataType, rows: int) -> pa.Array:
    """Wrap flat values in one list level a dimension, innermost first."""
    kinds = []
    while pa.types.is_list(kind):
        kinds.append(kind)
        kind = kind.value_type
    for level in reversed(range(len(kinds))):
        count, size = rows * math.prod(shape[:level]), shape[level]
        offsets = pa.array(np.arange(count + 1, dtype=np.int64) * size, pa.int32())
        values = pa.ListArray.from_arrays(offsets, values, type=kinds[level])
    return values


def _numbers(plan: OutputPlan, leaf: pa.DataType) -> Columner:
    widen = plan.dtype.name == "bfloat16"
    to = None if pa.types.is_boolean(leaf) or pa.types.is_decimal(leaf) else leaf.to_pandas_dtype()

    def convert(tensor: Tensor | Strings, rows: int) -> pa.Array:
        assert isinstance(tensor, Tensor)
        values: Array = tensor.data.reshape(-1)
        if widen:
            values = from_bfloat16(values)
        if to is None:
            return _decimals(values, leaf) if pa.types.is_decimal(leaf) else pa.array(values)
        return pa.array(values.astype(to, copy=False), leaf)

    return convert


def _decimals(values: Array, leaf: pa.DataType) -> pa.Array:
    """Write uint64 as decimal128 (little-endian 128-bit integers): Spark has no unsigned long."""
    wide = np.zeros((len(values), 2), np.uint64)
    wide[:, 0] = values
    return pa.Array.from_buffers(leaf, len(values), [None, pa.py_buffer(wide)])


def _strings(plan: OutputPlan, leaf: pa.DataType) -> Columner:
    text = pa.types.is_string(leaf)

    def convert(tensor: Tensor | Strings, rows: int) -> pa.Array:
        assert isinstance(tensor, Strings)
        if len(tensor.data) > np.iinfo(np.int32).max:
            raise RunError(f'output "{plan.name}" holds over 2 GiB of strings: lower batch_rows')
        offsets = pa.py_buffer(tensor.offsets.astype(np.int32))
        count = len(tensor.offsets) - 1
        raw = pa.Array.from_buffers(
            pa.binary(), count, [None, offsets, pa.py_buffer(np.ascontiguousarray(tensor.data))]
        )
        return _as_text(raw, plan, rows) if text else raw

    return convert


def _as_text(raw: pa.Array, plan: OutputPlan, rows: int) -> pa.Array:
    try:
        return pc.cast(raw, pa.string())
    except pa.ArrowInvalid:
        bad = np.array([not _is_utf8(value.as_py()) for value in raw]).reshape(rows, -1)
        refuse(
            bad.any(axis=1),
            f'output "{plan.name}" is not UTF-8 text: fetch={{"{plan.column}": '
            f'tf2spark.binary("{plan.name}")}} takes it as it is',
        )
        raise


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def empty_column(plan: OutputPlan) -> pa.Array:
    """Return the column of an output for no rows at all."""
    return pa.array([], plan.arrow)


