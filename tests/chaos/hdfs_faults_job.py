"""A driver program: reads and writes on an HDFS whose daemons die, and whose blocks are damaged.

Run as ``python hdfs_faults_job.py MASTER MODEL FOLDER``: HDFS is started in FOLDER. The last line
on stdout is JSON: what came of each fault, by name.
"""

from __future__ import annotations

import json
import os
import subprocess
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
from pyspark.sql import SparkSession

import tf2spark
from cases.models import case
from chaos.s3_faults_job import error_of, rows_of, without_stack
from services.hdfs import DisturbedHdfs
from services.shipping_job import start_session
from tf2spark.binding.options import Read
from tf2spark.spark import hadoop
from tf2spark.spark.jvm.access import hadoop_configuration, jvm
from tf2spark.spark.output import table_writer

_ROWS = 6_000
_AWAY_SECONDS = 4.0
# Without these, Hadoop's client gives up within seconds on a NameNode that isn't there.
_SETTINGS = {
    "spark.hadoop.dfs.client.retry.policy.enabled": "true",
    "spark.hadoop.dfs.client.retry.policy.spec": "2000,10",
}
_READS: tuple[Read, ...] = ("worker", "spark")
Report = dict[str, Any]


class Faults:
    """A session, a table and a model on HDFS, and what is right there."""

    def __init__(self, spark: SparkSession, model: str, cluster: DisturbedHdfs) -> None:
        self.spark, self.cluster, self.base = spark, cluster, f"{cluster.url}/m"
        self.model = tf2spark.SavedModel(model)
        self.rows = case("mlp_128").table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
        self.expected = rows_of(self.model.score(self.rows, keep=["id"], reproducible=True))
        self.upload("table")

    def upload(self, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            pq.write_table(self.rows, path, row_group_size=500)
            hadoop.upload(self.spark, path, f"{self.base}/{name}/rows.parquet")

    def scored(self, name: str, read: Read) -> Any:
        table = self.spark.read.parquet(f"{self.base}/{name}")
        return self.model.score(table, keep=["id"], reproducible=True, read=read)

    def agree(self, scored: Any) -> bool:
        return bool(rows_of(scored) == self.expected)

    def write(self, name: str) -> None:
        table_writer.write(self.scored("table", "spark"), f"{self.base}/{name}")

    def without(self, daemon: str, call: Callable[[], Any]) -> Report:
        """Kill a daemon, and start it again some seconds after the call has begun."""
        self.cluster.kill(daemon)
        timer = threading.Timer(_AWAY_SECONDS, self.cluster.start, (daemon,))
        timer.start()
        started = time.monotonic()
        try:
            right: Any = call()
        except Exception as error:
            right = without_stack(error)
        seconds = time.monotonic() - started
        timer.join()
        return {"right": right, "seconds": seconds, "was_away": seconds > _AWAY_SECONDS / 2}


def transient(faults: Faults) -> dict[str, Report]:
    """Kill the DataNode and the NameNode, and start them again."""
    report = {}
    for daemon in ("datanode", "namenode"):
        for read in _READS:
            scored = faults.scored("table", read)
            report[f"{daemon} {read}"] = faults.without(daemon, partial(faults.agree, scored))
    return report


def permanent(faults: Faults) -> dict[str, Report]:
    """Damage a block, forbid writing, and take permissions and room away."""
    cluster, base, spark = faults.cluster, faults.base, faults.spark
    report = {}
    for read in _READS:
        name = f"damaged-{read}"
        faults.upload(name)
        damage(newest(cluster.blocks()))
        scored = faults.scored(name, read)
        report[f"damaged {read}"] = error_of(partial(rows_of, scored))
    cluster.admin("-safemode", "enter")
    report["safe mode reads"] = {"right": faults.agree(faults.scored("table", "worker"))}
    report["safe mode writes"] = error_of(partial(faults.write, "safe"))
    cluster.admin("-safemode", "leave")
    report["safe mode writes"]["left"] = hadoop.exists(spark, f"{base}/safe")
    spark.range(1).write.parquet(f"{base}/small/first")
    cluster.admin("-setSpaceQuota", "10k", f"{base}/small")
    report["quota"] = error_of(partial(faults.write, "small/out"))
    report["quota"]["left"] = hadoop.exists(spark, f"{base}/small/out")
    return report | denied(faults)


def denied(faults: Faults) -> dict[str, Report]:
    """Have somebody else, who isn't HDFS's superuser, read and write what isn't theirs."""
    spark, base, report = faults.spark, faults.base, {}
    faults.upload("private")
    path = jvm(spark).org.apache.hadoop.fs.Path(f"{base}/private")
    mode = jvm(spark).org.apache.hadoop.fs.permission.FsPermission("700")
    path.getFileSystem(hadoop_configuration(spark)).setPermission(path, mode)
    for name, table in (("reads", "private"), ("writes", "table")):
        seen = score_as_a_stranger(faults, f"{base}/{table}", f"{base}/denied-{name}")
        seen["left"] = hadoop.exists(spark, f"{base}/denied-{name}")
        report[f"permission {name}"] = seen
    return report


def score_as_a_stranger(faults: Faults, table: str, output: str) -> Report:
    """Run the command as another user; return how it failed."""
    command = [sys.executable, "-m", "tf2spark", "score", faults.model.contract.path]
    command += ["--input", table, "--output", output, "--keep", "id", "--log-format", "none"]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--master", "local[2]", "--conf", "spark.ui.enabled=false"],
        env={**os.environ, "HADOOP_USER_NAME": "stranger"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    seconds = time.monotonic() - started
    return {"error": done.stderr[-1000:], "status": done.returncode, "seconds": seconds}


def newest(paths: list[Path]) -> Path:
    return max(paths, key=lambda path: int(path.name.removeprefix("blk_")))


def damage(block: Path) -> None:
    """Flip a bit in the middle of a block, of which the DataNode knows nothing yet."""
    content = bytearray(block.read_bytes())
    content[len(content) // 2] ^= 1
    block.write_bytes(content)


def main(master: str, model: str, folder: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with DisturbedHdfs(Path(folder)) as cluster:
        spark = start_session(master, _SETTINGS)
        faults = Faults(spark, model, cluster)
        report = permanent(faults) | transient(faults)
        spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
