"""Hidden folders next to an output on HDFS or an object store, which runs write and rename."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.package.publish import Sibling, parse_sibling
from tf2spark.spark.hadoop import resolve
from tf2spark.spark.jvm.access import jvm


def siblings(spark: SparkSession, path: str) -> Iterator[tuple[Sibling, Any]]:
    """Yield the hidden siblings of an output, each with Hadoop's FileStatus of it."""
    file_system, target = resolve(spark, path)
    parent, name = target.getParent(), str(target.getName())
    if parent is None:
        return
    pattern = re.sub(r"([*?\[\]{}\\^,])", r"\\\1", f".{name}.") + "*"
    only_siblings = jvm(spark).org.apache.hadoop.fs.GlobFilter(pattern)
    for status in file_system.listStatus(parent, only_siblings):
        sibling = parse_sibling(name, str(status.getPath().getName()))
        if sibling is not None:
            yield sibling, status
