"""Writes a table so that it appears whole or not at all: to a hidden sibling first, then renamed.

On HDFS and local disks a rename is atomic. Object stores (S3A, OSS) copy and delete instead, so a
reader there can see a table that is still being moved.
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

# The formats whose tables are folders of plain files. Others (delta, iceberg, jdbc, noop) have
# their own way to commit.
FILE_FORMATS = frozenset({"parquet", "orc", "json", "csv", "text", "avro", "xml"})

_EXISTS = "{path} already exists: pass --overwrite to replace it, or choose another --output"


def write(
    df: DataFrame,
    path: str,
    *,
    format: str = "parquet",
    options: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write `df` to `path`; if the job fails, what was there stays.

    Raises:
        OutputError: The output exists and `overwrite` is false, or can't be moved into place.
    """
    writer = df.write.format(format).options(**dict(options or {}))
    if format.lower() not in FILE_FORMATS:
        writer.mode("overwrite" if overwrite else "errorifexists").save(path)
        return
    spark = df.sparkSession
    check_table_free(spark, path, overwrite=overwrite)
    staged = _hidden_sibling(spark, path, "tf2spark")
    try:
        writer.mode("errorifexists").save(staged)
        _move_into_place(spark, staged, path)
    finally:
        # After a success there is nothing to delete, and after a failure the first error counts.
        with contextlib.suppress(Exception):
            delete(spark, staged)


def check_local_path(path: str, *, overwrite: bool) -> None:
    """Refuse an output that exists on this machine; needs no Spark.

    A path without a scheme is local, unless a Hadoop configuration may say otherwise.

    Raises:
        OutputError: It exists, and `overwrite` is false.
    """
    local = local_path(path)
    if local is not None and local.exists() and not overwrite:
        raise OutputError(_EXISTS.format(path=path))


def local_path(path: str) -> Path | None:
    """Return the local file that `path` names, or None where it may be on another file system."""
    parts = urlsplit(path)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme or any(name in os.environ for name in ("HADOOP_CONF_DIR", "SPARK_CONF_DIR")):
        return None
    return Path(path)


def check_table_free(spark: SparkSession, path: str, *, overwrite: bool) -> None:
    """Refuse an output that exists on its file system.

    Raises:
        OutputError: It exists, and `overwrite` is false.
    """
    if not overwrite and exists(spark, path):
        raise OutputError(_EXISTS.format(path=path))


def _hidden_sibling(spark: SparkSession, path: str, purpose: str) -> str:
    """Return the name of a new hidden sibling; readers of the parent folder skip hidden names."""
    _, target = resolve(spark, path)
    hidden = f".{target.getName()}.{purpose}-{uuid.uuid4().hex[:12]}"
    return str(hadoop_path(spark, target.getParent(), hidden).toString())


def _move_into_place(spark: SparkSession, staged: str, path: str) -> None:
    old = _hidden_sibling(spark, path, "old") if exists(spark, path) else None
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
