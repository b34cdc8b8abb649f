"""Columns of random values, and simple readers that turn them into TensorFlow's feeds.

The readers go through Python lists on purpose: they must share nothing with tf2spark's own
conversions.
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
"""MLlib's vector: type 0 is sparse; type 1 is dense and has neither size nor indices."""

Pairs = list[tuple[list[int], list[float]]]


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def floats(rows: int, *shape: int, seed: int = 0) -> Array:
    """Return doubles of both signs that no float32 represents exactly."""
    return random(seed).normal(size=(rows, *shape))


def ints(rows: int, *shape: int, low: int = 0, high: int = 10, seed: int = 0) -> Array:
    numbers: Array = random(seed).integers(low, high, (rows, *shape))
    return numbers


def chosen(words: Sequence[Any], rows: int, *shape: int, seed: int = 0) -> Array:
    """Return words in random order; with enough rows, each of them occurs."""
    count = rows * int(np.prod(shape, dtype=int))
    numbers = random(seed).permutation(np.arange(count) % len(words))
    return np.asarray(np.array(words, dtype=object)[numbers].reshape(rows, *shape))


def arrow(values: Array, leaf: pa.DataType) -> pa.Array:
    """Return an array of any rank as a column of nested lists, or of scalars."""
    column_type = leaf
    for _ in values.shape[1:]:
        column_type = pa.list_(column_type)
    return pa.array(values.tolist(), column_type)


def table(**columns: pa.Array) -> pa.Table:
    return pa.table(columns)


def floats_table(
    name: str, *shape: int, leaf: pa.DataType | None = None, seed: int = 0
) -> Callable[[int], pa.Table]:
    """Return the table function of one column of random floats (float32 by default)."""
    leaf_type = pa.float32() if leaf is None else leaf
    return lambda rows: table(**{name: arrow(floats(rows, *shape, seed=seed), leaf_type)})


def read(data: pa.Table, column: str, dtype: Any) -> Array:
    """Return a column of scalars or rectangular lists as an array; strings as Python objects."""
    return np.array(data[column].to_pylist(), dtype=dtype)


def by_name(**dtypes: Any) -> Callable[[pa.Table], Feeds]:
    """Return the feeds function of inputs named like their columns."""
    return lambda data: {name: read(data, name, dtype) for name, dtype in dtypes.items()}


def as_columns(**dtypes: Any) -> Callable[[pa.Table], Feeds]:
    """Return the feeds function of ``[None, 1]`` inputs named like their columns of scalars."""
    return lambda data: {name: read(data, name, dtype)[:, None] for name, dtype in dtypes.items()}


def sparse_pairs(
    rows: int, size: int, *, most: int, least: int = 0, seed: int = 0, low: int = 0
) -> Pairs:
    """Return for each row sorted ids, at least `low` and below `size`, and as many values.

    The last row has `most` of them, so that the length of a batch's longest row is known.
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
    """Return vectors of which every third is dense, in full or with only the row's values."""
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
    """Return the ids and values of each row; those of a map are sorted by id."""
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


def join_pairs(left: Pairs, right: Pairs, *, offset: int = 0) -> Pairs:
    """Return each row of `left` followed by that of `right`, with an offset added to its ids."""
    return [
        (ids + [i + offset for i in more_ids], values + more_values)
        for (ids, values), (more_ids, more_values) in zip(left, right, strict=True)
    ]


def padded(rows: Sequence[Sequence[Any]], width: int | None, dtype: Any, fill: Any = 0) -> Array:
    """Return rows padded at their ends, to the length of the longest if no width is given."""
    length = max(1, *map(len, rows)) if width is None else width
    return np.array([[*row, *[fill] * (length - len(row))] for row in rows], dtype)


def written_out(pairs: Pairs, size: int) -> Array:
    """Return float32 [rows, size], with zeros for the ids that a row doesn't have."""
    full = np.zeros((len(pairs), size), np.float32)
    for row, (ids, values) in enumerate(pairs):
        for i, value in zip(ids, values, strict=True):
            full[row, i] = value
    return full


def coo(pairs: Pairs, size: int, dtype: Any = np.float32) -> tuple[Array, Array, Array]:
    """Return a SparseTensor's indices, values and dense shape, in the order that kernels expect."""
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
    """Return a RaggedTensor's row splits: where each row starts, and where the last one ends."""
    offsets = [0]
    for row in rows:
        offsets.append(offsets[-1] + len(row))
    return offsets
