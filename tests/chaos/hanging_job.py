"""A driver program: models that hang for ever, on executors, until their jobs fail.

Run as ``python hanging_job.py FOLDER LIMIT_SECONDS``. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

import tf2spark
from cases.hanging_models import write_deadlock, write_endless_loop
from chaos import faults
from chaos.sessions import start_session
from tf2spark.errors import RunError, from_spark


def run(spark: SparkSession, model: tf2spark.SavedModel, limit_seconds: float) -> dict[str, Any]:
    """Score rows of which one hangs; return what the error says, and when it came."""
    table = [(number, value) for number, value in enumerate([1.0, 2.0, 3.0, 666.0])]
    rows = spark.createDataFrame(table, "id BIGINT, x FLOAT").coalesce(1)
    started = time.monotonic()
    try:
        with from_spark():
            model.score(rows, keep=["id"], batch_rows=2, task_timeout=limit_seconds).collect()
    except RunError as error:
        return {"message": str(error), "seconds": time.monotonic() - started}
    raise AssertionError("nothing hung")


def main(folder: Path, limit_seconds: float) -> None:
    orders = folder / "faults"
    orders.mkdir(parents=True)
    os.environ.update(faults.environment(orders))
    models = {
        "a loop that never ends": tf2spark.SavedModel(write_endless_loop(folder / "endless")),
        "a deadlock": tf2spark.SavedModel(
            write_deadlock(folder / "deadlock"), allow_ops=["Unstage"]
        ),
    }
    spark = start_session("local-cluster[2,1,900]", faults.settings(orders))
    report = {}
    for name, model in models.items():
        before = len(faults.attempts(orders))
        report[name] = run(spark, model, limit_seconds)
        report[name]["attempts"] = len(faults.attempts(orders)) - before
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
