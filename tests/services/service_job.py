"""A driver program: tries a service with a small table, and prints what it saw.

Run as ``python service_job.py table FOLDER SETTINGS`` or ``python service_job.py map-in-arrow
SETTINGS``; SETTINGS is JSON of Spark's settings. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

_ROWS = 1000


def session(settings: str) -> SparkSession:
    builder = (
        SparkSession.builder.master("local[2]")
        .appName("tf2spark service test")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
    )
    return builder.config(map=json.loads(settings)).getOrCreate()


def table(folder: str, settings: str) -> dict[str, Any]:
    """Write a table twice, the second time over the first, and read it back."""
    spark = session(settings)
    path = f"{folder}/table.parquet"
    frame = spark.range(0, _ROWS, 1, 2).withColumn("text", F.col("id").cast("string"))
    frame.limit(1).write.parquet(path)
    frame.write.mode("overwrite").parquet(path)
    read = spark.read.parquet(path)
    rows = sorted((row.id, row.text) for row in read.collect())
    files = len(read.inputFiles())
    spark.stop()
    return {"same": rows == [(n, str(n)) for n in range(_ROWS)], "files": files}


def map_in_arrow(settings: str) -> dict[str, Any]:
    """Let Python workers double a number, and say of which processes and containers they were."""

    def doubled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            twice = [2 * one for one in batch["id"].to_pylist()]
            container = [os.environ.get("CONTAINER_ID", "")] * len(twice)
            yield pa.RecordBatch.from_pydict({"n": twice, "container": container})

    spark = session(settings)
    mapped = spark.range(0, _ROWS, 1, 2).mapInArrow(doubled, "n long, container string")
    rows, master = mapped.collect(), spark.sparkContext.master
    spark.stop()
    return {
        "master": master,
        "sum": sum(row.n for row in rows),
        "containers": sorted({row.container for row in rows}),
    }


def main(what: str, *arguments: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    seen = table(*arguments) if what == "table" else map_in_arrow(*arguments)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
