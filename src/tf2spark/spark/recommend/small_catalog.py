"""Catalogs that are small enough for the driver, which reads them once and computes them itself.

It reads files itself where it can, and otherwise by a job.

Each Spark job takes some 0.1 s to plan and to start, and seconds where its Python workers are new.
A catalog of a few thousand items takes less than that to compute.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pyarrow as pa
from attrs import frozen
from pyspark.sql import DataFrame

from tf2spark.recommend.tables import SAMPLED_ROWS
from tf2spark.spark.input_size import input_bytes
from tf2spark.spark.jvm.catalyst import limit_partitions
from tf2spark.spark.recommend.background import (
    collect,
    collect_first,
    if_possible,
    in_background,
)
from tf2spark.spark.scan.driver_read import read_on_driver

MAX_ITEMS = 20_000
"""The most items that the driver reads for itself."""
_MAX_INPUT_BYTES = 8 << 20
"""How much a query may read for which one job takes the place of a sample, a count and a look."""
_MAX_BYTES = 16 << 20
"""How much memory the items may take, by a sample of them."""


@frozen(eq=False)
class BegunItems:
    """What is being read of the items; each function waits for its part.

    Attributes:
        first: Returns the first `SAMPLED_ROWS` items.
        count: Returns the number of items.
        all: Returns all items; None where that might be too much for the driver.
    """

    first: Callable[[], pa.Table]
    count: Callable[[], int]
    all: Callable[[], pa.Table | None]


def begin_reading(items: DataFrame) -> BegunItems:
    """Begin to read the items, with as few jobs as their size allows."""
    begun = in_background(items.sparkSession, partial(_begin, items))
    return BegunItems(lambda: begun().first(), lambda: begun().count(), lambda: begun().all())


def _begin(items: DataFrame) -> BegunItems:
    """Read a small input at once; of another, begin to read the parts."""
    begin = partial(in_background, items.sparkSession)
    table = _read_at_once(items)
    if table is None:
        first, count = begin(partial(collect_first, items, SAMPLED_ROWS)), begin(items.count)
        return BegunItems(first, count, begin(lambda: _read_if_small(items, count(), first())))
    is_all = table.num_rows <= MAX_ITEMS
    return BegunItems(
        lambda: table.slice(0, SAMPLED_ROWS),
        (lambda: int(table.num_rows)) if is_all else begin(items.count),
        lambda: table if is_all else None,
    )


def _read_at_once(items: DataFrame) -> pa.Table | None:
    """Return the items, or so many that they are too many for the driver.

    None where the items' query may read a lot, or Spark can't do it in this way.
    """
    size = input_bytes(items)
    if size is None or size > _MAX_INPUT_BYTES:
        return None
    if (read := read_on_driver(items, MAX_ITEMS + 1)) is not None:
        return read
    # However many items a small input makes, each task stops at the limit.
    return if_possible(lambda: collect(limit_partitions(items, MAX_ITEMS + 1)))


def _read_if_small(items: DataFrame, rows: int, first: pa.Table) -> pa.Table | None:
    if rows > MAX_ITEMS:
        return None
    if rows == first.num_rows:
        return first
    if rows * first.nbytes > _MAX_BYTES * max(1, first.num_rows):
        return None
    return if_possible(lambda: collect(items))
