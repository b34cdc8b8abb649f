"""Ragged and sparse outputs, each of several fetched tensors, to Arrow columns.

TensorFlow's kernels give valid row splits and indices, but a model may also compute them itself.
Arrow reads memory by them, so they are checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import number_array, take_indices
from tf2spark.conversion.output_values import (
    Fetched,
    flat_values,
    list_array,
    list_types,
    nested,
)
from tf2spark.conversion.rows import Array, Ints, row_ids_of, splits_of
from tf2spark.dtypes import Dims, shape_text
from tf2spark.errors import RunError
from tf2spark.plan.score import OutputPlan
from tf2spark.tensorflow_c.tensor import Tensor

Builder = Callable[[Sequence[Fetched], int], pa.Array]


def ragged_builder(plan: OutputPlan) -> Builder:
    """Choose how a ragged output becomes lists; see `to_arrow.column_builder`.

    Its tensors are the flat values, then the row splits from the outermost to the innermost.
    """
    lists = list_types(plan.arrow)
    # Without a batch dimension, the outermost rows are the values of one row of the table.
    levels = len(plan.tensors) - plan.batched
    inner_dims = plan.dims[levels:]
    values_of = flat_values(plan, lists[-1].value_type)

    def column(tensors: Sequence[Fetched], rows: int) -> pa.Array:
        values, splits = tensors[0], [_numbers(tensor) for tensor in tensors[1:]]
        if not plan.batched:
            splits.insert(0, np.array([0, len(splits[0]) - 1]))
        _check_values(plan, values.shape, inner_dims)
        _check_splits(plan, splits, values.shape[0], rows)
        lengths = _value_counts(splits) * math.prod(values.shape[1:])
        flat = values_of(values, lambda: row_ids_of(lengths))
        array = nested(flat, values.shape, lists[levels:])
        for offsets, kind in zip(reversed(splits), reversed(lists[:levels]), strict=True):
            array = list_array(offsets, array, kind)
        return array

    return column


def _check_values(plan: OutputPlan, shape: tuple[int, ...], dims: Dims) -> None:
    if len(shape) != 1 + len(dims) or any(
        size not in (None, got) for size, got in zip(dims, shape[1:], strict=True)
    ):
        raise RunError(
            f'output "{plan.name}" has values of shape {shape_text(shape)}, expected '
            f"{shape_text((None, *dims))}"
        )


def _check_splits(plan: OutputPlan, splits: list[Array], count: int, rows: int) -> None:
    _check_rows(plan, len(splits[0]) - 1, rows)
    ends = [len(inner) - 1 for inner in splits[1:]] + [count]
    for offsets, end in zip(splits, ends, strict=True):
        is_valid = offsets.ndim == 1 and len(offsets) > 0 and offsets[0] == 0
        if not is_valid or offsets[-1] != end or (np.diff(offsets) < 0).any():
            raise RunError(f'output "{plan.name}" has row splits that don\'t fit its values')


def _value_counts(splits: list[Array]) -> Ints:
    """Return how many of the innermost values each row has."""
    ends = splits[0]
    for inner in splits[1:]:
        ends = inner[ends]
    return np.diff(ends)


def sparse_builder(plan: OutputPlan) -> Builder:
    """Choose how a sparse output becomes a column; see `to_arrow.column_builder`.

    Its tensors are the indices [n, rank], the values [n] and the dense shape [rank]. Of a matrix, a
    row is a struct of lists, of the second indices and of the values, or a map; of a tensor of a
    higher rank, each index is a list; of a vector, a row is a value or null.
    """
    rank = len(plan.dims) + 1
    leaf = _sparse_leaf(plan.arrow)
    values_of = flat_values(plan, leaf)
    assemble = _assembler(plan.arrow)

    def column(tensors: Sequence[Fetched], rows: int) -> pa.Array:
        indices, shape = _numbers(tensors[0]), _numbers(tensors[2])
        if not plan.batched:
            indices = np.insert(indices, 0, 0, axis=1)
            shape = np.insert(shape, 0, 1)
        if indices.shape != (*tensors[1].shape, rank) or shape.shape != (rank,):
            raise RunError(
                f'output "{plan.name}" is sparse, with indices of shape '
                f"{shape_text(indices.shape)}, values of shape {shape_text(tensors[1].shape)} and "
                f"a shape of {len(shape)} dimensions, expected {rank} dimensions"
            )
        _check_rows(plan, int(shape[0]), rows)
        owners = indices[:, 0]
        if ((owners < 0) | (owners >= rows)).any():
            raise RunError(f'output "{plan.name}" has indices beyond its shape')
        values = values_of(tensors[1], lambda: owners)
        if (np.diff(owners) < 0).any():
            order = np.argsort(owners, kind="stable")
            owners, indices = owners[order], indices[order]
            values = values.take(take_indices(order))
        return assemble(indices[:, 1:], values, np.bincount(owners, minlength=rows))

    return column


def _sparse_leaf(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_map(kind):
        return kind.item_type
    return kind.field("values").type.value_type if pa.types.is_struct(kind) else kind


def _assembler(kind: pa.DataType) -> Callable[[Ints, pa.Array, Ints], pa.Array]:
    """Choose how indices [n, rank - 1], values and the number of values per row become a column."""

    def single(indices: Ints, values: pa.Array, counts: Ints) -> pa.Array:
        # Where there is no value, position -1 takes null.
        return values.take(take_indices(np.where(counts > 0, np.cumsum(counts) - 1, -1)))

    def pairs(indices: Ints, values: pa.Array, counts: Ints) -> pa.Array:
        offsets = splits_of(counts)
        lists = list_types(kind.field("indices").type)
        ids = number_array(np.ascontiguousarray(indices).reshape(-1), pa.int64())
        ids = list_array(offsets, nested(ids, indices.shape, lists[1:]), lists[0])
        arrays = [ids, list_array(offsets, values, kind.field("values").type)]
        return pa.StructArray.from_arrays(arrays, fields=list(kind))

    def mapping(indices: Ints, values: pa.Array, counts: Ints) -> pa.Array:
        offsets = splits_of(counts).astype(np.int32)
        keys = number_array(indices[:, 0], pa.int64())
        return pa.MapArray.from_arrays(number_array(offsets, pa.int32()), keys, values, type=kind)

    if pa.types.is_map(kind):
        return mapping
    return pairs if pa.types.is_struct(kind) else single


def _check_rows(plan: OutputPlan, got: int, rows: int) -> None:
    if got != rows:
        raise RunError(
            f'output "{plan.name}" has {got} rows for {rows} rows of the table: an output that '
            "becomes a column must have one entry per row"
        )


def _numbers(tensor: Fetched) -> Array:
    assert isinstance(tensor, Tensor)
    return tensor.data.reshape(tensor.shape)
