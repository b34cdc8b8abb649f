"""A driver that recommends to many users on two executors, one of whose Python workers is killed.

Run as ``python -m benchmarks.million_driver MODEL USERS FEW_USERS ITEMS OUTPUT TASKS``: a
SavedModel, tables of users (in TASKS files), of few users and of items, and the folder that gets
the result for all users. Few users are timed before and after all. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from attrs import define, field
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType, StructField, StructType

import tf2spark
from benchmarks.cases.recommend_deepfm import FEED, K
from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.memory_watch import MemorySamples, process_tree
from benchmarks.pools import start_session

_SETTINGS = {
    "spark.master": "local-cluster[2,1,800]",
    "spark.executor.memory": "800m",
    "spark.driver.memory": "800m",
    "spark.driver.host": "127.0.0.1",
    "spark.task.maxFailures": "4",
    "spark.sql.files.openCostInBytes": "128m",  # each file is a task
}


def main(model: str, users: str, few_users: str, items: str, output: str, tasks: str) -> None:
    spark = start_session(2, _SETTINGS)
    catalog = _read(spark, items, "item_id")
    few = _recommend(model, _read(spark, few_users, "user_id"), catalog)
    _write(few, "noop")  # loads the model and warms up the JVMs
    runs = [_timed(few, "noop")]
    started = time.perf_counter()
    best = _recommend(model, _read(spark, users, "user_id"), catalog)
    result: dict[str, Any] = {"call_seconds": time.perf_counter() - started}
    with MemorySamples(2.0) as memory, WorkerKiller(spark, int(tasks)) as killer:
        result |= _timed(best, "parquet", output)
    runs.append(_timed(few, "noop"))
    result |= {"few": runs, "memory": memory.samples}
    result |= {"killed": killer.killed, "failed_tasks": killer.failed_tasks()}
    print(json.dumps(result), flush=True)
    spark.stop()


@define
class WorkerKiller:
    """Context manager that kills a Python worker once half of a job's tasks have ended.

    Attributes:
        spark: The session of the job.
        tasks: The number of its tasks, by which its stage is known.
        killed: How many workers were killed: one, or none where the job was too short.
    """

    spark: SparkSession
    tasks: int
    killed: int = 0
    _stage: int | None = None
    _stop: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> WorkerKiller:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def failed_tasks(self) -> int:
        """Return how many tasks of the job have failed and were repeated."""
        info = self.spark.sparkContext.statusTracker().getStageInfo(self._stage or 0)
        return info.numFailedTasks if info is not None else 0

    def _run(self) -> None:
        while not self._stop.wait(0.2) and not self.killed:
            if self._is_half_done():
                cpu_seconds_of_tree()  # so that what the worker has used by now is counted
                os.kill(max(loaded_workers()), signal.SIGKILL)
                self.killed += 1

    def _is_half_done(self) -> bool:
        tracker = self.spark.sparkContext.statusTracker()
        for stage in tracker.getActiveStageIds():
            info = tracker.getStageInfo(stage)
            if info is not None and info.numTasks == self.tasks:
                self._stage = stage
                return info.numCompletedTasks >= self.tasks / 2
        return False


def loaded_workers() -> list[int]:
    """Return the Python workers of this driver that have TensorFlow's library mapped."""
    workers = [pid for pid, kind in process_tree(os.getpid()).items() if kind == "worker"]
    return [pid for pid in workers if "libtensorflow_cc" in _maps(pid)]


def _maps(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has ended
        return ""


def _read(spark: SparkSession, path: str, key: str) -> DataFrame:
    schema = StructType([StructField(key, LongType()), StructField("features", VectorUDT())])
    return spark.read.schema(schema).parquet(path)


def _recommend(model: str, users: DataFrame, items: DataFrame) -> DataFrame:
    best: DataFrame = tf2spark.SavedModel(model).recommend(users, items, K, feed=FEED)
    return best


def _timed(table: DataFrame, sink: str, path: str | None = None) -> dict[str, float]:
    started, cpu = time.perf_counter(), cpu_seconds_of_tree()
    _write(table, sink, path)
    seconds, core_seconds = time.perf_counter() - started, cpu_seconds_of_tree() - cpu
    return {"seconds": seconds, "core_seconds": core_seconds}


def _write(table: DataFrame, sink: str, path: str | None = None) -> None:
    table.write.format(sink).mode("overwrite").save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
