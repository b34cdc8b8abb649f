"""Columns that travel from Spark's JVM to a worker as blocks of the bytes that Spark holds.

A block is a row's packed columns, as one of Spark's ``UnsafeRow`` structs. A table of which columns
are packed travels as the others, in their order, then the blocks, and then, where blocks may be too
long for a batch, the rest: lists of structs of the packed columns, empty for rows with a block.
"""

from __future__ import annotations

import pyarrow as pa
from attrs import frozen


@frozen
class Packing:
    """How a table's columns travel.

    Attributes:
        packed: Which columns are in the blocks, by their positions in the table.
        others: Which columns travel as they are. A column is in one of the two.
        block_type: The packed columns' Arrow types, as the fields of a struct.
        has_rest: Whether the rest travels, because a batch of blocks might be too long.
    """

    packed: tuple[int, ...]
    others: tuple[int, ...]
    block_type: pa.StructType
    has_rest: bool

    @property
    def part_count(self) -> int:
        """How many columns the table travels as."""
        return len(self.others) + 1 + self.has_rest
