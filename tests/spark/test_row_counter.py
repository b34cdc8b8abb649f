"""`spark.row_counter`: rows are counted by the job that uses them."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tf2spark.spark.row_counter import RowCounter


def test_rows_are_counted_in_the_one_action(spark: SparkSession) -> None:
    """All rows, and those where a column is not null; its name may have dots and backquotes."""
    table = spark.range(10).select(F.when(F.col("id") < 7, F.col("id")).alias("a.b`c"))
    counter = RowCounter.of(table, "a.b`c")
    assert len(counter.table.collect()) == 10
    assert (counter.rows(), counter.not_null()) == (10, 7)


def test_no_column_is_needed(spark: SparkSession) -> None:
    """Rows are counted in a table without rows, too."""
    counter = RowCounter.of(spark.range(0))
    assert counter.table.collect() == []
    assert counter.rows() == 0
