"""Table formats whose jars a session lacks: which coordinate to add."""

from __future__ import annotations

import re

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from tf2spark.errors import SetupError
from tf2spark.spark.jvm.access import JavaError, jvm, session_state
from tf2spark.spark.tfrecord.register import has_python_sources, no_tfrecord, register_format
from tf2spark.tfrecord import FORMAT

# The newest release of each for a minor version of Spark; see docs/jobs.md.
_DELTA = {
    "3.5": "delta-spark_{scala}:3.3.3",
    "4.0": "delta-spark_4.0_2.13:4.4.0",
    "4.1": "delta-spark_4.1_2.13:4.4.0",
    "4.2": "delta-spark_4.2_2.13:4.4.0",
}
_ICEBERG = {
    "3.5": "iceberg-spark-runtime-3.5_{scala}:1.12.0",
    "4.0": "iceberg-spark-runtime-4.0_2.13:1.11.0",
    "4.1": "iceberg-spark-runtime-4.1_2.13:1.12.0",
}
_DELTA_SETTINGS = (
    "--conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension "
    "--conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog"
)
_ICEBERG_SETTINGS = (
    "--conf spark.sql.extensions="
    "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions "
    "--conf spark.sql.catalog.NAME=org.apache.iceberg.spark.SparkCatalog "
    "--conf spark.sql.catalog.NAME.type=hive (or hadoop, rest, ...)"
)
_MISSING = re.compile(
    r"DATA_SOURCE_NOT_FOUND|Failed to find (?:the )?data source|PLUGIN_CLASS_NOT_FOUND"
    r"|Cannot find catalog plugin class|ClassNotFoundException|NoClassDefFoundError",
)
_NO_DELTA_SETTINGS = re.compile(r"DELTA_CONFIGURE_SPARK_SESSION_WITH_EXTENSION_AND_CATALOG")


def missing_jar(spark: SparkSession, text: str) -> SetupError | None:
    """Return what to add to a session, from the text of a Spark exception; None if nothing is."""
    if _NO_DELTA_SETTINGS.search(text):
        return SetupError(
            "Delta's jar is there, but the session isn't configured for it",
            f"add {_DELTA_SETTINGS}",
        )
    if not _MISSING.search(text):
        return None
    lowered = text.lower()
    if re.search(r"data source: delta|io\.delta|spark\.sql\.delta", lowered):
        return _error(spark, "Delta tables need", "io.delta", _DELTA, _DELTA_SETTINGS)
    if re.search(r"data source: iceberg|apache\.iceberg", lowered):
        return _error(
            spark, "Iceberg tables need", "org.apache.iceberg", _ICEBERG, _ICEBERG_SETTINGS
        )
    if re.search(r"data source: tfrecord", lowered):
        return no_tfrecord()
    match = re.search(r"data source: (avro|org\.apache\.spark\.sql\.avro)", lowered)
    if match:
        coordinate = f"org.apache.spark:spark-avro_{_scala(spark)}:{spark.version}"
        return SetupError(
            "Avro files need a jar that this session lacks",
            f"start it with --conf spark.jars.packages={coordinate}",
        )
    match = re.search(
        r"plugin class '?([\w.$]+)|catalog plugin class for catalog '\w+': ([\w.$]+)", text
    )
    if match:
        return SetupError(
            f"the class {match[1] or match[2]} of a catalog isn't in any jar of this session",
            "start it with --conf spark.jars.packages=GROUP:ARTIFACT:VERSION",
        )
    return None


def check_format(spark: SparkSession, format: str) -> None:
    """Check that the session has the jar of a table format, if it is one whose jar is known.

    Assumes Spark's `DataSource.lookupDataSource`; where a release lacks it, nothing is checked.

    Raises:
        SetupError: It lacks the jar.
    """
    if format.lower() == FORMAT:
        # Spark looks for a data source in Python among those that are registered.
        register_format(spark, format)
        if has_python_sources(spark):
            return
    try:
        source = jvm(spark).org.apache.spark.sql.execution.datasources.DataSource
        source.lookupDataSource(format, session_state(spark).conf())
    except (JavaError, PySparkException, TypeError) as error:
        missing = missing_jar(spark, str(error))
        if missing is not None:
            raise missing from error


def _error(
    spark: SparkSession, need: str, group: str, artifacts: dict[str, str], settings: str
) -> SetupError:
    minor = ".".join(spark.version.split(".")[:2])
    artifact = artifacts.get(minor)
    if artifact is None:
        newest = list(artifacts)[-1]
        known = f"{group}:{artifacts[newest].format(scala='2.13')}"
        return SetupError(
            f"{need} a jar that this session lacks, and no release for Spark {minor} is known to "
            f"work: the newest is {known}, for Spark {newest}",
            f"run the job on PySpark {newest} with --conf spark.jars.packages={known} {settings}",
        )
    coordinate = f"{group}:{artifact.format(scala=_scala(spark))}"
    return SetupError(
        f"{need} a jar that this session lacks",
        f"start it with --conf spark.jars.packages={coordinate} {settings}",
    )


def _scala(spark: SparkSession) -> str:
    """Return the version of Scala that Spark was built with, as names of artifacts have it."""
    try:
        version = str(jvm(spark).scala.util.Properties.versionNumberString())
    except (JavaError, PySparkException, SetupError, TypeError):
        version = "2.13"
    return ".".join(version.split(".")[:2])
