"""`register_tfrecord`: makes ``tfrecord`` a format of a Spark session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf2spark.errors import SetupError
from tf2spark.tfrecord import FORMAT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def register_tfrecord(spark: SparkSession) -> None:
    """Make ``tfrecord`` a format of a session, for reading and for writing, without a jar.

    ``spark.read.format("tfrecord").load(path)`` reads records as they are, into one column
    ``value`` of binary. With a schema, ``.schema("age long, tags array<string>")``, columns are the
    features of serialized ``tf.Example`` messages. ``df.write.format("tfrecord").mode("append")``
    writes one column of strings or binary as records, and other columns as ``tf.Example``. Source
    of the format: ``tensorflow/core/lib/io/record_writer.h``.

    Raises:
        SetupError: Spark is older than 4.0, which needs a jar for it.
    """
    if not has_python_sources(spark):
        raise no_tfrecord()
    from tf2spark.spark.shipping import ship_own_code
    from tf2spark.spark.tfrecord.session_storage import storage_of
    from tf2spark.spark.tfrecord.source import source_on

    ship_own_code(spark)
    spark.dataSource.register(source_on(storage_of(spark)))


def register_format(spark: SparkSession, format: str) -> None:
    """Register ``tfrecord`` if that is the format, unless a jar has to provide it."""
    if format.lower() == FORMAT and has_python_sources(spark):
        register_tfrecord(spark)


def has_python_sources(spark: SparkSession) -> bool:
    """Return whether data sources can be written in Python: in Spark 4.0 and later."""
    return int(spark.version.split(".")[0]) >= 4


def no_tfrecord() -> SetupError:
    """Return the error of a Spark that needs a jar for TFRecord files."""
    return SetupError(
        'the format "tfrecord" needs Spark 4.0 or later, whose data sources can be in Python',
        "on Spark 3.5, build spark-tfrecord of LinkedIn for its Scala and start the session with "
        "--conf spark.jars=JAR, whose format has the same name; or convert the files on Spark 4",
    )
