"""Item ids that a user's columns name, as places in the catalog: never to return, or only these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.conversion.rows import Array
from tf2spark.plan.recommend import Restriction

Lists = tuple[Array, Array, Array]
"""Rows and places, an entry an id that the catalog has, and which rows have a list at all."""


def list_reader(restriction: Restriction, ids: pa.Array) -> Callable[[pa.RecordBatch], Lists]:
    """Return the function that looks a column's ids up in the catalog.

    Ids that the catalog hasn't, and nulls inside a list, are passed over. A null list is none.
    """
    find = position_finder(ids)

    def lists(batch: pa.RecordBatch) -> Lists:
        column = batch.column(restriction.column)
        rows = np.repeat(np.arange(batch.num_rows), _lengths(column))
        places = find(column.flatten())
        there = places >= 0
        return rows[there], places[there], _not_null(column)

    return lists


def _lengths(column: pa.Array) -> Array:
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return values_of(lengths.cast(pa.int64()))


def _not_null(column: pa.Array) -> Array:
    return np.ones(len(column), bool) if not column.null_count else values_of(column.is_valid())


def position_finder(ids: pa.Array) -> Callable[[pa.Array], Array]:
    """Return the function from ids to places, -1 where the catalog hasn't one."""
    if pa.types.is_integer(ids.type):
        known = values_of(ids)
        return lambda asked: _searched(known, asked)
    return lambda asked: _hashed(ids, asked)


def _searched(known: Array, asked: pa.Array) -> Array:
    """Look integers up in rising ones."""
    values, valid = values_of(asked), _not_null(asked)
    if not len(known) or not len(values):
        return np.full(len(values), -1)
    # Unsigned 64-bit and signed ids have no common integer type: what doesn't fit isn't there.
    fits = valid & _fits(values, known.dtype)
    wanted = np.where(fits, values, 0).astype(known.dtype)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(fits & (known[places] == wanted), places, -1)


def _fits(values: Array, kind: np.dtype[Any]) -> Array:
    info, own = np.iinfo(kind), np.iinfo(values.dtype)
    low, high = max(info.min, own.min), min(info.max, own.max)
    return (values >= low) & (values <= high)


def _hashed(ids: pa.Array, asked: pa.Array) -> Array:
    places = pc.index_in(asked.cast(ids.type), value_set=ids, skip_nulls=True)
    return values_of(pc.fill_null(places, -1)).astype(np.int64)
