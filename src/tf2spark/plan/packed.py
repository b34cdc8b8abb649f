"""Columns that travel from Spark's JVM to a worker as the blocks of bytes that Spark holds.

A packed column travels as two. The first has a row's block, null where the row is null. The second
has lists of the column's own type: empty ones, but for rows that can't be packed, which it has.
"""

from __future__ import annotations

PARTS = 2
"""How many columns a packed one travels as."""

Transport = tuple[bool, ...]
"""Which columns of a table travel packed, in the table's order."""


def count_parts(transport: Transport) -> int:
    """Return how many columns a table travels as."""
    return sum(PARTS if packed else 1 for packed in transport)
