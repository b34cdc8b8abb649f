"""Sparse rows: MLlib vectors, structs of indices and values, and maps, without densifying.

MLlib's vector is ``struct<type: int8, size: int32, indices: list<int32>, values: list<double>>``
with type 0 for a sparse and 1 for a dense one, whose size and indices are null (source:
``org.apache.spark.ml.linalg.VectorUDT.sqlType``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.conversion.arrow_buffers import booleans, values_of
from tf2spark.conversion.casts import converter
from tf2spark.conversion.rows import (
    Array,
    Ints,
    Mask,
    Rows,
    child_of,
    column_of,
    join,
    nulls_of,
    numbers_or_views,
    offsets_of,
    plain,
    positions_of,
    refuse,
    refuse_nulls,
    refuse_values,
    row_ids_of,
    starts_of,
)
from tf2spark.dtypes import DType
from tf2spark.plan.score import Source

Ids = npt.NDArray[np.int32] | npt.NDArray[np.int64]


@frozen(eq=False)
class Vectors:
    """Sparse rows: row i has the next ``lengths[i]`` of `indices` and `values`.

    `indices` (int32 or int64) is None where all rows are dense: each has 0, 1, 2, ... up to its
    length.
    `sizes` are the widths of the rows, None where the data doesn't say (maps, bare pairs, lists).
    """

    lengths: Ints
    indices: Ids | None
    values: Array
    sizes: Ints | None
    owner: object = None


VectorsReader = Callable[[pa.RecordBatch], Vectors]


def vectors_reader(source: Source, dtype: DType | None) -> VectorsReader:
    """Choose, once, how a vector, pairs, a map or a scalar is read as sparse rows.

    Args:
        source: The column.
        dtype: What its values become; None leaves them as they are, where only indices are read.
    """
    take, label = column_of(source), source.label
    read = {"vector": _mllib, "pairs": _pairs, "map": _map, "list": _scalar}[source.layout]
    convert = None if dtype is None else converter(source.leaf, dtype, label)

    def vectors(batch: pa.RecordBatch) -> Vectors:
        found = read(take(batch), label)
        _refuse_outside(found, label)
        if convert is None:
            return found
        return evolve(found, values=convert(found.values, found.lengths))

    return vectors


def indices_of(found: Vectors) -> Ids:
    """Return the indices, written out for dense rows too."""
    return positions_of(found.lengths) if found.indices is None else found.indices


def _mllib(array: pa.StructArray, label: str) -> Vectors:
    kinds = array.field("type")
    refuse(nulls_of(kinds), f'column "{label}" has null for type')
    sparse: Mask = values_of(kinds) != 1
    lengths, leaf = _list_field(array, "values", label)
    values, owner = numbers_or_views(leaf)
    if not sparse.any():
        return Vectors(lengths, None, values, lengths, owner)
    sizes = np.where(sparse, _sizes(array, sparse, label), lengths)
    ids = _sparse_indices(array, sparse, lengths, label)
    if sparse.all():
        return Vectors(lengths, ids, values, sizes, owner)
    indices = positions_of(lengths)
    indices[np.repeat(sparse, lengths)] = ids
    return Vectors(lengths, indices, values, sizes, owner)


def _sparse_indices(array: pa.StructArray, sparse: Mask, value_lengths: Ints, label: str) -> Ids:
    """Return the indices of the sparse rows alone; those of dense rows are null or mean nothing."""
    lists = plain(array.field("indices"))
    if lists.null_count:
        refuse(nulls_of(lists) & sparse, f'column "{label}" has null for indices')
    if not sparse.all():
        lists = lists.filter(booleans(sparse))
    lengths = np.zeros(len(array), np.int64)
    lengths[sparse], leaf = child_of(lists)
    refuse_nulls(leaf, lengths, label)
    refuse(sparse & (lengths != value_lengths), _unequal(lengths, value_lengths, label))
    return _ids(leaf)


def _pairs(array: pa.StructArray, label: str) -> Vectors:
    everywhere = np.ones(len(array), bool)
    lengths, leaf = _list_field(array, "values", label)
    indices = _sparse_indices(array, everywhere, lengths, label)
    has_size = array.type.get_field_index("size") >= 0
    sizes = _sizes(array, everywhere, label) if has_size else None
    values, owner = numbers_or_views(leaf)
    return Vectors(lengths, indices, values, sizes, owner)


def _map(array: pa.MapArray, label: str) -> Vectors:
    offsets = offsets_of(array)
    start, end = int(offsets[0]), int(offsets[-1])
    lengths = np.diff(offsets).astype(np.int64)
    items = plain(array.items.slice(start, end - start))
    refuse_nulls(items, lengths, label)
    values, owner = numbers_or_views(items)
    keys = _ids(plain(array.keys.slice(start, end - start)))
    # A map has no order: sorted, the same map is the same tensor, whatever it went through.
    return in_order(Vectors(lengths, keys, values, None, owner))


def _scalar(array: pa.Array, label: str) -> Vectors:
    values, owner = numbers_or_views(array)
    ones = np.ones(len(array), np.int64)
    return Vectors(ones, None, values, ones, owner)


def _list_field(array: pa.StructArray, name: str, label: str) -> tuple[Ints, pa.Array]:
    lists = plain(array.field(name))
    if lists.null_count:
        refuse(nulls_of(lists), f'column "{label}" has null for {name}')
    lengths, leaf = child_of(lists)
    refuse_nulls(leaf, lengths, label)
    return lengths, leaf


def _sizes(array: pa.StructArray, needed: Mask, label: str) -> Ints:
    sizes = array.field("size")
    if sizes.null_count:
        refuse(nulls_of(sizes) & needed, f'column "{label}" has null for size')
    return values_of(sizes).astype(np.int64)


def _ids(leaf: pa.Array) -> Ids:
    # MLlib's are int32, which is as good to look at and only half as many bytes.
    ids = values_of(leaf)
    return ids if ids.dtype == np.int32 else ids.astype(np.int64, copy=False)


def _unequal(indices: Ints, values: Ints, label: str) -> Callable[[int], str]:
    return lambda row: f'column "{label}" has {indices[row]} indices and {values[row]} values'


def _refuse_outside(found: Vectors, label: str) -> None:
    """Refuse rows with an index below 0 or beyond their size."""
    ids, sizes = found.indices, found.sizes
    if ids is None or not len(ids):
        return
    # Two reductions settle the usual case; only a batch that fails them looks at every index.
    if ids.min() >= 0 and (sizes is None or ids.max() < sizes.min()):
        return
    bad = ids < 0
    if sizes is not None:
        bad |= ids >= np.repeat(sizes, found.lengths)

    def reason(row: int, place: int) -> str:
        outside = "below 0" if ids[place] < 0 or sizes is None else f"outside of its {sizes[row]}"
        return f'column "{label}" has the index {ids[place]}, which is {outside}'

    refuse_values(bad, found.lengths, reason)


def in_order(found: Vectors) -> Vectors:
    """Sort each row by index, as sparse kernels want it."""
    if found.indices is None:
        return found
    indices, rows = found.indices, row_ids_of(found.lengths)
    if ((np.diff(indices) > 0) | (np.diff(rows) > 0)).all():
        return found
    order = np.lexsort((indices, rows))
    return evolve(found, indices=indices[order], values=found.values[order])


def refuse_twice(found: Vectors, label: str) -> None:
    """Refuse rows that have an index twice: a dense row can't hold both values."""
    ordered = in_order(found)
    if (ids := ordered.indices) is not None:
        rows = row_ids_of(found.lengths)
        twice = np.concatenate([[False], (np.diff(ids) == 0) & (np.diff(rows) == 0)])
        refuse_values(
            twice[: len(ids)],
            found.lengths,
            lambda _, place: f'column "{label}" has the index {ids[place]} twice',
        )


def assembled(parts: list[Vectors]) -> Vectors:
    """Join vectors row by row, ids offset by the sizes before them.

    As MLlib's ``VectorAssembler`` does, but zeros that a part spells out stay in the result.
    """
    joined = join([Rows(part.lengths, part.values, part.owner) for part in parts])
    sizes = [sizes_of(part) for part in parts]
    shifts = [sum(sizes[:place], np.zeros_like(sizes[0])) for place in range(len(parts))]
    indices = None
    if any(part.indices is not None for part in parts):
        moved = [
            Rows(part.lengths, indices_of(part) + np.repeat(shift, part.lengths))
            for part, shift in zip(parts, shifts, strict=True)
        ]
        indices = join(moved).values
    return Vectors(joined.lengths, indices, joined.values, sum(sizes[1:], sizes[0]), joined.owner)


def densified(found: Vectors) -> Rows:
    """Write sparse rows out in full: row i is ``sizes[i]`` long, zero where nothing is said."""
    if found.indices is None:
        return Rows(found.lengths, found.values, found.owner)
    sizes = sizes_of(found)
    full = np.zeros(int(sizes.sum()), found.values.dtype)
    full[found.indices + np.repeat(starts_of(sizes), found.lengths)] = found.values
    return Rows(sizes, full, found.owner)


def sizes_of(found: Vectors) -> Ints:
    """Return the widths of rows that have some."""
    if found.sizes is None:
        raise AssertionError("binding lets a map or bare pairs only where the input has a size")
    return found.sizes
