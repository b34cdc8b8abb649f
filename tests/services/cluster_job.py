"""A driver program: scores a Parquet table on the master it is told, and prints what it saw.

Run as ``python cluster_job.py MASTER MODEL TABLE``; a driver of its own, because a process has one
SparkContext. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

import tf2spark


def session(master: str) -> SparkSession:
    return (
        SparkSession.builder.master(master)
        .appName("tf2spark cluster test")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.executor.memory", "600m")
        .config("spark.executorEnv.TF2SPARK_TEST_DRIVER", str(os.getpid()))
        .config("spark.cores.max", "2")
        .config("spark.sql.files.maxPartitionBytes", "400k")
        .getOrCreate()
    )


def same_as_here(scored: DataFrame, model: tf2spark.SavedModel, table: str) -> bool:
    """Say whether the cluster's scores are those of this process, bit by bit."""
    here = model.score(pq.read_table(table), keep=["id"], reproducible=True).sort_by("id")
    there = scored.toArrow().sort_by("id")
    return bool(there.to_pydict() == here.to_pydict())


def modules_of_workers(spark: SparkSession, scored: DataFrame) -> list[str]:
    """Return the modules named tensorflow that scoring left in the very worker that scored."""

    def modules(batches):  # type: ignore[no-untyped-def]
        import pyarrow as pa

        for batch in batches:
            names = [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]
            mapped = Path("/proc/self/maps").read_text()
            names.append("libtensorflow mapped" if "libtensorflow_cc" in mapped else "no library")
            yield pa.RecordBatch.from_pydict({"m": [",".join(names)] * batch.num_rows})

    # The workers of the scoring job are idle by now, and Spark uses them again.
    rows = spark.range(200).repartition(2).mapInArrow(modules, "m string").distinct().collect()
    return sorted({row.m for row in rows})


def hosts_of_sessions() -> list[int]:
    """Return this job's Python workers that have TensorFlow's library mapped."""
    mark = f"TF2SPARK_TEST_DRIVER={os.getpid()}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                ours = mark in (entry / "environ").read_bytes()
                if ours and "libtensorflow_cc" in (entry / "maps").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def kill_one_worker(done: threading.Event, killed: list[int]) -> None:
    """Kill, once, a worker that has a model open."""
    while not done.is_set():
        for pid in hosts_of_sessions():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.02)


def main(master: str, model_path: str, table: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = session(master)
    model = tf2spark.SavedModel(model_path)
    frame = spark.read.parquet(table)
    killed: list[int] = []
    done = threading.Event()
    killer = threading.Thread(target=kill_one_worker, args=(done, killed), daemon=True)
    killer.start()
    scored = model.score(frame, keep=["id"], reproducible=True)
    interrupted = same_as_here(scored, model, table)
    done.set()
    killer.join()
    whole = same_as_here(scored, model, table)
    # The table is one that workers read by themselves.
    by_map = model.score(frame, keep=["id"], reproducible=True, read="spark")
    report = {
        "partitions": frame.rdd.getNumPartitions(),
        "executors": spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1,
        "killed": len(killed),
        "same_after_kill": interrupted,
        "same": whole,
        "same_by_map_in_arrow": same_as_here(by_map, model, table),
        "modules": modules_of_workers(spark, scored),
    }
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
