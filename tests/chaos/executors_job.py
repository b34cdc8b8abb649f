"""A driver program: jobs that lose executors, a host, or the model's folder, and one that lags.

Run as ``python executors_job.py MASTER FOLDER FAULT ...`` with names of `FAULTS`. The last line on
stdout is JSON: what was seen of each job.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

import tf2spark
from cases.models import case, path_of
from chaos import faults
from chaos.compared_rows import difference
from chaos.processes import executor_jvms, parent_of
from chaos.sessions import start_session
from tf2spark.spark.row_counter import RowCounter

_ROWS, _FILES, _WAIT_SECONDS = 20_000, 40, 120
# Every 1,000th row can't be scored.
_REFUSED = _ROWS // 1000


def write_rows(folder: Path) -> None:
    """Write rows in as many files as there are to be tasks."""
    table = case("keras_mlp").table(_ROWS)
    features = table.column("features").to_pylist()
    features[::1000] = [None] * _REFUSED
    columns = [pa.array(range(_ROWS), pa.int64()), pa.array(features, table["features"].type)]
    rows = pa.table(columns, ["id", "features"])
    folder.mkdir()
    size = _ROWS // _FILES
    for number in range(_FILES):
        pq.write_table(rows.slice(number * size, size), folder / f"{number}.parquet")


class Jobs:
    """Jobs that score the same rows with the same model, in one session."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.model_path = folder / "model"
        shutil.copytree(path_of(case("keras_mlp")), self.model_path)
        self.model = tf2spark.SavedModel(self.model_path)
        self.expected: pa.Table | None = None

    def run(self, name: str) -> dict[str, Any]:
        """Score the rows into a folder, and compare what it has with the first job's."""
        rows = self.spark.read.parquet(str(self.folder / "rows"))
        scored = self.model.score(
            rows, keep=["id"], mode="permissive", model_column="model", batch_rows=100
        )
        counter = RowCounter.of(scored, name, model=self.model.digest, refused="_error")
        target = self.folder / name
        counter.table.write.parquet(str(target))
        written = pq.read_table(target)
        if self.expected is None:
            self.expected = written
        wrong = difference(written, self.expected, "id")
        return {
            "rows": _ROWS,
            "lost": wrong.lost,
            "doubled": wrong.doubled,
            "changed": wrong.changed,
            "counted": counter.rows(),
            "refused": counter.refused(),
            "digests": sorted(set(written["model"].to_pylist())),
            "files": len(list(target.glob("*.parquet"))),
        }

    def run_with(self, name: str, fault: Callable[[], Any]) -> dict[str, Any]:
        """Run a job, and inject a fault when some of its tasks have ended and others haven't."""
        done: list[Any] = []

        def inject() -> None:
            if self._wait_for_tasks():
                done.append(fault())

        thread = threading.Thread(target=inject, daemon=True)
        thread.start()
        report = self.run(name)
        thread.join(_WAIT_SECONDS)
        return {**report, "injected": done}

    def _wait_for_tasks(self) -> bool:
        tracker, ends = self.spark.sparkContext.statusTracker(), time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < ends:
            for stage in tracker.getActiveStageIds():
                info = tracker.getStageInfo(stage)
                if info and info.numTasks == _FILES and 3 <= info.numCompletedTasks <= _FILES - 10:
                    return True
            time.sleep(0.01)
        return False


def kill_executor() -> int:
    """Kill the JVM of an executor; return its pid."""
    pid = executor_jvms()[0]
    os.kill(pid, signal.SIGKILL)
    return pid


def kill_host() -> int:
    """Kill a worker of the standalone cluster, and its executor; return the worker's pid."""
    executor = executor_jvms()[-1]
    worker = parent_of(executor)
    os.kill(worker, signal.SIGKILL)
    os.kill(executor, signal.SIGKILL)
    return worker


def lose_executors(jobs: Jobs) -> list[dict[str, Any]]:
    return [jobs.run_with(f"executor-{number}", kill_executor) for number in range(3)]


def lose_host(jobs: Jobs) -> list[dict[str, Any]]:
    return [jobs.run_with("host", kill_host)]


def lag(jobs: Jobs) -> list[dict[str, Any]]:
    """Have a task lag, which Spark then starts a second time, on the other host."""
    orders, reports = jobs.folder / "faults", []
    for number in range(2):
        before = len(faults.attempts(orders))
        faults.order(orders, "lag", 2)
        report = jobs.run(f"lag-{number}")
        tasks = faults.attempts(orders)[before:]
        twice = {task for task, _ in tasks if len({pid for same, pid in tasks if same == task}) > 1}
        reports.append({**report, "injected": sorted(map(str, twice))})
    return reports


def overwrite_model(jobs: Jobs) -> list[dict[str, Any]]:
    """Write another model over the one that a job runs with, and kill an executor."""
    other = path_of(case("mlp_128"))

    def overwrite() -> int:
        for file in jobs.model_path.rglob("*"):
            if file.is_file() and (other / file.relative_to(jobs.model_path)).is_file():
                shutil.copy(other / file.relative_to(jobs.model_path), file)
        return kill_executor()

    report = jobs.run_with("overwritten", overwrite)
    now = tf2spark.SavedModel(jobs.model_path).digest
    return [{**report, "before": jobs.model.digest, "after": now}]


FAULTS: dict[str, Callable[[Jobs], list[dict[str, Any]]]] = {
    "speculation": lag,
    "executors": lose_executors,
    "overwritten_model": overwrite_model,
    "stopped_worker": lose_host,
}


def hosts_of(spark: SparkSession) -> list[str]:
    """Return the addresses of the executors."""
    status: Any = spark.sparkContext._jsc.sc().getExecutorMemoryStatus()
    keys = [str(key).partition(":")[0] for key in status.keySet().mkString(" ").split()]
    return sorted(set(keys))


def main(master: str, folder: Path, *names: str) -> None:
    orders = folder / "faults"
    orders.mkdir()
    os.environ.update(faults.environment(orders))
    write_rows(folder / "rows")
    settings = {
        "spark.sql.files.openCostInBytes": "128m",  # each file is a task
        "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
        "spark.speculation": "true",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.minTaskRuntime": "2s",
        "spark.cores.max": "2",
        **faults.settings(orders),
    }
    spark = start_session(master, settings)
    jobs = Jobs(spark, folder)
    jobs.run("undisturbed")
    report: dict[str, Any] = {"hosts": hosts_of(spark)}
    for name in names:
        report[name] = FAULTS[name](jobs)
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
