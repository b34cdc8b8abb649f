"""What a report says of the Spark that ran a job: settings, versions, memory, plan."""

from __future__ import annotations

import contextlib
import platform
import re
from pathlib import Path

import pyspark
from pyspark.sql import DataFrame, SparkSession

from tf2spark.errors import SetupError
from tf2spark.shown_text import safe_setting
from tf2spark.spark.facts.status_store import executor_heap_peaks
from tf2spark.spark.jvm.access import JavaError, jvm
from tf2spark.spark.jvm.queries import query_execution

# What Spark sets by itself at every start; it says nothing of a job.
_LEFT_OUT = (
    "spark.driver.host",
    "spark.driver.port",
    "spark.app.startTime",
    "spark.rdd.compress",
    "spark.app.submitTime",
    "spark.app.initial.",
    "spark.driver.extraJavaOptions",
    "spark.executor.extraJavaOptions",
    "spark.sql.warehouse.dir",
)


def settings_of(spark: SparkSession) -> list[tuple[str, str]]:
    """Return the settings that were made for a session, in order, without secrets."""
    settings = dict(spark.sparkContext.getConf().getAll())
    return [
        (key, safe_setting(key, value))
        for key, value in sorted(settings.items())
        if not key.startswith(_LEFT_OUT)
    ]


def versions_of(spark: SparkSession) -> list[tuple[str, str]]:
    """Return the versions of Spark, of its Java and of the driver's Python."""
    versions = [("Spark", spark.version), ("PySpark", pyspark.__version__)]
    with contextlib.suppress(SetupError, JavaError):  # the page can do without
        versions.append(("Java", str(jvm(spark).java.lang.System.getProperty("java.version"))))
    return [*versions, ("Python", platform.python_version())]


def jvm_peaks(spark: SparkSession) -> list[tuple[str, int]]:
    """Return the most memory that Spark's JVMs have used, in bytes, of those where it is known.

    Of the driver's, the resident memory (proc(5): VmHWM); of executors, the heap that Spark has
    reported with their heartbeats and tasks.
    """
    peaks = []
    with contextlib.suppress(SetupError, JavaError, OSError):
        pid = int(jvm(spark).java.lang.ProcessHandle.current().pid())
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        if found := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
            peaks.append(("Spark's JVM here, peak", int(found[1]) * 1024))
    with contextlib.suppress(SetupError, JavaError):
        heaps = executor_heap_peaks(spark)
        if heaps:
            peaks.append((f"executors' heap, peak, the largest of {len(heaps):,}", max(heaps)))
    return peaks


def plan_lines(table: DataFrame) -> list[str]:
    """Return how Spark runs a table's query; empty where it can't be asked."""
    try:
        text = str(query_execution(table).simpleString())
    except (SetupError, JavaError):
        return []
    return [line for line in text.splitlines() if line.strip()]
