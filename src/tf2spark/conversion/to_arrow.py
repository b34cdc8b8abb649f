"""Fetched tensors to Arrow columns; `from_arrow` is the mirror.

`column_builder` reads an `OutputPlan` once and returns the function for the hot loop. There is no
Python step per row: lists are offsets over one buffer, and strings come as one buffer. A column
refers to the tensor's memory, so the tensor lives as long as its column.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import bool_array, number_array
from tf2spark.conversion.casts import from_bfloat16
from tf2spark.conversion.rows import Array, refuse
from tf2spark.dtypes import shape_text
from tf2spark.errors import Advice, RunError, argument
from tf2spark.plan.score import OutputPlan
from tf2spark.tensorflow_c.tensor import Strings, Tensor

ColumnBuilder = Callable[[Tensor | Strings, int], pa.Array]
# Spark's lists and strings have 32-bit offsets.
_MAX_VALUES = int(np.iinfo(np.int32).max)
_SMALLER_RUNS = "score fewer rows per run with a smaller " + argument("batch_rows")


def column_builder(plan: OutputPlan) -> ColumnBuilder:
    """Choose how a fetched tensor becomes a column.

    The function raises `RunError` if the tensor doesn't have one entry per row, or not the declared
    shape, and `RowsRefused` if a string isn't UTF-8 and the column is ``string``.
    """
    lists = _list_types(plan.arrow)
    leaf = lists[-1].value_type if lists else plan.arrow
    convert = _strings(plan, leaf) if plan.dtype.numpy is None else _numbers(plan, leaf)

    def column(tensor: Tensor | Strings, rows: int) -> pa.Array:
        _check_shape(plan, tensor.shape, rows)
        values = convert(tensor, rows)
        if len(values) > _MAX_VALUES:
            raise RunError(f'output "{plan.name}" has over 2**31 values', _SMALLER_RUNS)
        return _nested(values, tensor.shape, lists)

    return column


def _list_types(kind: pa.DataType) -> list[pa.DataType]:
    """Return the list types that a type is nested in, outermost first."""
    return [kind, *_list_types(kind.value_type)] if pa.types.is_list(kind) else []


def _check_shape(plan: OutputPlan, shape: tuple[int, ...], rows: int) -> None:
    """Raise if the dimensions aren't those of the plan."""
    expected = (rows, *plan.dims)
    if len(shape) != len(expected) or any(
        size not in (None, got) for size, got in zip(expected, shape, strict=True)
    ):
        raise RunError(
            f'output "{plan.name}" has shape {shape_text(shape)} for {rows} rows, expected '
            f"{shape_text(expected)}: an output that becomes a column must have one entry per row",
            "to leave it out, name the others: " + Advice("fetch=[...]", "--fetch COLUMN=OUTPUT"),
        )


def _nested(values: pa.Array, shape: tuple[int, ...], lists: list[pa.DataType]) -> pa.Array:
    """Wrap flat values in one list level per dimension, innermost first."""
    for level in reversed(range(len(lists))):
        count, size = math.prod(shape[: level + 1]), shape[level + 1]
        offsets = number_array(np.arange(count + 1, dtype=np.int32) * np.int32(size), pa.int32())
        values = pa.ListArray.from_arrays(offsets, values, type=lists[level])
    return values


def _numbers(plan: OutputPlan, leaf: pa.DataType) -> ColumnBuilder:
    if pa.types.is_decimal(leaf):
        return lambda tensor, rows: _decimals(_flat(tensor), leaf)
    if pa.types.is_boolean(leaf):
        return lambda tensor, rows: bool_array(_flat(tensor))
    if plan.dtype.name == "bfloat16":
        return lambda tensor, rows: number_array(from_bfloat16(_flat(tensor)), leaf)
    target = leaf.to_pandas_dtype()
    return lambda tensor, rows: number_array(_flat(tensor).astype(target, copy=False), leaf)


def _flat(tensor: Tensor | Strings) -> Array:
    return tensor.data.reshape(-1)


def _decimals(values: Array, leaf: pa.DataType) -> pa.Array:
    """Write uint64 as decimal128 (little-endian 128-bit integers): Spark has no unsigned long."""
    # The upper halves stay 0: the values aren't negative.
    wide = np.zeros((len(values), 2), np.uint64)
    wide[:, 0] = values
    return pa.Array.from_buffers(leaf, len(values), [None, pa.py_buffer(wide)])


def _strings(plan: OutputPlan, leaf: pa.DataType) -> ColumnBuilder:
    is_text = pa.types.is_string(leaf)

    def convert(tensor: Tensor | Strings, rows: int) -> pa.Array:
        assert isinstance(tensor, Strings)
        if len(tensor.data) > _MAX_VALUES:
            raise RunError(f'output "{plan.name}" has over 2 GiB of strings', _SMALLER_RUNS)
        buffers = [None, pa.py_buffer(tensor.offsets.astype(np.int32)), pa.py_buffer(tensor.data)]
        values = pa.Array.from_buffers(leaf, len(tensor.offsets) - 1, buffers)
        if is_text:
            _refuse_non_utf8(values, plan, rows)
        return values

    return convert


def _refuse_non_utf8(values: pa.Array, plan: OutputPlan, rows: int) -> None:
    # Arrow checks the whole column in C++. Only if that fails, Python looks for the rows.
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        bad = np.array([not _is_utf8(value.as_py()) for value in values.cast(pa.binary())])
        refuse(
            np.asarray(bad.reshape(rows, -1).any(axis=1)),
            f'output "{plan.name}" is not UTF-8 text; fetch binary({plan.name}) to get its bytes',
        )
        raise


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
