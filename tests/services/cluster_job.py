"""A driver program: scores a Parquet table on a given master, and prints what it saw.

Run as ``python cluster_job.py MASTER MODEL TABLE [KEY=VALUE ...]``, in a process of its own,
because a process has only one SparkContext. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from tf2spark.spark.row_counter import RowCounter


def start_session(master: str, settings: dict[str, str]) -> SparkSession:
    builder = (
        SparkSession.builder.master(master)
        .appName("tf2spark cluster test")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.executor.memory", "600m")
        .config("spark.executor.extraJavaOptions", os.environ["SPARK_SUBMIT_OPTS"])
        .config("spark.executorEnv.TF2SPARK_TEST_DRIVER", str(os.getpid()))
        .config("spark.cores.max", "2")
        .config("spark.sql.files.maxPartitionBytes", "400k")
    )
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def equals_local_scores(scored: DataFrame, model: tf2spark.SavedModel, table: str) -> bool:
    """Say whether the cluster's scores are those of this process, bit by bit."""
    local_scores = model.score(pq.read_table(table), keep=["id"], reproducible=True).sort_by("id")
    cluster_scores = scored.toArrow().sort_by("id")
    return bool(cluster_scores.to_pydict() == local_scores.to_pydict())


def plan_of(scored: DataFrame) -> str:
    return str(scored._jdf.queryExecution().executedPlan().toString())


def tensorflow_modules(spark: SparkSession) -> list[str]:
    """Return TensorFlow's modules and library in the workers that scored."""

    def list_modules(batches):  # type: ignore[no-untyped-def]
        import pyarrow as pa

        for batch in batches:
            names = [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]
            mapped = Path("/proc/self/maps").read_text()
            names.append("libtensorflow mapped" if "libtensorflow_cc" in mapped else "no library")
            yield pa.RecordBatch.from_pydict({"m": [",".join(names)] * batch.num_rows})

    # The workers of the scoring job are idle by now, and Spark reuses them.
    rows = spark.range(200).repartition(2).mapInArrow(list_modules, "m string").distinct().collect()
    return sorted({row.m for row in rows})


def session_options(spark: SparkSession) -> list[str]:
    """Return the options, as hexadecimal bytes, that the workers' next session would open with."""

    def write_options(batches):  # type: ignore[no-untyped-def]
        import pyarrow as pa

        from tf2spark.tensorflow_c.process import visible_gpus
        from tf2spark.tensorflow_c.session_config import config

        for batch in batches:
            options = config(1, visible_gpus()).hex()
            yield pa.RecordBatch.from_pydict({"options": [options] * batch.num_rows})

    rows = spark.range(200).repartition(2).mapInArrow(write_options, "options string").distinct()
    return sorted(row.options for row in rows.collect())


def score_in_a_function(frame: DataFrame, model: tf2spark.SavedModel) -> DataFrame:
    """Score in a function of the user's own that holds the model."""

    def score(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            yield model.score(batch, keep=["id"], reproducible=True)

    fields = model.score(frame.limit(1), keep=["id"], reproducible=True).schema
    return frame.mapInArrow(score, fields)


def score_by_spark_udf(frame: DataFrame, model: tf2spark.SavedModel, folder: Path) -> DataFrame:
    """Score with MLflow's UDF, whose executors load the model by MLflow's own loader."""
    import mlflow

    from tf2spark.mlflow import save_model

    save_model(model, folder, compile=False)
    udf = mlflow.pyfunc.spark_udf(frame.sparkSession, str(folder), env_manager="local")
    return frame.select("id", udf("features").alias("output_0"))


def largest_difference(scored: DataFrame, expected: DataFrame) -> float:
    """Return how far the scores of two tables with the same ids are apart."""
    both = scored.withColumnRenamed("output_0", "score").join(expected, "id", "full")
    difference = both.selectExpr("max(nvl(abs(score - output_0), 1e9))").first()
    assert difference is not None
    return float(difference[0])


def executor_logs(spark: SparkSession) -> str:
    """Return what the executors and their Python workers have written to stderr."""

    def list_folders(batches):  # type: ignore[no-untyped-def]
        import pyarrow as pa

        for batch in batches:
            yield pa.RecordBatch.from_pydict({"folder": [os.getcwd()] * batch.num_rows})

    rows = spark.range(200).repartition(2).mapInArrow(list_folders, "folder string").distinct()
    # An executor's working folder is that of its logs.
    return "".join((Path(row.folder) / "stderr").read_text() for row in rows.collect())


def find_loaded_workers() -> list[int]:
    """Return the pids of this job's Python workers that have TensorFlow's library mapped."""
    driver_variable = f"TF2SPARK_TEST_DRIVER={os.getpid()}".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                is_ours = driver_variable in (entry / "environ").read_bytes()
                if is_ours and "libtensorflow_cc" in (entry / "maps").read_text():
                    pids.append(int(entry.name))
            except OSError:
                continue
    return pids


def kill_one_worker(done: threading.Event, killed: list[int]) -> None:
    """Kill, once, a worker that has a model open."""
    while not done.is_set():
        for pid in find_loaded_workers():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.02)


def main(master: str, model_path: str, table: str, *settings: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = start_session(master, dict(setting.split("=", 1) for setting in settings))
    model = tf2spark.SavedModel(model_path)
    frame = spark.read.parquet(table)
    killed: list[int] = []
    done = threading.Event()
    killer = threading.Thread(target=kill_one_worker, args=(done, killed), daemon=True)
    killer.start()
    scored = model.score(frame, keep=["id"], reproducible=True)
    counter = RowCounter.of(scored, "scored", model=model.digest)
    same_after_kill = equals_local_scores(counter.table, model, table)
    done.set()
    killer.join()
    same = equals_local_scores(scored, model, table)
    # By default, workers would read this table themselves.
    by_map = model.score(frame, keep=["id"], reproducible=True, read="spark")
    some = frame.where("id < 3000")
    with tempfile.TemporaryDirectory() as folder:
        by_spark_udf = score_by_spark_udf(some, model, Path(folder) / "logged")
        difference = largest_difference(by_spark_udf, model.score(some, keep=["id"]))
    computed = frame.withColumn("id", F.abs("id"))
    late = model.score(computed, keep=["id"], reproducible=True)
    report = {
        "partitions": frame.rdd.getNumPartitions(),
        "executors": spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1,
        "killed": len(killed),
        "same_after_kill": same_after_kill,
        "counted_after_kill": counter.rows(),
        "same": same,
        "same_by_map_in_arrow": equals_local_scores(by_map, model, table),
        "packed": "getBytes" in plan_of(by_map),
        "same_of_late_columns": equals_local_scores(late, model, table),
        "late": "row_index" in plan_of(late),
        "modules": tensorflow_modules(spark),
        "session_options": session_options(spark),
        "spark_udf_difference": difference,
        "executor_logs": executor_logs(spark),
        "same_in_a_function": equals_local_scores(score_in_a_function(frame, model), model, table),
    }
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
