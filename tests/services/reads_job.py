"""A driver program: two executors with two slots each score with a package on remote storage.

Run as ``python reads_job.py MASTER PACKAGE [KEY=VALUE ...]``; the last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import sys

from pyspark.sql import functions as F

import tf2spark
from services.shipping_job import parse_settings, start_session
from tf2spark.spark.jvm.status import executor_count


def main(master: str, package: str, *settings: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    cores = {"spark.cores.max": "4", "spark.executor.cores": "2", "spark.locality.wait": "0"}
    spark = start_session(master, cores | parse_settings(settings))
    frame = spark.range(0, 64, 1, 16).select(F.array(*[F.col("id")] * 4).alias("ids"))
    scored = tf2spark.SavedModel(package).score(frame).count()
    executors = executor_count(spark)
    spark.stop()
    print(json.dumps({"scored": scored, "executors": executors}))


if __name__ == "__main__":
    main(*sys.argv[1:])
