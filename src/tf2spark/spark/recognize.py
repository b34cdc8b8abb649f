"""What kind of object Spark handed us, by the name of its class, without importing PySpark.

PySpark has no public test for these that also works without PySpark, or with its Connect client
alone. The names are those of all releases from 3.4 on. `tf2spark.table_types` tells
tables apart.
"""

from __future__ import annotations

from typing import Any


def is_connect(owner: Any) -> bool:
    """Say whether a session or a DataFrame is one of Spark Connect, which has no JVM here.

    Where a release moves the classes, `tf2spark.spark.jvm.access` finds no JVM and says so.
    """
    return type(owner).__module__.startswith("pyspark.sql.connect")


def is_query_error(error: BaseException) -> bool:
    """Say whether Spark refused a query, or an argument of one: the user's to correct.

    Where a release renames these, the command line reports the error as an unexpected one.
    """
    kind = type(error)
    return kind.__module__.startswith("pyspark") and kind.__name__ in (
        "AnalysisException",
        "ParseException",
        "IllegalArgumentException",
    )


def is_java_error(error: BaseException) -> bool:
    """Say whether py4j raised an error for an exception of the JVM, whose class it names first."""
    return type(error).__name__ == "Py4JJavaError"
