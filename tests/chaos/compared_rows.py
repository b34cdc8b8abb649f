"""Rows of a job with a fault, compared by key and bits with those of a job without."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from attrs import frozen


@frozen
class Difference:
    """How two tables of the same job differ, in rows."""

    lost: int
    doubled: int
    changed: int

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.changed)


def bits_by_key(table: pa.Table, key: str) -> dict[object, str]:
    """Return each row as text that tells all values of floats apart, by its key.

    ``repr`` of a float gives back the same bits.
    """
    return {row[key]: repr(sorted(row.items())) for row in table.to_pylist()}


def difference(got: pa.Table, want: pa.Table, key: str) -> Difference:
    """Compare two tables whose rows have a unique key in the second one."""
    keys = Counter(got.column(key).to_pylist())
    rows, expected = bits_by_key(got, key), bits_by_key(want, key)
    assert len(expected) == want.num_rows
    return Difference(
        lost=len(expected.keys() - rows.keys()),
        doubled=sum(keys.values()) - len(keys) + len(rows.keys() - expected.keys()),
        changed=sum(rows[each] != expected[each] for each in rows.keys() & expected.keys()),
    )
