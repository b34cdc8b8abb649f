"""Small tables whose Parquet files the driver reads itself, without a job.

A job takes 0.1 to 0.3 s, however few rows it reads: Spark generates code, starts tasks and turns
rows into Arrow. A plan and a file take 0.04 s. The rows are those that workers would read of such a
table (`parquet_scan`), in the order of Spark's partitions.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from tf2spark.errors import Tf2SparkError
from tf2spark.spark.input_size import input_bytes
from tf2spark.spark.jvm.access import JOB_ERRORS
from tf2spark.spark.jvm.queries import input_file_count
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.parquet_scan import check_tasks, plan_scan
from tf2spark.worker.reading.parquet_reader import ParquetTask, read_batches

# The driver opens files one after the other, and asks the JVM about each part of each. Files far
# away take some 0.03 s each.
_MOST_FILES, _MOST_BYTES = 16, 256 << 20
# What a file's few bytes may become: Spark limits what a job brings back, and this is less.
_MOST_ROW_BYTES = 256 << 20
# As few rows are decoded at once as there are in a run of a model.
_RUN_ROWS = 64
# As in PySpark's `toArrow`. Of PySpark 3.5, which lacks it, timestamps have the session's zone.
_ZONE = "UTC"


def read_on_driver(df: DataFrame, rows: int) -> pa.Table | None:
    """Return the first rows of a table, as Spark would send them; None where Spark has to.

    It has to where the table is more than a scan of few files, where the rows are long, and where a
    file can't be read from here or doesn't fit: then its error is the one to show.

    Args:
        df: The table, with just the columns that are needed.
        rows: How many rows to return at most.
    """
    try:
        # A query that was planned before has the files of that time.
        fresh = df.select("*")
        if not _is_small(fresh):
            return None
        batches = list(_first_batches(fresh, rows))
    except (NotReadable, Tf2SparkError, pa.ArrowException, OSError, *JOB_ERRORS):
        return None
    if not batches:
        return None  # Spark knows the types of no rows
    return pa.Table.from_batches(batches).rename_columns(df.columns).slice(0, rows)


def _is_small(df: DataFrame) -> bool:
    size = input_bytes(df)
    return size is not None and size <= _MOST_BYTES and 0 < input_file_count(df) <= _MOST_FILES


def _first_batches(df: DataFrame, rows: int) -> Iterator[pa.RecordBatch]:
    # Only the files that are read are opened.
    zone, size_bytes = _ZONE if hasattr(df, "toArrow") else None, 0
    for task in plan_scan(df, _RUN_ROWS, verify=False, zone=zone).tasks:
        for batch in _checked_batches(df, task):
            size_bytes += batch.nbytes
            if size_bytes > _MOST_ROW_BYTES:
                raise NotReadable("its rows take much memory")
            yield batch
            rows -= batch.num_rows
            if rows <= 0:
                return


def _checked_batches(df: DataFrame, task: ParquetTask) -> Iterator[pa.RecordBatch]:
    check_tasks(df.sparkSession, [task])
    yield from read_batches(task)
