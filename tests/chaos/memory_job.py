"""A driver program: scores rows of some width with little memory.

Run as ``python memory_job.py MASTER MODEL TABLE [KEY=VALUE]...``. With ``seconds=N`` among them,
rows are scored again and again for so long, until that fails. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from pyspark.sql import DataFrame, SparkSession

import tf2spark
from chaos.processes import executor_jvms, loaded_workers, peak_bytes
from chaos.sessions import start_session
from tf2spark.errors import Tf2SparkError, from_spark
from tf2spark.spark.jvm.access import JOB_ERRORS


def score(
    model: tf2spark.SavedModel, rows: DataFrame, report: dict[str, Any], seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    try:
        with from_spark():
            scored = model.score(rows, keep=["id"])
            report["scores"] = {row[0]: row[1] for row in scored.collect()}
            while time.monotonic() < deadline:
                scored.collect()
    except (Tf2SparkError, *JOB_ERRORS) as error:
        report["error"] = str(error)


def jobs(spark: SparkSession) -> int:
    return len(spark.sparkContext.statusTracker().getJobIdsForGroup(None))


def main(master: str, model: str, table: str, *settings: str) -> None:
    os.environ["TF2SPARK_TEST_DRIVER"] = str(os.getpid())  # of workers on a local master
    given = dict(setting.split("=", 1) for setting in settings)
    seconds = float(given.pop("seconds", 0))
    spark = start_session(master, given)
    rows, report = spark.read.parquet(table), dict[str, Any]()
    before = jobs(spark)
    score(tf2spark.SavedModel(model), rows, report, seconds)
    report |= {
        "jobs": jobs(spark) - before,
        "peak_bytes": peak_bytes(loaded_workers()),
        "jvm_bytes": peak_bytes(executor_jvms()),
    }
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
