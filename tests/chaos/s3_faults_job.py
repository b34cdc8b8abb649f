"""A driver program: reads, opens and writes on an S3 whose connections are disturbed.

Run as ``python s3_faults_job.py MASTER MODEL BASE TARGET [KEY=VALUE ...]``: BASE is a folder in a
bucket, TARGET the ``host:port`` of the server; a proxy of this process stands before it. The last
line on stdout is JSON: what was injected and what came of it, by name.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases.models import case
from services.shipping_job import parse_settings, start_session
from services.tcp_proxy import Fault, Proxy, proxy
from tf2spark.binding.options import Read
from tf2spark.errors import Tf2SparkError, from_text
from tf2spark.spark import hadoop
from tf2spark.spark.output import table_writer

_ROWS = 6_000
_TRANSIENT: tuple[Fault, ...] = ("reset", "truncate", "slow", "unavailable")
Report = dict[str, Any]


def error_of(call: Callable[[], Any]) -> Report:
    """Return the error of a call, and how long it took."""
    started = time.monotonic()
    try:
        call()
        text = "no error"
    except Exception as error:
        known = error if isinstance(error, Tf2SparkError) else from_text(str(error))
        text = f"{type(known).__name__}: {known}" if known else f"Spark: {without_stack(error)}"
    return {"error": text, "seconds": time.monotonic() - started}


def without_stack(error: BaseException) -> str:
    """Return what an exception of Spark and its causes say."""
    lines = str(error).splitlines()
    return "; ".join(line.strip() for line in lines if not line.startswith("\tat "))[:4000]


def rows_of(scored: Any) -> Any:
    table = scored if isinstance(scored, pa.Table) else scored.toArrow()
    return table.sort_by("id").to_pydict()


class Faults:
    """A session whose S3 is behind a proxy, and what is right there."""

    def __init__(self, spark: SparkSession, model: str, base: str, server: Proxy) -> None:
        self.spark, self.base, self.server = spark, base, server
        self.model = tf2spark.SavedModel(model)
        table = case("mlp_128").table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
        self.expected = rows_of(self.model.score(table, keep=["id"], reproducible=True))
        with tempfile.TemporaryDirectory() as folder:
            for part in range(3):
                path = Path(folder) / f"part-{part}.parquet"
                pq.write_table(table.slice(part * 2000, 2000), path, row_group_size=1000)
                hadoop.upload(spark, path, f"{base}/table/{path.name}")

    def table(self) -> DataFrame:
        return self.spark.read.parquet(f"{self.base}/table")

    def score(self, read: Any) -> Any:
        return rows_of(self.model.score(self.table(), keep=["id"], reproducible=True, read=read))

    def disturbed(self, fault: Fault, times: int, path: str, call: Callable[[], Any]) -> Report:
        """Call with faults injected; say how many were, and whether the rows are right."""
        before = self.server.injected
        self.server.inject(fault, times, path)
        started = time.monotonic()
        try:
            is_right: Any = call() == self.expected
        except Exception as error:
            is_right = without_stack(error)
        self.server.inject(fault, 0)
        return {
            "injected": self.server.injected - before,
            "right": is_right,
            "seconds": time.monotonic() - started,
        }

    def package(self, name: str) -> Any:
        """Open a package that nobody has fetched before, and score with it."""
        package = tf2spark.SavedModel(f"{self.base}/{name}.tf2spark")
        scored = package.score(self.table(), keep=["id"], reproducible=True, read="spark")
        rows = rows_of(scored)
        rows["output_0"] = rows.pop(name)
        return rows

    def written(self, name: str) -> Any:
        scored = self.model.score(self.table(), keep=["id"], reproducible=True)
        table_writer.write(scored, f"{self.base}/{name}")
        return rows_of(self.spark.read.parquet(f"{self.base}/{name}"))

    def away(self, seconds: float, call: Callable[[], Any]) -> Report:
        """Call while the server resets every connection for some seconds, as one that restarts."""
        timer = threading.Timer(seconds, self.server.inject, ("reset", 0))
        timer.start()
        report = self.disturbed("reset", 10**9, "", call)
        timer.join()
        return report


def transient(faults: Faults) -> dict[str, Report]:
    """Inject a few faults into every way of using S3."""
    for fault in _TRANSIENT:
        faults.model.compile(f"{faults.base}/{fault}.tf2spark", fetch={fault: "output_0"})
    report = {}
    for fault in _TRANSIENT:
        ways: dict[str, tuple[str, Callable[[], Any]]] = {
            "worker": (r"/table/part-", lambda: faults.score("worker")),
            "spark": (r"/table/part-", lambda: faults.score("spark")),
            "package": (r"\.tf2spark/", partial(faults.package, fault)),
            "output": (r"out-", partial(faults.written, f"out-{fault}")),
        }
        for way, (path, call) in ways.items():
            report[f"{fault} {way}"] = faults.disturbed(fault, 2, path, call)
    report["restart worker"] = faults.away(3, lambda: faults.score("worker"))
    report["restart spark"] = faults.away(3, lambda: faults.score("spark"))
    return report


def permanent(faults: Faults) -> dict[str, Report]:
    """Remove an object, a package's file and the key; say what fails and what is left."""
    spark, base, report = faults.spark, faults.base, {}
    reads: tuple[Read, ...] = ("worker", "spark")
    for read in reads:
        scored = faults.model.score(faults.table(), keep=["id"], read=read)
        hadoop.delete(spark, f"{base}/table/part-1.parquet")
        report[f"missing {read}"] = error_of(
            partial(table_writer.write, scored, f"{base}/partial-{read}")
        )
        report[f"missing {read}"]["left"] = hadoop.exists(spark, f"{base}/partial-{read}")
        upload_part(faults, 1)
    faults.model.compile(f"{base}/gone.tf2spark", fetch={"gone": "output_0"})
    package = tf2spark.SavedModel(f"{base}/gone.tf2spark")
    for file in hadoop.files(spark, f"{base}/gone.tf2spark/files"):
        hadoop.delete(spark, f"{base}/gone.tf2spark/files/{file.path}")
    report["missing package"] = error_of(
        lambda: package.score(faults.table(), keep=["id"]).toArrow()
    )
    spark.conf.set("fs.s3a.secret.key", "wrong")
    report["wrong key"] = error_of(lambda: tf2spark.SavedModel("s3a://another/ctr"))
    return report


def upload_part(faults: Faults, part: int) -> None:
    table = case("mlp_128").table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"part-{part}.parquet"
        pq.write_table(table.slice(part * 2000, 2000), path, row_group_size=1000)
        hadoop.upload(faults.spark, path, f"{faults.base}/table/{path.name}")


def main(master: str, model: str, base: str, target: str, *settings: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    host, port = target.rsplit(":", 1)
    with proxy((host, int(port))) as server:
        conf = parse_settings(settings)
        conf["spark.hadoop.fs.s3a.endpoint"] = f"http://127.0.0.1:{server.port}"
        spark = start_session(master, conf)
        faults = Faults(spark, model, base, server)
        report = transient(faults) | permanent(faults)
        spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
