"""The values of a fetched tensor as one flat Arrow array, and list levels around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import bool_array, number_array
from tf2spark.conversion.casts import from_bfloat16
from tf2spark.conversion.rows import Array, Ints, RowsRefused
from tf2spark.errors import RunError, argument
from tf2spark.plan.score import OutputPlan
from tf2spark.tensorflow_c.tensor import Strings, Tensor

Fetched = Tensor | Strings
RowOfValues = Callable[[], Ints]
"""Returns the row that each flat value belongs to; it is called only to name bad rows."""
FlatValues = Callable[[Fetched, RowOfValues], pa.Array]

# Spark's lists and strings have 32-bit offsets.
_MAX_VALUES = int(np.iinfo(np.int32).max)
_SMALLER_RUNS = "score fewer rows per run with a smaller " + argument("batch_rows")


def flat_values(plan: OutputPlan, leaf: pa.DataType) -> FlatValues:
    """Choose how the values of an output become a flat array of the type `leaf`.

    The function raises `RunError` if there are too many values for a column, and `RowsRefused` if
    a string isn't UTF-8 and `leaf` is ``string``.
    """
    convert = _strings(plan, leaf) if plan.dtype.numpy is None else _numbers(plan, leaf)

    def values(tensor: Fetched, rows: RowOfValues) -> pa.Array:
        array = convert(tensor, rows)
        if len(array) > _MAX_VALUES:
            raise RunError(f'output "{plan.name}" has over 2**31 values', _SMALLER_RUNS)
        return array

    return values


def list_types(kind: pa.DataType) -> list[pa.DataType]:
    """Return the list types that a type is nested in, outermost first."""
    return [kind, *list_types(kind.value_type)] if pa.types.is_list(kind) else []


def nested(values: pa.Array, shape: tuple[int, ...], lists: Sequence[pa.DataType]) -> pa.Array:
    """Wrap the flat values of a tensor in one list level per dimension, innermost first."""
    for level in reversed(range(len(lists))):
        count, size = math.prod(shape[: level + 1]), shape[level + 1]
        values = list_array(np.arange(count + 1, dtype=np.int32) * size, values, lists[level])
    return values


def list_array(offsets: Array, values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return lists of `values`: list i has those from ``offsets[i]`` to ``offsets[i + 1]``."""
    starts = number_array(offsets.astype(np.int32, copy=False), pa.int32())
    return pa.ListArray.from_arrays(starts, values, type=kind)


def _numbers(plan: OutputPlan, leaf: pa.DataType) -> FlatValues:
    if pa.types.is_decimal(leaf):
        return lambda tensor, _: _decimals(_flat(tensor), leaf)
    if pa.types.is_boolean(leaf):
        return lambda tensor, _: bool_array(_flat(tensor))
    if plan.dtype.name == "bfloat16":
        return lambda tensor, _: number_array(from_bfloat16(_flat(tensor)), leaf)
    target = leaf.to_pandas_dtype()
    return lambda tensor, _: number_array(_flat(tensor).astype(target, copy=False), leaf)


def _flat(tensor: Fetched) -> Array:
    return tensor.data.reshape(-1)


def _decimals(values: Array, leaf: pa.DataType) -> pa.Array:
    """Write uint64 as decimal128 (little-endian 128-bit integers): Spark has no unsigned long."""
    # The upper halves stay 0: the values aren't negative.
    wide = np.zeros((len(values), 2), np.uint64)
    wide[:, 0] = values
    return pa.Array.from_buffers(leaf, len(values), [None, pa.py_buffer(wide)])


def _strings(plan: OutputPlan, leaf: pa.DataType) -> FlatValues:
    is_text = pa.types.is_string(leaf)

    def convert(tensor: Fetched, rows: RowOfValues) -> pa.Array:
        assert isinstance(tensor, Strings)
        if len(tensor.data) > _MAX_VALUES:
            raise RunError(f'output "{plan.name}" has over 2 GiB of strings', _SMALLER_RUNS)
        buffers = [None, pa.py_buffer(tensor.offsets.astype(np.int32)), pa.py_buffer(tensor.data)]
        values = pa.Array.from_buffers(leaf, len(tensor.offsets) - 1, buffers)
        if is_text:
            _refuse_non_utf8(values, plan, rows)
        return values

    return convert


def _refuse_non_utf8(values: pa.Array, plan: OutputPlan, rows: RowOfValues) -> None:
    # Arrow checks the whole column in C++. Only if that fails, Python looks for the rows.
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        bad = np.array([not _is_utf8(value.as_py()) for value in values.cast(pa.binary())])
        reason = (
            f'output "{plan.name}" is not UTF-8 text; fetch binary({plan.name}) to get its bytes'
        )
        bad_rows = np.unique(rows()[bad])
        raise RowsRefused(bad_rows, [reason] * len(bad_rows)) from None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
