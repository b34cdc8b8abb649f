"""An archive of the classes that Spark loads, which halves the CPU time that a JVM starts with.

``python class_archive.py FILE`` writes one, and `make unit` calls it. A JVM of another release or
with another class path ignores the archive.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

# JVMs of tests live for seconds, in which the optimizing compiler costs more than it saves.
_QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def java_options() -> str:
    """Return the options of the JVMs that tests start, with this environment's archive if any."""
    archive = Path(sys.prefix) / "spark.jsa"
    if not archive.exists() or archive.stat().st_size == 0:
        return _QUICK_START
    # Without a message where a JVM can't use it: tests read what programs print.
    options = f"-Xshare:auto -XX:SharedArchiveFile={archive} -Xlog:cds*=off"
    # At the address at which it was written, so that no pointer in it has to be changed.
    at_its_address = "-XX:+UnlockDiagnosticVMOptions -XX:ArchiveRelocationMode=0"
    return f"{_QUICK_START} {options} {at_its_address}"


def main(path: str) -> None:
    """Run a few small jobs, and have their JVM archive the classes that it has loaded."""
    from pyspark.sql import SparkSession

    from tf2spark.spark.java import ensure_java

    ensure_java()
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_SUBMIT_OPTS"] = (
        f"{_QUICK_START} -XX:ArchiveClassesAtExit={path} -Xlog:disable"
    )
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    with tempfile.TemporaryDirectory(prefix="tf2spark-classes-") as folder:
        run_jobs(spark, folder)
    spark.stop()
    gateway.proc.stdin.close()  # which ends the JVM
    gateway.proc.wait(120)


def run_jobs(spark: SparkSession, folder: str) -> None:
    """Do what most tests do: files, rows through Python, a shuffle, metrics."""
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    def same(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    values = [(1, 0.5, "a", [1.0]), (2, 1.5, "b", [2.0])]
    rows = spark.createDataFrame(values, "i int, x double, s string, v array<float>")
    scored = rows.repartition(2).mapInArrow(same, rows.schema)
    counted = scored.observe(Observation("rows"), F.count(F.lit(1)).alias("rows"))
    for format in ("parquet", "json"):
        counted.write.mode("overwrite").format(format).save(f"{folder}/{format}")
        counted = spark.read.format(format).load(f"{folder}/{format}").where("i > 0")
    counted.groupBy("s").agg(F.sum("x"), F.collect_list("i")).orderBy("s").toPandas()
    VectorAssembler(inputCols=["i", "x"], outputCol="features").transform(counted).collect()
    counted.createOrReplaceTempView("counted")
    spark.sql("SELECT s, max(x) FROM counted GROUP BY s").toArrow()


if __name__ == "__main__":
    main(sys.argv[1])
