"""Where a command writes its rows, and what becomes of the rows that are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import evolve, field, frozen

SaveMode = Literal["error", "overwrite", "append", "overwrite_partitions"]
"""What happens to rows that are at the output already: the run is refused, or they are replaced,
kept, or replaced in those partitions that the run writes."""


@frozen
class Target:
    """A table to write: files at a path, or a table of the catalog.

    Attributes:
        path: Where the files go; None for a table of the catalog.
        table: The name of a table in the catalog; None for files.
        format: The format; None for the default, or the one that the table has.
        options: Options of Spark's writer.
        mode: What happens to the rows that are there.
        partition_by: The columns whose values become folders, in their order.
        files: The number of files, per partition if there are any; None for one per task.
    """

    path: str | None = None
    table: str | None = None
    format: str | None = None
    options: Mapping[str, str] = field(factory=dict)
    mode: SaveMode = "error"
    partition_by: tuple[str, ...] = ()
    files: int | None = None

    @property
    def name(self) -> str:
        """The path or the table, as messages name it."""
        return self.path or self.table or ""

    @property
    def option(self) -> str:
        """The option of the command line that names it."""
        return "--output" if self.table is None else "--output-table"

    @property
    def path_format(self) -> str:
        """The format of files at a path."""
        return self.format or "parquet"

    def at(self, path: str, format: str) -> Target:
        """Return the same target as files at a path."""
        return evolve(self, path=path, table=None, format=format)
