"""Spark's objects told by the module of their class, without importing PySpark.

PySpark has no public test for these that works in a process without PySpark, and in one that has
only its Connect client. All releases from 3.4 on keep the names of these modules. An object from a
release that moves them is taken for none of Spark's, or for one of a classic session.
"""

from __future__ import annotations

from typing import Any


def is_dataframe(table: Any) -> bool:
    """Say whether a table is a Spark DataFrame, classic or Connect.

    Where a release moves the class, `score` refuses the table as one of an unknown kind.
    """
    return any(base.__module__.startswith("pyspark.sql") for base in type(table).__mro__)


def is_connect(owner: Any) -> bool:
    """Say whether a session or a DataFrame is one of Spark Connect, which has no JVM here.

    Where a release moves the classes, `tf2spark.spark.jvm` finds no JVM and says so.
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
