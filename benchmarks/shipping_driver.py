"""A driver that sends a model from storage to two executors with a folder of their own each.

Run as ``python -m benchmarks.shipping_driver put SOURCE URI`` to copy a local folder to storage, or
as ``ours|peer URI FOLDER``, where FOLDER is empty and becomes the host cache. The last line is
JSON: the seconds until both executors have opened the model, and how many executors did.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tf2spark.runnable.model import RunnableModel
from tf2spark.spark.shipping import ship
from tf2spark.worker.spark_tasks import model_opener

_SCHEMA = "executor long, host string, seconds double, error string"


def session(master: str, cache: str) -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master).appName("tf2spark shipping benchmark")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "800m",
        "spark.tf2spark.cache.dir": cache,
    }.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def put(spark: Any, source: str, uri: str) -> None:
    path = spark._jvm.org.apache.hadoop.fs.Path
    target = path(uri)
    files = target.getFileSystem(spark._jsc.hadoopConfiguration())
    files.copyFromLocalFile(path(source), target)


def ours(spark: SparkSession, uri: str) -> DataFrame:
    opener = model_opener(ship(spark, RunnableModel(uri).reference()))
    return spark.range(0, 2, 1, 2).mapInArrow(opener, _SCHEMA)


def peer(spark: SparkSession, uri: str) -> DataFrame:
    """The usual recipe: `addFile` of the folder, and TensorFlow's Python package."""
    spark.sparkContext.addFile(uri, recursive=True)
    name = uri.rpartition("/")[2]

    def load(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as pa
        import tensorflow as tf
        from pyspark import SparkFiles

        for _ in batches:
            tf.saved_model.load(SparkFiles.get(name))
            answer = {"executor": [os.getppid()], "host": [""], "seconds": [0.0], "error": [""]}
            yield pa.RecordBatch.from_pydict(answer)

    return spark.range(0, 2, 1, 2).mapInArrow(load, _SCHEMA)


def main(command: str, first: str, second: str) -> None:
    if command == "put":
        put(session("local[1]", "")._sc, first, second)
        return
    spark = session("local-cluster[2,1,1024]", second)
    spark.range(0, 2, 1, 2).mapInArrow(lambda batches: batches, "id long").collect()
    started = time.perf_counter()
    rows = {"ours": ours, "peer": peer}[command](spark, first).collect()
    seconds = time.perf_counter() - started
    assert not any(row.error for row in rows), rows
    print(json.dumps({"seconds": seconds, "executors": len({row.executor for row in rows})}))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
