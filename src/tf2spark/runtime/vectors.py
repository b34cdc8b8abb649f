"""Sparse rows: MLlib vectors, structs of indices and values, and maps, without densifying.

MLlib's vector is ``struct<type: int8, size: int32, indices: list<int32>, values: list<double>>``
with type 0 for a sparse and 1 for a dense one, whose size and indices are null (source:
``org.apache.spark.ml.linalg.VectorUDT.sqlType``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, frozen

from tf2spark.plan import Source
from tf2spark.runtime.rows import (
    Array,
    Ints,
    Rows,
    child_of,
    column_of,
    numbers_or_views,
    plain,
    refuse,
)


@frozen(eq=False)
class Vectors:
    """Sparse rows: row i has the next ``lengths[i]`` of `indices` (int64) and `values`.

    `indices` is None where all rows are dense: each has 0, 1, 2, ... up to its length.
    `sizes` are the widths of the rows, None where the data doesn't say (maps, bare pairs).
    """

    lengths: Ints
    indices: Ints | None
    values: Array
    sizes: Ints | None
    owner: object = None


def vectors_reader(source: Source) -> Callable[[pa.RecordBatch], Vectors]:
    """Choose, once, how `source` is read as sparse rows."""
    take = column_of(source)
    read = {"vector": _mllib, "pairs": _pairs, "map": _map, "list": _scalar}[source.layout]

    def vectors(batch: pa.RecordBatch) -> Vectors:
        return _checked(read(take(batch), source.label), source.label)

    return vectors


def indices_of(found: Vectors) -> Ints:
    """Return the indices, written out for dense rows too."""
    return positions_of(found.lengths) if found.indices is None else found.indices


def starts_of(lengths: Ints) -> Ints:
    """Return where each row starts in the flat values."""
    return np.cumsum(lengths) - lengths


def positions_of(lengths: Ints) -> Ints:
    """Return each flat value's position within its row: lengths [2, 3] give [0, 1, 0, 1, 2]."""
    return np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(starts_of(lengths), lengths)


def row_ids_of(lengths: Ints) -> Ints:
    """Return each flat value's row: lengths [2, 3] give [0, 0, 1, 1, 1]."""
    return np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)


def _mllib(array: pa.StructArray, label: str) -> Vectors:
    dense = array.field("type").to_numpy(zero_copy_only=False) == 1
    lengths, value_leaf = _open(array, "values", label)
    values, owner = numbers_or_views(value_leaf)
    if not dense.any():
        index_lengths, index_leaf = _open(array, "indices", label)
        refuse(index_lengths != lengths, _unequal(label))
        sizes = array.field("size").to_numpy().astype(np.int64)
        return Vectors(lengths, _int64(index_leaf), values, sizes, owner)
    if dense.all():
        return Vectors(lengths, None, values, lengths, owner)
    sizes = pc.fill_null(array.field("size"), 0).to_numpy().astype(np.int64)
    indices = positions_of(lengths)
    sparse = array.filter(pa.array(~dense))
    index_lengths, index_leaf = _open(sparse, "indices", label)
    bad = np.zeros(len(array), bool)
    bad[~dense] = index_lengths != lengths[~dense]
    refuse(bad, _unequal(label))
    indices[np.repeat(~dense, lengths)] = _int64(index_leaf)
    return Vectors(lengths, indices, values, np.where(dense, lengths, sizes), owner)


def _pairs(array: pa.StructArray, label: str) -> Vectors:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    lengths, value_leaf = _open(array, "values", label)
    index_lengths, index_leaf = _open(array, "indices", label)
    refuse(index_lengths != lengths, _unequal(label))
    values, owner = numbers_or_views(value_leaf)
    sizes = array.field("size").to_numpy().astype(np.int64) if "size" in names else None
    return _in_order(Vectors(lengths, _int64(index_leaf), values, sizes, owner))


def _map(array: pa.MapArray, label: str) -> Vectors:
    offsets = array.offsets.to_numpy()
    start, end = int(offsets[0]), int(offsets[-1])
    lengths = np.diff(offsets).astype(np.int64)
    items = plain(array.items.slice(start, end - start))
    _no_nulls(items, lengths, label)
    values, owner = numbers_or_views(items)
    keys = _int64(plain(array.keys.slice(start, end - start)))
    return _in_order(Vectors(lengths, keys, values, None, owner))


def _scalar(array: pa.Array, label: str) -> Vectors:
    values, owner = numbers_or_views(array)
    ones = np.ones(len(array), np.int64)
    return Vectors(ones, np.zeros(len(array), np.int64), values, ones, owner)


def _open(array: pa.StructArray, name: str, label: str) -> tuple[Ints, pa.Array]:
    child = plain(array.field(name))
    if child.null_count:
        refuse(
            child.is_null().to_numpy(zero_copy_only=False), f'column "{label}" has null for {name}'
        )
    lengths, leaf = child_of(child)
    if isinstance(lengths, int):
        lengths = np.full(len(array), lengths, np.int64)
    _no_nulls(leaf, lengths, label)
    return lengths, leaf


def _no_nulls(leaf: pa.Array, lengths: Ints, label: str) -> None:
    if leaf.null_count:
        bad = np.zeros(len(lengths), bool)
        bad[row_ids_of(lengths)[leaf.is_null().to_numpy(zero_copy_only=False)]] = True
        refuse(bad, f'column "{label}" holds a null')


def _int64(leaf: pa.Array) -> Ints:
    return leaf.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)


def _unequal(label: str) -> str:
    return f'column "{label}" has not as many indices as values'


def _in_order(found: Vectors) -> Vectors:
    """Sort each row by index: maps come in any order, and sparse kernels want theirs sorted."""
    indices, rows = indices_of(found), row_ids_of(found.lengths)
    step = np.diff(indices)
    if len(step) == 0 or ((step > 0) | (np.diff(rows) > 0)).all():
        return found
    order = np.lexsort((indices, rows))
    return evolve(found, indices=indices[order], values=found.values[order])


def _checked(found: Vectors, label: str) -> Vectors:
    """Refuse rows with an index below 0 or beyond their size."""
    if found.indices is None or not len(found.indices):
        return found
    bad = found.indices < 0
    if found.sizes is not None:
        # Two reductions settle the usual case; only a batch that fails them looks at every index.
        if found.indices.min() >= 0 and found.indices.max() < found.sizes.min():
            return found
        bad |= found.indices >= np.repeat(found.sizes, found.lengths)
    if bad.any():
        rows = np.zeros(len(found.lengths), bool)
        rows[row_ids_of(found.lengths)[bad]] = True
        refuse(rows, f'column "{label}" has an index outside of its size')
    return found


def assembled(parts: list[Vectors], labels: list[str]) -> Vectors:
    """Join vectors row by row, ids offset by the sizes before them (MLlib's VectorAssembler)."""
    shift = np.zeros(len(parts[0].lengths), np.int64)
    moved = []
    for part, label in zip(parts, labels, strict=True):
        if part.sizes is None:
            raise AssertionError(f"binding lets no sizeless column into assembled(): {label}")
        moved.append(Rows(part.lengths, indices_of(part) + np.repeat(shift, part.lengths)))
        shift = shift + part.sizes
    joined = join([Rows(part.lengths, part.values, part.owner) for part in parts])
    ids = join(moved)
    indices = ids.values.astype(np.int64, copy=False)
    return Vectors(joined.lengths, indices, joined.values, shift, joined.owner)


def join(parts: list[Rows]) -> Rows:
    """Put rows side by side: row i is row i of each part, one after the other."""
    if len(parts) == 1:
        return parts[0]
    lengths = sum((part.lengths for part in parts[1:]), parts[0].lengths)
    values = np.empty(int(lengths.sum()), np.result_type(*(part.values for part in parts)))
    start = starts_of(lengths)
    for part in parts:
        values[positions_of(part.lengths) + np.repeat(start, part.lengths)] = part.values
        start = start + part.lengths
    return Rows(lengths, values, [part.owner for part in parts])


def densified(found: Vectors, cast: Callable[[Array], Array]) -> Rows:
    """Write sparse rows out in full: row i is ``sizes[i]`` long, zero where nothing is said."""
    if found.sizes is None:
        raise AssertionError("binding lets no sizeless column into a dense input")
    if found.indices is None:
        return Rows(found.sizes, cast(found.values), found.owner)
    values = cast(found.values)
    full = np.zeros(int(found.sizes.sum()), values.dtype)
    full[found.indices + np.repeat(starts_of(found.sizes), found.lengths)] = values
    return Rows(found.sizes, full)
