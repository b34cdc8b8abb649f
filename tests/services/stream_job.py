"""A driver program: scores a stream of Parquet files, one a micro-batch, until it is killed.

Run as ``python stream_job.py MODEL SOURCE FOLDER``. A test starts the same query again.
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession

import tf2spark
from cases.streams import finish, start, stream_of


def main(model: str, source: str, folder: str) -> None:
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    stream = stream_of(builder.getOrCreate(), source)
    finish(start(tf2spark.SavedModel(model).score(stream, keep=["id"]), folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
