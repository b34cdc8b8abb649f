"""Whether the driver and the executors have hdfs-native, the client that workers read HDFS by."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator

from pyspark.sql import SparkSession

from tf2spark.spark.scan.not_readable import NotReadable

_INSTALL = "install tf2spark[hdfs] on every host to have workers read HDFS"
# By the id of the application, which asks once.
_hosts_without: dict[str, tuple[str, ...]] = {}


def check_hdfs_native(spark: SparkSession) -> None:
    """Run a small job, once a Spark application, that asks the executors.

    Raises:
        NotReadable: The driver or one of the executors lacks it.
    """
    if importlib.util.find_spec("hdfs_native") is None:
        raise NotReadable(f"the driver lacks hdfs-native: {_INSTALL}")
    application = spark.sparkContext.applicationId
    if application not in _hosts_without:
        _hosts_without[application] = _ask_executors(spark)
    if hosts := _hosts_without[application]:
        raise NotReadable(f"{', '.join(hosts)} lacks hdfs-native: {_INSTALL}")


def _ask_executors(spark: SparkSession) -> tuple[str, ...]:
    """Return some of the hosts whose Python lacks hdfs-native."""
    context = spark.sparkContext
    tasks = min(max(context.defaultParallelism, 2), 64)

    # It travels by value: the executors may not have tf2spark.
    def hosts_without(_: Iterable[int]) -> Iterator[str]:
        import importlib.util
        import socket

        if importlib.util.find_spec("hdfs_native") is None:
            yield socket.gethostname()

    numbers = context.parallelize(range(tasks), tasks)
    return tuple(sorted(set(numbers.mapPartitions(hosts_without).collect()))[:3])
