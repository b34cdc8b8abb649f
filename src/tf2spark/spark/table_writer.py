"""Write a table so that it appears whole or not at all: beside its place first, then by rename.

On HDFS and local disks a rename is one step. Object stores (S3A, OSS) copy and delete instead, so
there a reader can meet a table that is still being moved into place.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pyspark.sql import DataFrame, SparkSession

from tf2spark.errors import OutputError
from tf2spark.spark.hadoop import delete, exists, rename, resolve
from tf2spark.spark.jvm import hadoop_path

# The formats whose table is a folder of plain files. Others (delta, iceberg, jdbc, noop) have
# commits of their own and are left to them.
FILE_FORMATS = frozenset({"parquet", "orc", "json", "csv", "text", "avro", "xml"})

_EXISTS = "{path} exists already: write --overwrite to replace it, or choose another --output"


def write(
    df: DataFrame,
    path: str,
    *,
    format: str = "parquet",
    options: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write `df` to `path`; a job that fails leaves there what was there before.

    Raises:
        OutputError: The output exists and `overwrite` is false, or can't be moved into place.
    """
    writer = df.write.format(format).options(**dict(options or {}))
    if format.lower() not in FILE_FORMATS:
        writer.mode("overwrite" if overwrite else "errorifexists").save(path)
        return
    spark = df.sparkSession
    check_free(spark, path, overwrite=overwrite)
    staged = _beside(spark, path, "tf2spark")
    try:
        writer.mode("errorifexists").save(staged)
        _move_into_place(spark, staged, path)
    finally:
        # After a success there is nothing left to delete; a failure must not hide behind another.
        with contextlib.suppress(Exception):
            delete(spark, staged)


def check_local_path(path: str, *, overwrite: bool) -> None:
    """Refuse an output that exists on this machine; needs no Spark.

    A path without a scheme is a local one, unless Hadoop's configuration may say otherwise.

    Raises:
        OutputError: It exists, and `overwrite` is false.
    """
    local = local_path(path)
    if local is not None and local.exists() and not overwrite:
        raise OutputError(_EXISTS.format(path=path))


def local_path(path: str) -> Path | None:
    """Return the local file that `path` surely names, or None where it may be another's."""
    parts = urlsplit(path)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme or any(name in os.environ for name in ("HADOOP_CONF_DIR", "SPARK_CONF_DIR")):
        return None
    return Path(path)


def check_free(spark: SparkSession, path: str, *, overwrite: bool) -> None:
    """Refuse an output that exists on its file system.

    Raises:
        OutputError: It exists, and `overwrite` is false.
    """
    if not overwrite and exists(spark, path):
        raise OutputError(_EXISTS.format(path=path))


def _beside(spark: SparkSession, path: str, purpose: str) -> str:
    """Name a new hidden sibling; readers of the parent folder pass hidden names by."""
    _, target = resolve(spark, path)
    hidden = f".{target.getName()}.{purpose}-{uuid.uuid4().hex[:12]}"
    return str(hadoop_path(spark, target.getParent(), hidden).toString())


def _move_into_place(spark: SparkSession, staged: str, path: str) -> None:
    old = _beside(spark, path, "old") if exists(spark, path) else None
    if old is not None:
        rename(spark, path, old)
    try:
        rename(spark, staged, path)
    except Exception:
        if old is not None:
            rename(spark, old, path)
        raise
    if old is not None:
        delete(spark, old)
