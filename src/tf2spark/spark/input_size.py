"""How much a table's query reads, as far as Spark knows before it runs."""

from __future__ import annotations

from attrs import frozen
from pyspark.sql import DataFrame

from tf2spark.errors import SetupError
from tf2spark.saved_model.contract_text import size_text
from tf2spark.spark.jvm.access import JavaError, scala_items
from tf2spark.spark.jvm.queries import input_file_count, query_execution

# What Spark assumes of a relation whose size it doesn't know, and above.
_UNKNOWN_BYTES = 1 << 62
# Plans are no interface, and Spark Connect has none.
_NO_PLAN = (SetupError, JavaError, AttributeError, TypeError)


@frozen
class InputSize:
    """How many files and bytes a query reads; None for what isn't known.

    Attributes:
        files: The number of files, after partitions are pruned.
        size_bytes: What Spark's planner assumes of all relations together.
    """

    files: int | None = None
    size_bytes: int | None = None

    def __str__(self) -> str:
        parts = []
        if self.files is not None:
            parts.append(f"{self.files:,} file{'' if self.files == 1 else 's'}")
        if self.size_bytes is not None:
            parts.append(f"about {size_text(self.size_bytes)}")
        return ", ".join(parts) or "size unknown"


def input_size(table: DataFrame) -> InputSize:
    """Return what a table's query reads, without running it."""
    try:
        files = input_file_count(table)
    except _NO_PLAN:
        return InputSize()
    return InputSize(files or None, input_bytes(table))


def input_bytes(table: DataFrame) -> int | None:
    """Return what Spark's planner assumes of all relations of a query together, before it runs.

    None where that isn't known.
    """
    try:
        leaves = scala_items(query_execution(table).optimizedPlan().collectLeaves())
        # Through text, which py4j's Python number and a Scala BigInt both have.
        size = sum(int(str(leaf.stats().sizeInBytes())) for leaf in leaves)
    except _NO_PLAN:
        return None
    return size if 0 < size < _UNKNOWN_BYTES else None
