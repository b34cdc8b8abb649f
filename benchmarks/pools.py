"""The Spark session of a run, and a pool of Python workers per contender."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.worker_probes import report_memory

_POOL = "TF2SPARK_BENCHMARK_POOL"
_ROOT = Path(__file__).resolve().parent.parent


def start_session(cores: int, conf: Mapping[str, str] | None = None) -> SparkSession:
    """Start the session that all contenders share, with more settings if there are any."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    paths = [str(_ROOT / "src"), str(_ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    builder = SparkSession.builder.master(f"local[{cores}]").appName("tf2spark benchmarks")
    for name, value in {
        "spark.driver.memory": "6g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.pyspark.udf.faulthandler.enabled": "true",
        "spark.task.maxFailures": "1",
        "spark.sql.session.timeZone": "UTC",
        **(conf or {}),
    }.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


@contextmanager
def pool(spark: SparkSession, name: str) -> Iterator[None]:
    """Give the Python functions that are made inside the block workers of their own.

    Spark reuses a Python worker only for functions with the same environment, so a variable in
    it separates contenders: none runs in a process where another one has imported TensorFlow.
    """
    environment = spark.sparkContext.environment
    before = environment.get(_POOL)
    environment[_POOL] = name
    try:
        yield
    finally:
        environment.pop(_POOL)
        if before is not None:
            environment[_POOL] = before


def worker_memory(spark: SparkSession, name: str) -> list[dict[str, Any]]:
    """Measure the memory of a pool's idle workers.

    Returns:
        For each worker its `pid`, `private_bytes` (USS, from smaps_rollup), `shared_bytes`,
        `written_bytes` (pages that belong to no file), whether TensorFlow's library is mapped
        (`tensorflow_mapped`), and which Python packages it has imported (`tensorflow_imported`,
        `pandas_imported`).
    """
    cores = spark.sparkContext.defaultParallelism
    with pool(spark, name):
        rows = spark.range(cores, numPartitions=cores).mapInArrow(
            report_memory,
            "pid long, private_bytes long, shared_bytes long, written_bytes long, "
            "tensorflow_mapped boolean, tensorflow_imported boolean, pandas_imported boolean",
        )
        by_pid = {row["pid"]: row.asDict() for row in rows.collect()}
    return list(by_pid.values())
