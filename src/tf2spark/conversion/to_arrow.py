"""Fetched tensors to Arrow columns; `arrow_to_tensors` is the mirror.

`columner` looks at an `OutputPlan` once and returns the function for the hot loop. No step is
taken per row: lists are offsets over one buffer, strings come as one buffer already.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import booleans, numbers
from tf2spark.conversion.casts import from_bfloat16
from tf2spark.conversion.rows import Array, refuse
from tf2spark.dtypes import shape_text
from tf2spark.errors import RunError
from tf2spark.plan.score import OutputPlan
from tf2spark.tensorflow_c.tensor import Strings, Tensor

Columner = Callable[[Tensor | Strings, int], pa.Array]
# Spark's lists and strings have 32-bit offsets.
_MOST = int(np.iinfo(np.int32).max)


def columner(plan: OutputPlan) -> Columner:
    """Choose, once, how a fetched tensor of so many rows becomes a column.

    The function raises `RunError` where the tensor has not one entry a row or not the shape that
    was declared, and `RowsRefused` where a string isn't UTF-8 and the column is ``string``.
    """
    lists = _list_types(plan.arrow)
    leaf = lists[-1].value_type if lists else plan.arrow
    convert = _strings(plan, leaf) if plan.dtype.numpy is None else _numbers(plan, leaf)

    def column(tensor: Tensor | Strings, rows: int) -> pa.Array:
        _check_shape(plan, tensor.shape, rows)
        values = convert(tensor, rows)
        if len(values) > _MOST:
            raise RunError(f'output "{plan.name}" holds over 2**31 values: lower batch_rows')
        return _nested(values, tensor.shape, lists)

    return column


def _list_types(kind: pa.DataType) -> list[pa.DataType]:
    """Return the list types that a type is nested in, outermost first."""
    return [kind, *_list_types(kind.value_type)] if pa.types.is_list(kind) else []


def _check_shape(plan: OutputPlan, shape: tuple[int, ...], rows: int) -> None:
    """Raise where the dimensions are not what the plan says."""
    wants = (rows, *plan.dims)
    if len(shape) != len(wants) or any(
        want not in (None, got) for want, got in zip(wants, shape, strict=True)
    ):
        raise RunError(
            f'output "{plan.name}" came as {shape_text(shape)} for {rows} rows, expected '
            f"{shape_text(wants)}: every output that becomes a column must have one entry a row; "
            "leave it out by naming the others in fetch={...}"
        )


def _nested(values: pa.Array, shape: tuple[int, ...], lists: list[pa.DataType]) -> pa.Array:
    """Wrap flat values in one list level a dimension, innermost first."""
    for level in reversed(range(len(lists))):
        count, size = math.prod(shape[: level + 1]), shape[level + 1]
        offsets = numbers(np.arange(count + 1, dtype=np.int32) * np.int32(size), pa.int32())
        values = pa.ListArray.from_arrays(offsets, values, type=lists[level])
    return values


def _numbers(plan: OutputPlan, leaf: pa.DataType) -> Columner:
    if pa.types.is_decimal(leaf):
        return lambda tensor, rows: _decimals(_flat(tensor), leaf)
    if pa.types.is_boolean(leaf):
        return lambda tensor, rows: booleans(_flat(tensor))
    if plan.dtype.name == "bfloat16":
        return lambda tensor, rows: numbers(from_bfloat16(_flat(tensor)), leaf)
    to = leaf.to_pandas_dtype()
    return lambda tensor, rows: numbers(_flat(tensor).astype(to, copy=False), leaf)


def _flat(tensor: Tensor | Strings) -> Array:
    return tensor.data.reshape(-1)


def _decimals(values: Array, leaf: pa.DataType) -> pa.Array:
    """Write uint64 as decimal128 (little-endian 128-bit integers): Spark has no unsigned long."""
    wide = np.zeros((len(values), 2), np.uint64)
    wide[:, 0] = values
    return pa.Array.from_buffers(leaf, len(values), [None, pa.py_buffer(wide)])


def _strings(plan: OutputPlan, leaf: pa.DataType) -> Columner:
    text = pa.types.is_string(leaf)

    def convert(tensor: Tensor | Strings, rows: int) -> pa.Array:
        assert isinstance(tensor, Strings)
        if len(tensor.data) > _MOST:
            raise RunError(f'output "{plan.name}" holds over 2 GiB of strings: lower batch_rows')
        buffers = [None, pa.py_buffer(tensor.offsets.astype(np.int32)), pa.py_buffer(tensor.data)]
        values = pa.Array.from_buffers(leaf, len(tensor.offsets) - 1, buffers)
        if text:
            _refuse_other_than_utf8(values, plan, rows)
        return values

    return convert


def _refuse_other_than_utf8(values: pa.Array, plan: OutputPlan, rows: int) -> None:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        bad = np.array([not _is_utf8(value.as_py()) for value in values.cast(pa.binary())])
        refuse(
            np.asarray(bad.reshape(rows, -1).any(axis=1)),
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
