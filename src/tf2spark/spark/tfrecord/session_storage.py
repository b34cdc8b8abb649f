"""What a session says of its file systems, gathered for processes that have no session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.spark.jvm.access import JavaError, hadoop_configuration, hadoop_user, jvm
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.tfrecord.storage import Storage

_PREFIXES = ("fs.s3a.", "fs.oss.", "dfs.ha.namenodes.", "dfs.namenode.rpc-address.")
_NAMES = (
    "fs.defaultFS",
    "fs.s3.impl",
    "fs.s3n.impl",
    "fs.hdfs.impl",
    "dfs.client.use.datanode.hostname",
    "hadoop.rpc.protection",
    "hadoop.security.authentication",
    "hadoop.security.credential.provider.path",
)
_IN_SPARK = "spark.hadoop."


def storage_of(spark: SparkSession) -> Storage:
    """Return the file systems of a session.

    A Spark Connect client sees the settings of Spark alone, and none of Hadoop's files.
    """
    if is_connect(spark):
        return Storage(dict(_spark_settings(spark)))
    _load_hdfs_settings(spark)
    return Storage(dict(_hadoop_settings(hadoop_configuration(spark))), hadoop_user(spark))


def _spark_settings(spark: Any) -> Iterator[tuple[str, str]]:
    for name, value in dict(spark.conf.getAll).items():
        key = name.removeprefix(_IN_SPARK)
        if name.startswith(_IN_SPARK) and (key in _NAMES or key.startswith(_PREFIXES)):
            yield key, value


def _hadoop_settings(configuration: Any) -> Iterator[tuple[str, str]]:
    for name in _NAMES:
        if (value := configuration.get(name)) is not None:
            yield name, value
    for prefix in _PREFIXES:
        for name, value in configuration.getPropsWithPrefix(prefix).items():
            yield prefix + name, value


def _load_hdfs_settings(spark: SparkSession) -> None:
    """Have Hadoop read hdfs-site.xml, which it does with the first use of HDFS otherwise."""
    try:
        jvm(spark).org.apache.hadoop.hdfs.HdfsConfiguration.init()
    except (JavaError, TypeError):  # a Spark without HDFS's client
        return
