"""A driver program: scores a stream on Spark Connect, and prints what became of it.

Run as ``python connect_stream_job.py MODEL SOURCE FOLDER``, in a process of its own, because one
with a SparkContext can't be a client of Connect. The server runs on this machine, with this Python.
The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.streams import SCHEMA, finish, start, stream_of
from tf2spark import errors


def bits_by_id(table: DataFrame) -> list[list[int]]:
    """Return the rows by id, with the bits of their scores."""
    rows: pa.Table = table.select("id", "output_0").toArrow().sort_by("id")
    bits = rows["output_0"].to_numpy().astype(np.float32).view(np.int32)
    return [list(row) for row in zip(rows["id"].to_pylist(), bits.tolist(), strict=True)]


def by_stream(
    spark: SparkSession, scored: DataFrame, folder: Path
) -> tuple[list[list[int]], list[int]]:
    """Return the rows that a query writes, and how many Spark has observed in each micro-batch."""
    query = finish(start(scored.observe("scored", F.count("*").alias("rows")), folder))
    # Connect's client has the values and the schema of a metric, and no field of its name.
    metrics = (progress["observedMetrics"]["scored"] for progress in query.recentProgress)
    return bits_by_id(spark.read.parquet(f"{folder}/scored")), [
        each["values"][0] for each in metrics
    ]


def by_function(
    spark: SparkSession, stream: DataFrame, model: tf2spark.SavedModel, folder: Path
) -> list[list[int]]:
    """Return the rows that a function writes, which scores each micro-batch."""

    def score_batch(batch: DataFrame, number: int) -> None:
        model.score(batch).write.mode("overwrite").parquet(f"{folder}/scored/batch={number}")

    writer = stream.writeStream.foreachBatch(score_batch).trigger(availableNow=True)
    finish(writer.option("checkpointLocation", f"{folder}/checkpoint").start())
    return bits_by_id(spark.read.parquet(f"{folder}/scored"))


def message_without_the_model(stream: DataFrame, model_path: str, folder: Path) -> str:
    """Return what a query says whose model isn't at its path any more."""
    moved = Path(shutil.copytree(model_path, folder / "model"))
    (moved / "assets.extra").mkdir(exist_ok=True)
    (moved / "assets.extra" / "note").write_text("so that no host has its files")
    scored = tf2spark.SavedModel(moved).score(stream, keep=["id"])
    moved.rename(moved.with_name("moved"))
    try:
        finish(start(scored, folder))
    except PySparkException as error:
        own = errors.from_text(str(error))
        return f"{type(own).__name__}: {own}"
    return "scored"


def main(model_path: str, source: str, folder: str) -> None:
    spark = SparkSession.builder.remote("local[2]").getOrCreate()
    model, work = tf2spark.SavedModel(model_path), Path(folder)
    table, stream = spark.read.schema(SCHEMA).parquet(source), stream_of(spark, source)
    streamed, observed = by_stream(spark, model.score(stream, keep=["id"]), work / "stream")
    report: dict[str, Any] = {
        "session": type(spark).__module__,
        "table": bits_by_id(model.score(table, keep=["id"])),
        "stream": streamed,
        "observed": observed,
        "foreach_batch": by_function(spark, stream, model, work / "function"),
        "without_the_model": message_without_the_model(stream, model_path, work / "gone"),
    }
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
