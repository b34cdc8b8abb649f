"""Users and items of random features, and plain readers that pair them for TensorFlow.

Fewer rows are always the first of more, so that a test may look at a few of many.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cases.models.case import Feeds
from cases.models.tables import (
    arrow,
    floats,
    ints,
    join_pairs,
    pairs_of,
    random,
    read,
    sparse_vectors,
)

# How many ids there are, by their type.
PRIMES = {pa.int8(): 127, pa.int16(): 32_749}
PRIME = 1_000_003
ROWS = 2003
"""How many users or items an embedding table has; a prime as well."""

Column = Callable[[int], pa.Array]
PairFeeds = Callable[[pa.Table, pa.Table], Feeds]


def scattered(rows: int, prime: int = PRIME) -> list[int]:
    """Return numbers below a prime (a million), each once, in no order."""
    return [(row * 611_953 + 417) % prime for row in range(rows)]


def int_ids(kind: pa.DataType) -> Column:
    return lambda rows: pa.array(scattered(rows, PRIMES.get(kind, PRIME)), kind)


def string_ids(prefix: str) -> Column:
    """Return ids whose order as text isn't that of their numbers: film-10 is before film-9."""
    return lambda rows: pa.array([f"{prefix}{number}" for number in scattered(rows)])


def measures(*shape: int, seed: int, kind: pa.DataType | None = None) -> Column:
    """Return numbers of both signs (float32 by default), or lists of them."""
    return lambda rows: arrow(floats(rows, *shape, seed=seed), kind or pa.float32())


def numbers(
    *shape: int, high: int, seed: int, low: int = 0, kind: pa.DataType | None = None
) -> Column:
    """Return integers from `low` to `high` - 1 (int64 by default), or lists of them."""
    return lambda rows: arrow(ints(rows, *shape, low=low, high=high, seed=seed), kind or pa.int64())


def members(kind: pa.DataType | None = None, *, seed: int) -> Column:
    """Return rows of an embedding table of `ROWS`: each once before any repeats."""
    return lambda rows: pa.array(
        [(row * 611_953 + seed) % ROWS for row in range(rows)], kind or pa.int64()
    )


def words(choices: Sequence[str], seed: int) -> Column:
    return lambda rows: pa.array([choices[i] for i in ints(rows, high=len(choices), seed=seed)])


def fields(count: int, width: int, *, size: int, start: int = 0, seed: int) -> Column:
    """Return sparse MLlib vectors with one id per field; a field has `width` ids from `start`."""

    def vectors(rows: int) -> pa.Array:
        ids = start + np.arange(count) * width + ints(rows, count, high=width, seed=seed)
        values = 1 + 0.5 * floats(rows, count, seed=seed + 1)
        pairs = zip(ids.tolist(), values.tolist(), strict=True)
        return sparse_vectors(list(pairs), size)

    return vectors


def histories(most: int, *, high: int, seed: int) -> Column:
    """Return lists of positive ids, filled up with id 0; the first row has a single id."""

    def lists(rows: int) -> pa.Array:
        lengths = random(seed).integers(1, most + 1, rows)
        lengths[:1] = 1
        seen = ints(rows, most, low=1, high=high, seed=seed + 1)
        return arrow(np.where(np.arange(most) < lengths[:, None], seen, 0), pa.int64())

    return lists


def table_of(**columns: Column) -> Callable[[int], pa.Table]:
    return lambda rows: pa.table({name: make(rows) for name, make in columns.items()})


def users_of(user_id: Column | None = None, **columns: Column) -> Callable[[int], pa.Table]:
    return table_of(user_id=user_id or int_ids(pa.int64()), **columns)


def items_of(item_id: Column | None = None, **columns: Column) -> Callable[[int], pa.Table]:
    return table_of(item_id=item_id or int_ids(pa.int64()), **columns)


def by_side(
    users: Mapping[str, Any],
    items: Mapping[str, Any],
    *,
    upright: Sequence[str] = (),
    **constants: Any,
) -> PairFeeds:
    """Return the feeds of inputs named like their columns: column to dtype, on either side.

    `upright` names the ``[None, 1]`` inputs of columns of scalars. A constant is fed as it is, or
    repeated for every pair where it is an array of one row.
    """

    def feeds(user_rows: pa.Table, item_rows: pa.Table) -> Feeds:
        fed = {name: read(user_rows, name, dtype) for name, dtype in users.items()}
        fed |= {name: read(item_rows, name, dtype) for name, dtype in items.items()}
        fed |= {name: fed[name][:, None] for name in upright}
        return {**fed, **_spread(constants, item_rows.num_rows)}

    return feeds


def _spread(constants: Mapping[str, Any], rows: int) -> Feeds:
    return {
        name: value if value.ndim == 0 else np.repeat(value, rows, axis=0)
        for name, value in constants.items()
    }


def pairs_beside(ids: str, values: str, *columns: Sequence[str], dtype: Any) -> PairFeeds:
    """Return the feeds of an id and a value input: vectors put side by side in the order given.

    A column is ("user", name) or ("item", name).
    """

    def feeds(users: pa.Table, items: pa.Table) -> Feeds:
        sides = {"user": users, "item": items}
        joined = functools.reduce(
            join_pairs, [pairs_of(sides[side], name) for side, name in columns]
        )
        return {
            ids: np.array([row_ids for row_ids, _ in joined], dtype),
            values: np.array([row_values for _, row_values in joined], np.float32),
        }

    return feeds


def joined(name: str, *columns: Sequence[str], **constants: Any) -> PairFeeds:
    """Return the feeds of a float input: numbers and lists side by side in the order given."""

    def feeds(users: pa.Table, items: pa.Table) -> Feeds:
        sides = {"user": users, "item": items}
        parts = [read(sides[side], column, np.float32) for side, column in columns]
        parts = [part.reshape(len(part), -1) for part in parts]
        return {name: np.concatenate(parts, axis=1), **constants}

    return feeds
