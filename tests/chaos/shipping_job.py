"""A driver program: ships a model to many executors, and counts what the driver sends.

Run as ``python shipping_job.py MASTER MODEL MEGABYTES WAY EXECUTORS FOLDER [KEY=VALUE]...``: the
model gets a file of that size; WAY is "seeded", "torrent" (nobody is seeded) or "files" (no
broadcast). FOLDER is for the model and the host's cache. All that executors ask of the driver goes
through proxies of this process, which count it. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tf2spark
from chaos.compared_rows import difference
from chaos.processes import children, executor_jvms, loaded_workers, peak_bytes
from services.daemons import free_ports
from services.shipping_job import parse_settings, start_session
from services.tcp_proxy import proxy
from tf2spark.spark.broadcast import files, seeding
from tf2spark.spark.jvm.status import executor_count

_START_SECONDS = 120
_FEATURES = "transform(sequence(0, 127), i -> float((id + i) / 128)) AS features"


def wait_for_executors(spark: SparkSession, executors: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while executor_count(spark) != executors:
        assert time.monotonic() < deadline, executor_count(spark)
        time.sleep(0.2)


def main(
    master: str,
    model_path: str,
    megabytes: str,
    way: str,
    executor_text: str,
    work: str,
    *others: str,
) -> None:
    if way != "seeded":
        seeding.seed = lambda spark, chunks: False
    if way == "files":
        files.LEAST_BYTES = sys.maxsize
    folder, executors = Path(work), int(executor_text)
    shutil.copytree(model_path, folder / "model")
    weights = folder / "model" / "assets.extra" / "weights.bin"
    weights.parent.mkdir()
    size_bytes = int(float(megabytes) * 2**20)
    weights.write_bytes(np.random.default_rng(size_bytes).bytes(size_bytes))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    ports = free_ports(2)
    with ExitStack() as stack:
        # Executors are told an address at which only the proxies listen.
        proxies = [
            stack.enter_context(proxy(("127.0.0.1", port), "127.0.0.2", port)) for port in ports
        ]
        settings = parse_settings(others) | {
            "spark.executorEnv.TF2SPARK_TEST_DRIVER": str(os.getpid()),
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.2",
            "spark.driver.port": str(ports[0]),
            "spark.driver.blockManager.port": str(ports[1]),
            "spark.cores.max": str(executors),
            "spark.executor.cores": "1",
            "spark.executor.memory": "512m",
            "spark.tf2spark.cache.dir": str(folder / "cache"),
        }
        spark = start_session(master, settings)
        wait_for_executors(spark, executors)
        spark.range(executors * 2).repartition(executors * 2).count()  # classes and code are there
        before = [each.sent_bytes for each in proxies]
        model = tf2spark.SavedModel(folder / "model")
        rows = 64 * executors
        table = spark.range(0, rows, 1, 4 * executors).select("id", F.expr(_FEATURES))
        started = time.monotonic()
        scored = model.score(table, keep=["id"], reproducible=True)
        shipped_seconds = time.monotonic() - started
        got = scored.toArrow()
        all_seconds = time.monotonic() - started
        peaks = {
            "driver_python_bytes": peak_bytes([os.getpid()]),
            "driver_jvm_bytes": peak_bytes(children()),
            "executor_jvm_bytes": peak_bytes(executor_jvms()),
            "worker_bytes": peak_bytes(loaded_workers()),
        }
        want = model.score(local_table(rows), keep=["id"], reproducible=True)
        differs = difference(got, want, "id")
        report = {
            "model_bytes": sum(path.stat().st_size for path in model_files(folder / "model")),
            "sent_bytes": [
                each.sent_bytes - start for each, start in zip(proxies, before, strict=True)
            ],
            "rows": got.num_rows,
            "wrong": differs.lost + differs.doubled + differs.changed,
            "executors": executor_count(spark),
            "copies": len(list((folder / "cache").glob("*/assets.extra"))),
            "score_seconds": round(shipped_seconds, 2),
            "all_seconds": round(all_seconds, 2),
            "peaks": peaks,
        }
        spark.stop()
    print(json.dumps(report))


def local_table(rows: int) -> pa.Table:
    """Return the rows of `_FEATURES`."""
    features = [[(row + i) / 128 for i in range(128)] for row in range(rows)]
    return pa.table({"id": range(rows), "features": pa.array(features, pa.list_(pa.float32()))})


def model_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


if __name__ == "__main__":
    main(*sys.argv[1:])
