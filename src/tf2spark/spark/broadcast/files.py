"""Large files of models as Spark's broadcast variables, which executors pass on to each other.

`SparkContext.addFile` has every executor fetch a file from the driver, whose network card sends
1 TB where a model of 1 GB goes to 1,000 executors. Of a broadcast variable, an executor fetches
each piece from any executor that has it, and keeps it for others.

That costs executors more CPU than to fetch a file, about 50 ms per MB on a slow core, so it is done
only where many executors are there or may come.

A file is cut into variables of 32 MiB, because an executor holds a whole variable in its heap while
it puts the pieces together. Its Python workers then read it from disk (`PythonBroadcast`), and only
those that unpack the model read it at all.

Spark's cleaner removes a variable from the blocks of driver and executors once nothing refers to
it: no query that scores with the model, and none of the models that were shipped last. PySpark's
own file of it on the driver stays until the session ends: Spark reads it again if memory is short.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.package.file_source import FileSource
from tf2spark.package.manifest import FileEntry
from tf2spark.plan.score import BroadcastFile, ModelRef
from tf2spark.spark.broadcast import seeding
from tf2spark.spark.jvm.status import executor_count

CHUNK_BYTES = 32 << 20
LEAST_BYTES = 8 << 20
_KEPT_MODELS = 4
_kept: OrderedDict[tuple[str, str], tuple[BroadcastFile, ...]] = OrderedDict()


def is_broadcast(spark: SparkSession, entry: FileEntry) -> bool:
    """Say whether a file of this machine goes out as broadcast variables.

    Not if Spark encrypts what it writes to disk: each Python worker would hold all of a model in
    memory, since only the JVM has the key.
    """
    if entry.size_bytes < LEAST_BYTES:
        return False
    encrypts = spark.sparkContext.getConf().get("spark.io.encryption.enabled", "false")
    return str(encrypts).lower() != "true"


def expected_executors(spark: SparkSession) -> float:
    """Return how many executors there are, are requested, or may come by dynamic allocation."""
    conf = spark.sparkContext.getConf()
    if str(conf.get("spark.dynamicAllocation.enabled", "false")).lower() == "true":
        return float(conf.get("spark.dynamicAllocation.maxExecutors", "inf") or "inf")
    requested = int(conf.get("spark.executor.instances", "0") or 0)
    return max(executor_count(spark) or 0, requested)


def broadcast_files(
    spark: SparkSession, model: ModelRef, source: FileSource
) -> tuple[BroadcastFile, ...]:
    """Return the large files of a model as broadcast variables; those shipped last are kept.

    There are none where few executors are expected.

    Raises:
        ModelError: A file is missing, or its bytes are not those of its entry.
    """
    entries = {entry.sha256: entry for entry in model.files if is_broadcast(spark, entry)}
    if not entries or expected_executors(spark) < seeding.FEWEST_EXECUTORS:
        return ()
    key = (str(spark.sparkContext.applicationId), model.digest)
    if key not in _kept:
        files = tuple(
            BroadcastFile(sha256, _broadcast(spark, entry, source))
            for sha256, entry in entries.items()
        )
        seeding.seed(spark, [chunk for file in files for chunk in file.chunks])
        _kept[key] = files
    _kept.move_to_end(key)
    for other in [other for other in _kept if other[0] != key[0]]:  # its context has ended
        del _kept[other]
    while len(_kept) > _KEPT_MODELS:
        _kept.popitem(last=False)
    return _kept[key]


def _broadcast(spark: SparkSession, entry: FileEntry, source: FileSource) -> tuple[Any, ...]:
    """Broadcast a file, hashing the very bytes that are sent."""
    total, chunks = hashlib.sha256(), []
    with source.open(entry) as stream:
        while block := stream.read(CHUNK_BYTES):
            total.update(block)
            chunks.append(spark.sparkContext.broadcast(block))
    if total.hexdigest() != entry.sha256:
        for chunk in chunks:
            chunk.destroy()
        raise source.mismatch(entry)
    return tuple(chunks)
