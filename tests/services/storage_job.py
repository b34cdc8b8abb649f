"""A driver program: models and packages on another file system, all that can go right or wrong.

Run as ``python storage_job.py MASTER MODEL BASE PYTHON [KEY=VALUE ...]``: BASE is a URI to work
below. The last line on stdout is JSON: what was seen, by name.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

import tf2spark
from cases.comparing import same_but_for_rounding
from cases.models import case
from services.shipping_job import session
from tf2spark.errors import Tf2SparkError
from tf2spark.package.manifest import FILES, MANIFEST
from tf2spark.package.staging import staging_folder
from tf2spark.spark import hadoop, table_writer

_ROWS = 2_000


def put(spark: SparkSession, folder: Path, uri: str, *, without: str = "") -> None:
    """Copy a folder there, but for one file."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != without:
            hadoop.upload(spark, path, f"{uri}/{name}")


def said(call: Any) -> str:
    """Return what a call that must fail says."""
    try:
        call()
    except Tf2SparkError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def rows_of(scored: Any) -> Any:
    return scored.toArrow().sort_by("id").to_pydict()


def main(master: str, model_path: str, base: str, python: str, *settings: str) -> None:
    os.environ["PYSPARK_PYTHON"] = python
    spark = session(master, dict(one.split("=", 1) for one in settings))
    folder = Path(tempfile.mkdtemp(prefix="tf2spark-storage-"))
    table = case("mlp_128").table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
    pq.write_table(table, folder / "table.parquet")
    hadoop.upload(spark, folder / "table.parquet", f"{base}/table.parquet")
    for version in (3, 12):
        put(spark, Path(model_path), f"{base}/ctr/{version}")
    wants = tf2spark.SavedModel(model_path).score(table, keep=["id"], reproducible=True)
    report = seen(spark, base, table, wants.sort_by("id").to_pydict())
    report |= failures(spark, base, model_path)
    spark.stop()
    shutil.rmtree(folder)
    print(json.dumps(report))


def seen(spark: SparkSession, base: str, table: pa.Table, wants: Any) -> dict[str, Any]:
    """Score a SavedModel and a package there; their rows come from there and go there."""
    model = tf2spark.SavedModel(f"{base}/ctr")
    frame = spark.read.parquet(f"{base}/table.parquet").repartition(4)
    scored = model.score(frame, keep=["id"], reproducible=True)
    table_writer.write(spark.range(3), f"{base}/scored")
    table_writer.write(scored, f"{base}/scored", overwrite=True)
    package = model.compile(f"{base}/ctr.tf2spark")
    again = tf2spark.SavedModel(f"{base}/ctr.tf2spark")
    by_package = again.score(frame, keep=["id"], reproducible=True)
    if hadoop.scheme_of(base) is None:
        # On a local disk a new package takes the place of the old one's files at once, so that
        # only jobs of which a worker has opened the old one go on.
        by_package.count()
    overwritten = model.compile(f"{base}/ctr.tf2spark", fetch={"s": "output_0"}, overwrite=True)
    return {
        "version": model.contract.version,
        "path": model.contract.path,
        "scored": rows_of(spark.read.parquet(f"{base}/scored")) == wants,
        "same_digest": package.contract.package == again.contract.package,
        "by_package_that_was_overwritten": same_but_for_rounding(rows_of(by_package), wants),
        "overwritten": [one.name for one in overwritten.contract.signatures[0].outputs],
        "in_this_process": same_but_for_rounding(
            again_here(overwritten, table)["s"], wants["output_0"]
        ),
        "files": [one.path for one in hadoop.files(spark, f"{base}/ctr.tf2spark")],
    }


def again_here(package: tf2spark.SavedModel, table: pa.Table) -> Any:
    return package.score(table, keep=["id"], reproducible=True).sort_by("id").to_pydict()


def wrong_key(spark: SparkSession, base: str) -> str:
    """Return what S3 answers to another secret; another bucket makes Hadoop connect anew."""
    if not base.startswith("s3a:"):
        return ""
    spark.conf.set("fs.s3a.secret.key", "wrong")
    return said(lambda: tf2spark.SavedModel("s3a://another/models/ctr"))


def failures(spark: SparkSession, base: str, model_path: str) -> dict[str, str]:
    """Return what is said of models that are missing, partial or damaged."""
    put(spark, Path(model_path), f"{base}/half", without="variables/variables.index")
    model = tf2spark.SavedModel(f"{base}/ctr/3")
    for name in ("unwritten", "partial", "flipped"):
        model.compile(f"{base}/{name}")
    (stored,) = [one.path for one in hadoop.files(spark, f"{base}/partial/{FILES}")]
    hadoop.delete(spark, f"{base}/unwritten/{MANIFEST}")
    hadoop.delete(spark, f"{base}/partial/{FILES}/{stored}")
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / stored
        hadoop.download(spark, f"{base}/flipped/{FILES}/{stored}", local)
        content = bytearray(local.read_bytes())
        content[len(content) // 2] ^= 1
        local.write_bytes(content)
        hadoop.upload(spark, local, f"{base}/flipped/{FILES}/{stored}")
    # This process has a good copy, which would do.
    (staging_folder() / FILES / stored).unlink(missing_ok=True)
    return {
        "missing": said(lambda: tf2spark.SavedModel(f"{base}/nowhere")),
        "no_version": said(lambda: tf2spark.SavedModel(f"{base}/ctr", version=4)),
        "half": said(lambda: tf2spark.SavedModel(f"{base}/half")),
        "unwritten": said(lambda: tf2spark.SavedModel(f"{base}/unwritten")),
        "partial": said(lambda: tf2spark.SavedModel(f"{base}/partial")),
        "flipped": said(lambda: tf2spark.SavedModel(f"{base}/flipped")),
        "exists": said(lambda: model.compile(f"{base}/ctr.tf2spark")),
        "no_package": said(lambda: model.compile(f"{base}/ctr", overwrite=True)),
        "unknown_scheme": said(lambda: tf2spark.SavedModel("swift://c/models/ctr")),
        "wrong_key": wrong_key(spark, base),
        "missing_jar": said(lambda: tf2spark.SavedModel("oss://bucket/models/ctr")),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
