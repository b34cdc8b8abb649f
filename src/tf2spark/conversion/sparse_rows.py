"""Sparse rows: MLlib vectors, structs of indices and values, and maps, without densifying.

MLlib's vector is ``struct<type: int8, size: int32, indices: list<int32>, values: list<double>>``.
Its type is 0 for a sparse vector and 1 for a dense one, whose size and indices are null (source:
``org.apache.spark.ml.linalg.VectorUDT.sqlType``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.conversion.arrow_buffers import bool_array, values_of
from tf2spark.conversion.casts import converter
from tf2spark.conversion.rows import (
    Array,
    Ints,
    Mask,
    Rows,
    child_of,
    column_of,
    join,
    null_mask,
    nulls_of,
    numbers_or_views,
    offsets_of,
    plain,
    positions_of,
    refuse,
    refuse_null_values,
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

    `indices` (int32 or int64) is None if all rows are dense: each has 0, 1, 2, ...
    `sizes` are the widths of the rows, None if the data doesn't say (maps, pairs, lists).
    `nulls` says which values are null, None if none is; only a `VectorsReader` sees any.
    """

    lengths: Ints
    indices: Ids | None
    values: Array
    sizes: Ints | None
    owner: object = None
    nulls: Mask | None = None


VectorsReader = Callable[[pa.RecordBatch], Vectors]


def vectors_reader(
    source: Source, dtype: DType | None, *, skip_nulls: bool = False
) -> VectorsReader:
    """Choose how a vector, pairs, a map, a list or a scalar is read as sparse rows.

    Args:
        source: The column.
        dtype: What its values become; None leaves them as they are, if only the indices are read.
        skip_nulls: A null among a row's values is left out; otherwise its row is refused.
    """
    take, label = column_of(source), source.label
    layout = "scalar" if source.layout == "list" and not source.depth else source.layout
    read = {
        "vector": _mllib, "pairs": _pairs, "map": _map, "list": _list, "scalar": _scalar,
    }[layout]  # fmt: skip
    convert = None if dtype is None else converter(source.leaf, dtype, label)

    def read_vectors(batch: pa.RecordBatch) -> Vectors:
        vectors = read(take(batch), label)
        # Everything after this writes through the indices: one beyond its row's size would land in
        # the next row.
        _refuse_outside(vectors, label)
        if vectors.nulls is not None:
            if not skip_nulls:
                refuse_null_values(vectors.nulls, vectors.lengths, label)
            vectors = _without_nulls(vectors, vectors.nulls)
        if convert is None:
            return vectors
        return evolve(vectors, values=convert(vectors.values, vectors.lengths))

    return read_vectors


def _without_nulls(vectors: Vectors, nulls: Mask) -> Vectors:
    """Leave out the nulls; the other values keep their indices."""
    kept = ~nulls
    return evolve(
        vectors,
        lengths=np.bincount(row_ids_of(vectors.lengths)[kept], minlength=len(vectors.lengths)),
        indices=indices_of(vectors)[kept],
        values=vectors.values[kept],
        nulls=None,
    )


def indices_of(vectors: Vectors) -> Ids:
    """Return the indices; those of dense rows are 0, 1, 2, ..."""
    return positions_of(vectors.lengths) if vectors.indices is None else vectors.indices


def _mllib(array: pa.StructArray, label: str) -> Vectors:
    kinds = array.field("type")
    refuse(nulls_of(kinds), f'column "{label}" has a null "type"')
    sparse: Mask = values_of(kinds) != 1
    lengths, leaf = _list_field(array, "values", label)
    values, owner = numbers_or_views(leaf)
    nulls = null_mask(leaf)
    if not sparse.any():
        return Vectors(lengths, None, values, lengths, owner, nulls)
    sizes = np.where(sparse, _sizes(array, sparse, label), lengths)
    ids = _sparse_indices(array, sparse, lengths, label)
    if sparse.all():
        return Vectors(lengths, ids, values, sizes, owner, nulls)
    # Dense rows count up from 0; the sparse rows' own ids replace theirs.
    indices = positions_of(lengths)
    indices[np.repeat(sparse, lengths)] = ids
    return Vectors(lengths, indices, values, sizes, owner, nulls)


def _sparse_indices(array: pa.StructArray, sparse: Mask, value_lengths: Ints, label: str) -> Ids:
    """Return the indices of the sparse rows only; those of dense rows are null or meaningless."""
    lists = plain(array.field("indices"))
    if lists.null_count:
        refuse(nulls_of(lists) & sparse, f'column "{label}" has a null "indices"')
    if not sparse.all():
        lists = lists.filter(bool_array(sparse))
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
    return Vectors(lengths, indices, values, sizes, owner, null_mask(leaf))


def _map(array: pa.MapArray, label: str) -> Vectors:
    offsets = offsets_of(array)
    start, end = int(offsets[0]), int(offsets[-1])
    lengths = np.diff(offsets).astype(np.int64)
    items = plain(array.items.slice(start, end - start))
    values, owner = numbers_or_views(items)
    keys = _ids(plain(array.keys.slice(start, end - start)))
    # A map has no order. Sorted, equal maps become equal tensors, whatever a shuffle did to them.
    return sort_by_index(Vectors(lengths, keys, values, None, owner, null_mask(items)))


def _list(array: pa.Array, label: str) -> Vectors:
    lengths, leaf = child_of(array)
    values, owner = numbers_or_views(leaf)
    return Vectors(lengths, None, values, None, owner, null_mask(leaf))


def _scalar(array: pa.Array, label: str) -> Vectors:
    values, owner = numbers_or_views(array)
    ones = np.ones(len(array), np.int64)
    return Vectors(ones, None, values, ones, owner)


def _list_field(array: pa.StructArray, name: str, label: str) -> tuple[Ints, pa.Array]:
    lists = plain(array.field(name))
    if lists.null_count:
        refuse(nulls_of(lists), f'column "{label}" has a null "{name}"')
    return child_of(lists)


def _sizes(array: pa.StructArray, needed: Mask, label: str) -> Ints:
    sizes = array.field("size")
    if sizes.null_count:
        refuse(nulls_of(sizes) & needed, f'column "{label}" has a null "size"')
    return values_of(sizes).astype(np.int64)


def _ids(leaf: pa.Array) -> Ids:
    # MLlib's ids stay int32: half the bytes to check and to move.
    ids = values_of(leaf)
    return ids if ids.dtype == np.int32 else ids.astype(np.int64, copy=False)


def _unequal(indices: Ints, values: Ints, label: str) -> Callable[[int], str]:
    return lambda row: f'column "{label}" has {indices[row]} indices and {values[row]} values'


def _refuse_outside(vectors: Vectors, label: str) -> None:
    """Refuse rows with a negative index, or one that isn't below their size."""
    ids, sizes = vectors.indices, vectors.sizes
    if ids is None or not len(ids):
        return
    # Nearly all batches are fine, and the least size bounds every row: two reductions settle that.
    # Only a batch that fails them compares each index with the size of its own row.
    if ids.min() >= 0 and (sizes is None or ids.max() < sizes.min()):
        return
    bad = ids < 0
    if sizes is not None:
        bad |= ids >= np.repeat(sizes, vectors.lengths)

    def reason(row: int, position: int) -> str:
        if ids[position] < 0 or sizes is None:
            return f'column "{label}" has the negative index {ids[position]}'
        return f'column "{label}" has the index {ids[position]}, but its size is {sizes[row]}'

    refuse_values(bad, vectors.lengths, reason)


def sort_by_index(vectors: Vectors) -> Vectors:
    """Sort each row by index, as sparse kernels expect; equal indices keep their order."""
    if vectors.indices is None:
        return vectors
    indices, rows = vectors.indices, row_ids_of(vectors.lengths)
    if ((np.diff(indices) > 0) | (np.diff(rows) > 0)).all():
        return vectors
    order = np.lexsort((indices, rows))
    nulls = None if vectors.nulls is None else vectors.nulls[order]
    return evolve(vectors, indices=indices[order], values=vectors.values[order], nulls=nulls)


def refuse_duplicates(vectors: Vectors, label: str) -> None:
    """Refuse rows that have an index twice: a dense row has one value per index."""
    ordered = sort_by_index(vectors)
    if (ids := ordered.indices) is not None:
        rows = row_ids_of(vectors.lengths)
        twice = np.concatenate([[False], (np.diff(ids) == 0) & (np.diff(rows) == 0)])
        refuse_values(
            twice[: len(ids)],
            vectors.lengths,
            lambda _, position: f'column "{label}" has the index {ids[position]} twice',
        )


def assemble(parts: list[Vectors]) -> Vectors:
    """Join vectors row by row; the ids of each part are offset by the sizes of the parts before it.

    As MLlib's ``VectorAssembler`` does, but explicit zeros stay in the result.
    """
    joined = join([Rows(part.lengths, part.values, part.owner) for part in parts])
    sizes = [sizes_of(part) for part in parts]
    shifts = [sum(sizes[:part], np.zeros_like(sizes[0])) for part in range(len(parts))]
    indices = None
    if any(part.indices is not None for part in parts):
        shifted = [
            Rows(part.lengths, indices_of(part) + np.repeat(shift, part.lengths))
            for part, shift in zip(parts, shifts, strict=True)
        ]
        indices = join(shifted).values
    return Vectors(joined.lengths, indices, joined.values, sum(sizes[1:], sizes[0]), joined.owner)


def densify(vectors: Vectors) -> Rows:
    """Return dense rows: row i has ``sizes[i]`` values, zero where it has no index."""
    if vectors.indices is None:
        return Rows(vectors.lengths, vectors.values, vectors.owner)
    sizes = sizes_of(vectors)
    # Zero bytes are 0 in every numeric dtype, and an empty string in TensorFlow's struct.
    full = np.zeros(int(sizes.sum()), vectors.values.dtype)
    full[vectors.indices + np.repeat(starts_of(sizes), vectors.lengths)] = vectors.values
    return Rows(sizes, full, vectors.owner)


def sizes_of(vectors: Vectors) -> Ints:
    """Return the sizes of rows that have one."""
    if vectors.sizes is None:
        raise AssertionError("binding allows maps and bare pairs only where the input has a size")
    return vectors.sizes
