"""A driver program: scores rows of some width with little memory.

Run as ``python memory_job.py MASTER MODEL TABLE [KEY=VALUE]...``. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pyspark.sql import DataFrame, SparkSession

import tf2spark
from chaos.processes import loaded_workers
from chaos.sessions import start_session
from tf2spark.errors import Tf2SparkError, from_spark


def peak_bytes() -> int:
    """Return the most memory that a worker of this job has had (proc(5): VmHWM)."""
    peaks = [0]
    for pid in loaded_workers():
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            lines = [line.split() for line in status if line.startswith("VmHWM:")]
        peaks += [int(line[1]) * 1024 for line in lines]
    return max(peaks)


def score(model: tf2spark.SavedModel, rows: DataFrame, report: dict[str, Any]) -> None:
    try:
        with from_spark():
            scored = model.score(rows, keep=["id"]).collect()
    except Tf2SparkError as error:
        report["error"] = str(error)
    else:
        report["scores"] = {row[0]: row[1] for row in scored}


def jobs(spark: SparkSession) -> int:
    return len(spark.sparkContext.statusTracker().getJobIdsForGroup(None))


def main(master: str, model: str, table: str, *settings: str) -> None:
    os.environ["TF2SPARK_TEST_DRIVER"] = str(os.getpid())  # of workers on a local master
    spark = start_session(master, dict(setting.split("=", 1) for setting in settings))
    rows, report = spark.read.parquet(table), dict[str, Any]()
    before = jobs(spark)
    score(tf2spark.SavedModel(model), rows, report)
    report |= {"jobs": jobs(spark) - before, "peak_bytes": peak_bytes()}
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
