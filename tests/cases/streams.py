"""Streams of Parquet files, with eight features a row, and queries that score them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

SCHEMA = "id BIGINT, features ARRAY<FLOAT>"
_WAIT_SECONDS = 120
_FIRST_TIME = 1_700_000_000


def write_files(
    folder: Path, files: int, *, rows: int = 20, first: int = 0, null_id: int | None = None
) -> Path:
    """Write Parquet files whose ids go on from file to file, starting with that of file `first`.

    The row `null_id` has no features.
    """
    folder.mkdir(exist_ok=True)
    for number in range(first, first + files):
        ids = range(number * rows, (number + 1) * rows)
        features = np.random.default_rng(number).normal(size=(rows, 8)).astype(np.float32)
        values = [
            None if id == null_id else row for id, row in zip(ids, features.tolist(), strict=True)
        ]
        columns = [pa.array(list(ids), pa.int64()), pa.array(values, pa.list_(pa.float32()))]
        # Written beside and renamed, as a running query may list the folder at any time.
        hidden = folder / f".{number:03}"
        pq.write_table(pa.table(columns, ["id", "features"]), hidden)
        # Spark takes files in the order of their times.
        os.utime(hidden, (_FIRST_TIME + number,) * 2)
        hidden.rename(folder / f"{number:03}.parquet")
    return folder


def stream_of(spark: SparkSession, folder: Path | str, **options: Any) -> DataFrame:
    """Return the files of a folder as a stream, one file a micro-batch."""
    reader = spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1)
    return reader.options(**options).parquet(str(folder))


def start(
    scored: DataFrame, folder: Path | str, output_format: str = "parquet", **options: Any
) -> StreamingQuery:
    """Start a query over all files that are there, into ``FOLDER/scored``."""
    writer = scored.writeStream.format(output_format).trigger(availableNow=True)
    writer = writer.option("checkpointLocation", f"{folder}/checkpoint").options(**options)
    return writer.start(f"{folder}/scored")


def finish(query: StreamingQuery) -> StreamingQuery:
    """Wait until a query has ended; it raises the query's error."""
    if not query.awaitTermination(_WAIT_SECONDS):
        query.stop()
        raise TimeoutError(f"the query still runs: {query.status}")
    return query
