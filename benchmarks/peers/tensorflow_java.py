"""TensorFlow Java in the executors' JVM: the usual recipe for scoring from Scala or Java.

`addFile` sends the model, a `SavedModelBundle` per JVM loads it, `mapPartitions` makes tensors from
the rows, and each is closed in a `finally`. The Java code is in the folder of the same name. Rows
never pass through Arrow or Python.

It runs with its best settings. Rows are beans, whose arrays Spark copies faster than a `Row`'s (1.7
core-seconds per million dense rows; 2.3 as `Row`). From 1,024 to 16,384 rows per run there was no
difference beyond noise; one row per run took more than 30 times the CPU time. Sessions with one
thread saved no CPU time and took longer, so TensorFlow chooses the number of threads.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from benchmarks.data import with_groups
from benchmarks.java_build import class_path
from benchmarks.peer_server import serve
from benchmarks.peers.session_job import SessionJob, best_items, scored_rows
from benchmarks.pools import start_session
from benchmarks.remote_stores import s3a_jars

_JAVA = Path(__file__).with_suffix("")


def make(
    model: str,
    folder: str,
    kind: str,
    *,
    table: str = "",
    users: str = "",
    items: str = "",
    k: int = 10,
    cores: int = 2,
    batch_rows: int = 4096,
    intra_op: int = 0,
    inter_op: int = 0,
    conf: Mapping[str, str] | None = None,
    joined: bool = False,
    **_: Any,
) -> SessionJob:
    """Score a table, or recommend items to a table of users.

    Args:
        model: The SavedModel.
        folder: The benchmark's folder, where jars and classes are kept.
        kind: "dense", "sparse" or "recommend".
        table: The table to score: `id` and `features`.
        users: The users: `user_id` and `features`.
        items: The items: `item_id` and `features`.
        k: Recommendations per user.
        cores: Concurrent tasks.
        batch_rows: Rows per run.
        intra_op: The session's threads per op; 0 for TensorFlow's default.
        inter_op: The session's threads between ops, likewise.
        conf: Hadoop's settings, where the table is on S3.
        joined: Join the table with groups first: see `data.with_groups`.
    """
    spark = _session(Path(folder), cores, conf or {})
    spark.sparkContext.addFile(model, recursive=True)
    assert spark._jvm is not None
    java: Any = spark._jvm.peer
    model_and_threads = (Path(model).name, java.Threads(intra_op, inter_op))

    def prepare(rows: DataFrame) -> DataFrame:
        return with_groups(spark, rows) if joined else rows

    def dense() -> DataFrame:
        rows = prepare(spark.read.parquet(table))
        return DataFrame(java.Rows.dense(rows._jdf, *model_and_threads, batch_rows), spark)

    def sparse() -> DataFrame:
        rows = prepare(_vectors(spark, "id", table))
        return DataFrame(java.Rows.sparse(rows._jdf, *model_and_threads, batch_rows), spark)

    def recommend() -> DataFrame:
        sides = _vectors(spark, "user_id", users), _vectors(spark, "item_id", items)
        jdfs = [side._jdf for side in sides]
        return DataFrame(java.Recommend.best(*jdfs, *model_and_threads, k), spark)

    arrays = _best if kind == "recommend" else scored_rows
    return SessionJob({"dense": dense, "sparse": sparse, "recommend": recommend}[kind], arrays)


def _best(table: DataFrame) -> dict[str, Any]:
    return best_items(table.select("user_id", F.inline("recommendations")))


def _session(folder: Path, cores: int, hadoop_conf: Mapping[str, str]) -> SparkSession:
    """Start a session like that of the other contenders, with Kryo and the peer's class path."""
    conf = {
        "spark.driver.extraClassPath": os.pathsep.join(class_path(_JAVA, folder)),
        "spark.driver.extraJavaOptions": f"-Dorg.bytedeco.javacpp.cachedir={folder}/java/natives",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    }
    conf |= {f"spark.hadoop.{name}": value for name, value in hadoop_conf.items()}
    if hadoop_conf:
        conf["spark.jars"] = s3a_jars()
    options = [word for setting in conf.items() for word in ("--conf", "=".join(setting))]
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join([*options, "pyspark-shell"])
    return start_session(cores)


def _vectors(spark: SparkSession, key: str, path: str) -> DataFrame:
    schema = StructType([StructField(key, LongType()), StructField("features", VectorUDT())])
    return spark.read.schema(schema).parquet(path)


if __name__ == "__main__":
    serve(make)
