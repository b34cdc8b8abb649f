"""Columns of random values, and plain readers that turn them into what TensorFlow is fed.

The readers go through Python lists on purpose: they must have nothing in common with tf2spark's
own conversions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cases.models.case import Array, Feeds

VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
"""MLlib's vector: type 0 is sparse; a dense one, type 1, has neither size nor indices."""

Pairs = list[tuple[list[int], list[float]]]


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def floats(rows: int, *shape: int, seed: int = 0) -> Array:
    """Return doubles of both signs that no float32 holds exactly."""
    return random(seed).normal(size=(rows, *shape))


def ints(rows: int, *shape: int, low: int = 0, high: int = 10, seed: int = 0) -> Array:
    return random(seed).integers(low, high, (rows, *shape))


def chosen(words: Sequence[Any], rows: int, *shape: int, seed: int = 0) -> Array:
    """Return words picked at random; all of them come up where there are enough rows."""
    picked = random(seed).permutation(np.arange(rows * int(np.prod(shape, dtype=int))) % len(words))
    return np.array(words, dtype=object)[picked].reshape(rows, *shape)


def arrow(values: Array, leaf: pa.DataType) -> pa.Array:
    """Return an array of any rank as a column, nested as deep."""
    kind = leaf
    for _ in values.shape[1:]:
        kind = pa.list_(kind)
    return pa.array(values.tolist(), kind)


def table(**columns: pa.Array) -> pa.Table:
    return pa.table(columns)


def floats_table(
    name: str, *shape: int, leaf: pa.DataType | None = None, seed: int = 0
) -> Callable[[int], pa.Table]:
    """Return the table function for one column of random floats (float32 unless said)."""
    kind = pa.float32() if leaf is None else leaf
    return lambda rows: table(**{name: arrow(floats(rows, *shape, seed=seed), kind)})


def read(data: pa.Table, column: str, dtype: Any) -> Array:
    """Return a column of scalars or rectangular lists as an array; strings as Python objects."""
    return np.array(data[column].to_pylist(), dtype=dtype)


def by_name(**dtypes: Any) -> Callable[[pa.Table], Feeds]:
    """Return the feeds of inputs that are named like their columns."""
    return lambda data: {name: read(data, name, dtype) for name, dtype in dtypes.items()}


def upright(**dtypes: Any) -> Callable[[pa.Table], Feeds]:
    """Return the feeds of ``[None, 1]`` inputs that are named like their columns of scalars."""
    return lambda data: {name: read(data, name, kind)[:, None] for name, kind in dtypes.items()}


def sparse_pairs(
    rows: int, size: int, *, most: int, least: int = 0, seed: int = 0, low: int = 0
) -> Pairs:
    """Return sorted ids from `low` up, below `size`, and as many values, for each row.

    The last row is as long as rows get, so that the longest of a batch is known.
    """
    random_ = random(seed)
    pairs = []
    for row in range(rows):
        count = most if row == rows - 1 else int(random_.integers(least, most + 1))
        ids = sorted(random_.choice(np.arange(low, size), count, replace=False).tolist())
        pairs.append((ids, random_.normal(size=count).tolist()))
    return pairs


def sparse_vectors(pairs: Pairs, size: int) -> pa.Array:
    return pa.array([_sparse(size, ids, values) for ids, values in pairs], VECTOR)


def mixed_vectors(pairs: Pairs, size: int, *, dense_size: int | None = None) -> pa.Array:
    """Return every third vector dense: written out in full, or the row's values up to a length."""
    vectors = []
    for row, (ids, values) in enumerate(pairs):
        if row % 3 != 1:
            vectors.append(_sparse(size, ids, values))
        elif dense_size is None:
            full = dict(zip(ids, values, strict=True))
            vectors.append(_dense([full.get(i, 0.0) for i in range(size)]))
        else:
            vectors.append(_dense([*values, *[0.0] * dense_size][:dense_size]))
    return pa.array(vectors, VECTOR)


def _sparse(size: int, ids: list[int], values: list[float]) -> dict[str, Any]:
    return {"type": 0, "size": size, "indices": ids, "values": values}


def _dense(values: list[float]) -> dict[str, Any]:
    return {"type": 1, "size": None, "indices": None, "values": values}


def pairs_of(data: pa.Table, column: str) -> Pairs:
    """Return the ids and values of each row, those of a map by rising id."""
    rows = []
    for value in data[column].to_pylist():
        if isinstance(value, list):
            value = sorted(value)
            rows.append(([key for key, _ in value], [item for _, item in value]))
        else:
            ids = value["indices"]
            rows.append(
                (list(range(len(value["values"]))) if ids is None else ids, value["values"])
            )
    return rows


def beside(left: Pairs, right: Pairs, *, offset: int = 0) -> Pairs:
    """Return each row of `left` followed by that of `right`, whose ids are offset."""
    return [
        (ids + [i + offset for i in more_ids], values + more_values)
        for (ids, values), (more_ids, more_values) in zip(left, right, strict=True)
    ]


def padded(rows: Sequence[Sequence[Any]], width: int | None, dtype: Any, fill: Any = 0) -> Array:
    """Return rows filled up at their ends, to the longest where no width is given."""
    wide = max(1, *map(len, rows)) if width is None else width
    return np.array([[*row, *[fill] * (wide - len(row))] for row in rows], dtype)


def written_out(pairs: Pairs, size: int) -> Array:
    """Return float32 [rows, size] with zeros where a row says nothing."""
    full = np.zeros((len(pairs), size), np.float32)
    for row, (ids, values) in enumerate(pairs):
        for i, value in zip(ids, values, strict=True):
            full[row, i] = value
    return full


def coo(pairs: Pairs, size: int, dtype: Any = np.float32) -> tuple[Array, Array, Array]:
    """Return a SparseTensor's indices, values and dense shape, in the order that kernels want."""
    entries = [
        (row, i, value)
        for row, pair in enumerate(pairs)
        for i, value in sorted(zip(*pair, strict=True))
    ]
    return (
        np.array([entry[:2] for entry in entries], np.int64).reshape(-1, 2),
        np.array([entry[2] for entry in entries], dtype),
        np.array([len(pairs), size], np.int64),
    )


def splits(rows: Sequence[Sequence[Any]]) -> list[int]:
    """Return a RaggedTensor's row splits: where each row starts, and the end."""
    ends = [0]
    for row in rows:
        ends.append(ends[-1] + len(row))
    return ends
