"""`spark.recognize`: Spark's sessions and errors, told by the names of their classes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from tf2spark.spark.recognize import is_connect, is_java_error, is_query_error


def test_connect_is_told_from_classic(spark: SparkSession) -> None:
    """Sessions and DataFrames of Connect are of their own module."""
    from pyspark.sql.connect.dataframe import DataFrame

    assert not is_connect(spark)
    assert not is_connect(spark.range(1))
    assert is_connect(object.__new__(DataFrame))


def test_objects_of_moved_classes_are_taken_for_classic() -> None:
    """What a release names differently isn't recognized; the JVM that it lacks is missed later."""
    moved = type("SparkSession", (), {"__module__": "pyspark.remote.session"})
    assert not is_connect(moved())


def test_errors_about_queries_are_the_users(spark: SparkSession) -> None:
    """A query that Spark refuses, and nothing else."""
    with pytest.raises(AnalysisException) as caught:
        spark.range(1).select("nowhere")
    assert is_query_error(caught.value)
    assert not is_query_error(ValueError())
    assert not is_query_error(type("AnalysisException", (Exception,), {})())


def test_errors_of_java_are_py4js(spark: SparkSession) -> None:
    """Their first line names the call, not the cause."""
    with pytest.raises(Exception, match="calling") as caught:
        spark._jvm.java.util.ArrayDeque().getFirst()  # type: ignore[union-attr]
    assert is_java_error(caught.value)
    assert not is_query_error(caught.value)
    assert not is_java_error(ValueError())


def test_pyspark_is_not_imported() -> None:
    """A command that ends with an error of its own doesn't pay for Spark."""
    program = "import sys, tf2spark.spark.recognize; print('pyspark' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
