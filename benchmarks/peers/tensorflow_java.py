"""TensorFlow Java in the executors' JVM: the recipe of those who score from Scala or Java.

`addFile` sends the model, a `SavedModelBundle` a JVM loads it, `mapPartitions` makes tensors of the
rows, and each is closed in a `finally`; the Java is beside this file. Neither Arrow nor Python
comes near the rows.

It is given its best. Rows come as beans, whose arrays Spark copies faster than a `Row`'s (1.7
core-seconds a million dense rows, 2.3 as `Row`). From 1,024 to 16,384 rows a run there was no
difference beyond noise; one row a run took over 30 times the CPU time. Sessions of one thread saved
no CPU time and were slower by the clock, so TensorFlow chooses.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from benchmarks.java_build import class_path
from benchmarks.peers.own_session import SessionJob, best_items, scored_rows
from benchmarks.pools import start_session
from benchmarks.served import serve

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
    **_: Any,
) -> SessionJob:
    """Score a table, or recommend items to a table of users.

    Args:
        model: The SavedModel.
        folder: The benchmark's folder, where jars and classes are kept.
        kind: "dense", "sparse" or "recommend".
        table: What is scored: `id` and `features`.
        users: To whom is recommended: `user_id` and `features`.
        items: What is recommended: `item_id` and `features`.
        k: How many are recommended.
        cores: Tasks at once.
        batch_rows: Rows a run.
        intra_op: The session's threads in an op; 0 is TensorFlow's own choice.
        inter_op: The session's threads between ops, likewise.
    """
    spark = _session(Path(folder), cores)
    spark.sparkContext.addFile(model, recursive=True)
    assert spark._jvm is not None
    java: Any = spark._jvm.peer
    how = (Path(model).name, java.Threads(intra_op, inter_op))

    def dense() -> DataFrame:
        rows = spark.read.parquet(table)
        return DataFrame(java.Rows.dense(rows._jdf, *how, batch_rows), spark)

    def sparse() -> DataFrame:
        rows = _vectors(spark, "id", table)
        return DataFrame(java.Rows.sparse(rows._jdf, *how, batch_rows), spark)

    def recommend() -> DataFrame:
        sides = _vectors(spark, "user_id", users), _vectors(spark, "item_id", items)
        return DataFrame(java.Recommend.best(*[one._jdf for one in sides], *how, k), spark)

    arrays = _best if kind == "recommend" else scored_rows
    return SessionJob({"dense": dense, "sparse": sparse, "recommend": recommend}[kind], arrays)


def _best(table: DataFrame) -> dict[str, Any]:
    return best_items(table.select("user_id", F.inline("recommendations")))


def _session(folder: Path, cores: int) -> SparkSession:
    """Start the session of all contenders, with Kryo and with the peer on its class path."""
    conf = {
        "spark.driver.extraClassPath": os.pathsep.join(class_path(_JAVA, folder)),
        "spark.driver.extraJavaOptions": f"-Dorg.bytedeco.javacpp.cachedir={folder}/java/natives",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    }
    words = [word for pair in conf.items() for word in ("--conf", "=".join(pair))]
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join([*words, "pyspark-shell"])
    return start_session(cores)


def _vectors(spark: SparkSession, key: str, path: str) -> DataFrame:
    schema = StructType([StructField(key, LongType()), StructField("features", VectorUDT())])
    return spark.read.schema(schema).parquet(path)


if __name__ == "__main__":
    serve(make)
