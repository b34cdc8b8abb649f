"""A driver program: how Spark schedules the tasks that score, each way on executors of its own.

Run as ``python scheduling_job.py FOLDER``. The last line on stdout is JSON: what came of each way,
by name.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases.models import case, path_of
from chaos.compared_rows import difference
from chaos.sessions import start_session
from tf2spark.spark.facts.status_store import lost_executors
from tf2spark.spark.facts.tasks import task_facts
from tf2spark.spark.jvm.status import executor_count

_ROWS, _PARTITIONS, _IDLE_SECONDS, _LAG_SECONDS = 4_000, 4, 2, 15
Report = dict[str, Any]
# A JVM keeps the settings of its first session where later ones don't say otherwise.
_DEFAULTS = {"spark.task.cpus": "1", "spark.dynamicAllocation.enabled": "false"}


def session_threads(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield how many threads the sessions of this worker were opened with."""
    from tf2spark.tensorflow_c import process

    threads = [int(key.split()[2]) for key in process._sessions]
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"n": pa.array(threads, pa.int64())})


def lag(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pass rows on, late if the first row is among them."""
    for batch in batches:
        if 0 in batch.column("id").to_pylist():
            time.sleep(_LAG_SECONDS)
        yield batch


class Table:
    """A model, and rows on which it is compared with its scores in this process."""

    def __init__(self, folder: Path) -> None:
        self.model = tf2spark.SavedModel(path_of(case("mlp_128")))
        rows = case("mlp_128").table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
        self.path = folder / "rows.parquet"
        pq.write_table(rows, self.path, row_group_size=_ROWS // _PARTITIONS)
        self.expected = self.model.score(rows, keep=["id"], reproducible=True)

    def rows(self, spark: SparkSession) -> DataFrame:
        return spark.read.parquet(str(self.path)).repartition(_PARTITIONS, "id")

    def threads(self, df: DataFrame, **options: Any) -> list[int]:
        """Score rows, not by one thread for the same bits; return the threads of the sessions."""
        self.model.score(df, keep=["id"], **options).collect()
        numbers = df.sparkSession.range(8).repartition(_PARTITIONS)
        # Spark keeps workers of each profile apart.
        profile = options.get("resources")
        workers = numbers.mapInArrow(session_threads, "n long", profile=profile)
        return sorted({row.n for row in workers.collect()})

    def wrong(self, df: DataFrame, **options: Any) -> int:
        """Score rows; return how many were lost, doubled or changed."""
        scored = self.model.score(df, keep=["id"], reproducible=True, **options)
        differs = difference(scored.toArrow(), self.expected, "id")
        return differs.lost + differs.doubled + differs.changed


@contextmanager
def session(master: str, settings: Mapping[str, str]) -> Iterator[SparkSession]:
    spark = start_session(master, _DEFAULTS | dict(settings))
    try:
        yield spark
    finally:
        spark.stop()


def task_cpus(table: Table) -> Report:
    """Two CPUs a task, by the session's settings."""
    settings = {"spark.task.cpus": "2", "spark.executor.cores": "2"}
    with session("local-cluster[1,2,900]", settings) as spark:
        threads = table.threads(table.rows(spark))
        return {"wrong": table.wrong(table.rows(spark)), "threads": threads}


def stage_of_its_own(table: Table) -> Report:
    """Two CPUs a task, for the stage that scores alone; Spark reads, and then the workers."""
    resources = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    with session("local-cluster[1,2,900]", {"spark.executor.cores": "2"}) as spark:
        threads = table.threads(table.rows(spark), resources=resources)
        files = spark.read.parquet(str(table.path))
        wrong = table.wrong(table.rows(spark), resources=resources)
        wrong += table.wrong(files, read="worker", resources=resources)
        return {"wrong": wrong, "threads": threads}


def recommendations(table: Table) -> Report:
    """The same for `recommend`, whose users have half of the features and its items the others."""
    resources = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    with session("local-cluster[1,2,900]", {"spark.executor.cores": "2"}) as spark:
        rows = table.rows(spark)
        users = rows.where("id < 200").selectExpr("id", "slice(features, 1, 64) a")
        items = rows.where("id < 50").selectExpr("id", "slice(features, 65, 64) b")
        feed = {table.model.contract.signatures[0].inputs[0].name: ["a", "b"]}
        arguments: Any = {"user_id": "id", "item_id": "id", "feed": feed}
        best = table.model.recommend(users, items, 5, **arguments, resources=resources)
        lists = {row.id: [item.id for item in row.recommendations] for row in best.collect()}
        usual = table.model.recommend(users, items, 5, **arguments).collect()
        wrong = sum(lists[row.id] != [item.id for item in row.recommendations] for row in usual)
        workers = spark.range(8).repartition(_PARTITIONS)
        seen = workers.mapInArrow(session_threads, "n long", profile=resources).collect()
        return {"wrong": wrong + 200 - len(lists), "threads": sorted({row.n for row in seen})}


def several_executors(table: Table) -> Report:
    """Three executors on one host, with a core each."""
    settings = {"spark.executor.cores": "1"}
    with session("local-cluster[1,3,1800]", settings) as spark:
        wait(lambda: executor_count(spark) == 3)
        wrong, facts = table.wrong(table.rows(spark)), task_facts(spark)
        assert facts is not None
        return {"wrong": wrong, "executors": 3, "opened": facts.models_opened}


def come_and_go(table: Table) -> Report:
    """Executors that are idle go while a task lags, and others come for the next job."""
    settings = {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.maxExecutors": "2",
        "spark.dynamicAllocation.executorIdleTimeout": f"{_IDLE_SECONDS}s",
        "spark.executor.cores": "1",
        "spark.sql.files.maxPartitionBytes": "300k",
    }
    with session("local-cluster[2,1,900]", settings) as spark:
        rows = spark.read.parquet(str(table.path))
        late = rows.mapInArrow(lag, rows.schema)
        wrong = table.wrong(late)
        gone = lost_executors(spark)
        wait(lambda: executor_count(spark) == 0)
        wrong += table.wrong(rows, read="spark")
        return {"wrong": wrong, "gone_in_the_job": gone, "gone": lost_executors(spark)}


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.2)


def main(folder: Path) -> None:
    table, report = Table(folder), {}
    for way in (task_cpus, stage_of_its_own, recommendations, several_executors, come_and_go):
        report[way.__name__] = way(table)
        print(way.__name__, report[way.__name__], file=sys.stderr, flush=True)
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
