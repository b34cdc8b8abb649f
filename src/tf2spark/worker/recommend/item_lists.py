"""Lists of item ids in a column of users, as positions in the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import define, field

from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.conversion.rows import Array, Ints, Mask
from tf2spark.plan.recommend import Restriction

_SCANS_BEFORE_SORT = 32
"""Sorting entries takes about as long as looking at all of them so often."""


@define(eq=False)
class _UsersEntries:
    """The entries of some users, which are sorted by position once many blocks ask for them.

    Otherwise each block would look at all of them, be it a million of one user; if they were sorted
    at once, short lists in a small catalog would take longer than its scores.
    """

    users: tuple[int, int]
    rows: Ints
    positions: Ints
    scans: int = 0

    def between(self, first: int, end: int) -> tuple[Ints, Ints]:
        """Return the rows, and the positions counted from `first`, of those below `end`."""
        if self.scans < _SCANS_BEFORE_SORT:
            self.scans += 1
            inside = (self.positions >= first) & (self.positions < end)
            return self.rows[inside], self.positions[inside] - first
        if self.scans == _SCANS_BEFORE_SORT:
            self.scans += 1
            order = np.argsort(self.positions)
            self.rows, self.positions = self.rows[order], self.positions[order]
        low, high = np.searchsorted(self.positions, (first, end))
        return self.rows[low:high], self.positions[low:high] - first


@define(eq=False)
class ItemLists:
    """The lists of a batch of users, one entry per id that the catalog has.

    Attributes:
        rows: [entries], the user of each entry, ascending.
        positions: [entries], the position of each entry's item.
        has_list: [users], which users have a list at all, be it an empty one.
    """

    rows: Ints
    positions: Ints
    has_list: Mask
    _block: _UsersEntries | None = field(init=False, default=None)

    def in_block(self, users: tuple[int, int], first: int, end: int) -> tuple[Ints, Ints]:
        """Return the entries of users ``users[0]`` to ``users[1] - 1``, from `first` to `end`.

        `end` is excluded. Users and positions are counted from the start of the block: they are
        rows and columns of a block of scores. Entries are in no particular order.
        """
        # Blocks of items follow each other for the same users.
        if self._block is None or self._block.users != users:
            low, high = np.searchsorted(self.rows, users)
            rows, positions = self.rows[low:high] - users[0], self.positions[low:high]
            self._block = _UsersEntries(users, rows, positions)
        return self._block.between(first, end)

    def take(self, users: Ints) -> ItemLists:
        """Return the lists of some users, which are ascending, as those of a batch of their own."""
        new_rows = np.full(len(self.has_list), -1)
        new_rows[users] = np.arange(len(users))
        rows = new_rows[self.rows]
        return ItemLists(rows[rows >= 0], self.positions[rows >= 0], self.has_list[users])


def list_reader(restriction: Restriction, ids: pa.Array) -> Callable[[pa.RecordBatch], ItemLists]:
    """Return the function that looks up the ids of a column of lists.

    Unknown ids and nulls in a list are ignored. A null list is no list.
    """
    find_positions = position_finder(ids)

    def read_lists(batch: pa.RecordBatch) -> ItemLists:
        column = batch.column(restriction.column)
        rows = np.repeat(np.arange(batch.num_rows), _list_lengths(column))
        listed = column.flatten()
        if pa.types.is_null(listed.type):  # all lists are empty, or have nulls alone
            listed = listed.cast(ids.type)
        positions = find_positions(listed)
        is_known = positions >= 0
        return ItemLists(rows[is_known], positions[is_known], _is_valid(column))

    return read_lists


def _list_lengths(column: pa.Array) -> Ints:
    """Return how many values `flatten` yields for each list: its length, 0 for a null."""
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return values_of(lengths.cast(pa.int64()))


def _is_valid(array: pa.Array) -> Mask:
    mask: Mask
    mask = values_of(array.is_valid()) if array.null_count else np.ones(len(array), np.bool_)
    return mask


def position_finder(ids: pa.Array) -> Callable[[pa.Array], Ints]:
    """Return the function from ids to their positions in `ids`, -1 for unknown ids and nulls.

    `ids` are integers, ascending, or strings.
    """
    if pa.types.is_integer(ids.type):
        known = values_of(ids)
        return lambda wanted: _search(known, wanted)
    return lambda wanted: _look_up(ids, wanted)


def _search(known: Array, wanted: pa.Array) -> Ints:
    """Look integers up among ascending ones, of any two widths."""
    values = values_of(wanted)
    if not len(known) or not len(values):
        return np.full(len(values), -1)
    # Signed and unsigned 64-bit integers have no common type. A value that the catalog's type
    # can't hold is unknown; it is replaced before the cast, which would wrap it to another id.
    fits = _is_valid(wanted) & _fits(values, known.dtype)
    values = np.where(fits, values, 0).astype(known.dtype)
    # An id above all others has the position after the last.
    positions = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(fits & (known[positions] == values), positions, -1)


def _fits(values: Array, dtype: np.dtype[Any]) -> Mask:
    target, own = np.iinfo(dtype), np.iinfo(values.dtype)
    low, high = max(target.min, own.min), min(target.max, own.max)
    mask: Mask = (values >= low) & (values <= high)
    return mask


def _look_up(ids: pa.Array, wanted: pa.Array) -> Ints:
    """Look strings up by their hash."""
    wanted = wanted.cast(ids.type)
    if len(wanted) >= len(ids) // 4:
        return _index_in(wanted, ids)
    # Finding the few in the catalog takes less than hashing a million ids for each batch.
    few = wanted.drop_null().unique()
    numbers = _index_in(ids, few)
    positions = np.full(len(few) + 1, -1)  # the last stands for nulls, whose number is -1
    positions[numbers[numbers >= 0]] = np.flatnonzero(numbers >= 0)
    return positions[_index_in(wanted, few)]


def _index_in(values: pa.Array, known: pa.Array) -> Ints:
    """Return the positions of values among known ones, -1 for others and nulls."""
    positions = pc.index_in(values, value_set=known, skip_nulls=True)
    return values_of(pc.fill_null(positions, -1)).astype(np.int64)
