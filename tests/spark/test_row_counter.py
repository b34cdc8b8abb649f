"""`spark.row_counter`: rows are counted by the job that uses them."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tf2spark.spark.row_counter import RowCounter


def test_rows_are_counted_in_the_one_action(spark: SparkSession) -> None:
    """All rows, and those that have a reason; its column's name may have dots and backquotes."""
    table = spark.range(10).select(F.when(F.col("id") < 7, F.col("id")).alias("a.b`c"))
    counter = RowCounter.of(table, "tf2spark.written", model="sha256:12", refused="a.b`c")
    assert len(counter.table.collect()) == 10
    assert (counter.rows(), counter.refused()) == (10, 7)


def test_listeners_get_the_counts_and_the_model(spark: SparkSession) -> None:
    """A query's observed metrics have them by name."""
    counter = RowCounter.of(spark.range(3), "tf2spark.written", model="sha256:12")
    query = counter.table._jdf.queryExecution()
    counter.table._jdf.collectToPython()
    assert "tf2spark.written" in query.analyzed().toString()
    metrics = query.observedMetrics().apply("tf2spark.written")
    assert metrics.toString() == "[3,0,sha256:12]"


def test_no_column_is_needed(spark: SparkSession) -> None:
    """Rows are counted in a table without rows, too."""
    counter = RowCounter.of(spark.range(0), "tf2spark.read", model="sha256:12")
    assert counter.table.collect() == []
    assert (counter.rows(), counter.refused()) == (0, 0)
