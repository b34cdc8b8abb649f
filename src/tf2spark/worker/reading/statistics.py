"""What a Parquet file's footer says about the values of a row group."""

from __future__ import annotations

from typing import Any

from attrs import frozen


@frozen
class Statistics:
    """The statistics of one column of a row group.

    Attributes:
        values: How many values it has, nulls included.
        nulls: How many of them are null; None where that is unknown.
        minimum: The smallest, as the number that is stored; None where that is unknown.
        maximum: The largest. NaN, which most writers leave out, is not counted.
    """

    values: int
    nulls: int | None = None
    minimum: float | None = None
    maximum: float | None = None


def leaf_statistics(group: Any, path: str) -> Statistics | None:
    """Return the statistics of a row group's column of numbers; None where there are none.

    Args:
        group: A `RowGroupMetaData`.
        path: The column's path in the file: "a.list.element".
    """
    chunks = [
        chunk
        for chunk in (group.column(index) for index in range(group.num_columns))
        if chunk.path_in_schema == path
    ]
    # A name with dots may be the path of another column.
    if len(chunks) != 1 or not chunks[0].is_stats_set:
        return None
    found = chunks[0].statistics
    if found is None:
        return None
    nulls = found.null_count if found.has_null_count else None
    minimum = maximum = None
    if found.has_min_max and chunks[0].physical_type in ("INT32", "INT64", "FLOAT", "DOUBLE"):
        minimum, maximum = found.min_raw, found.max_raw
        if minimum != minimum or maximum != maximum:
            minimum = maximum = None
    return Statistics(chunks[0].num_values, nulls, minimum, maximum)
