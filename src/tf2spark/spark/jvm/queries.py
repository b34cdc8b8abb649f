"""Queries of DataFrames: their plans, and their rows as Arrow tables."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyspark
from pyspark.sql import DataFrame, SparkSession

from tf2spark.errors import SetupError
from tf2spark.spark.jvm.access import JOB_ERRORS, jvm, private_attribute
from tf2spark.spark.types import arrow_schema


def depends_on_time(spark: SparkSession, plan: Any) -> bool:
    """Say whether a logical plan has the current time or date, which each query gets anew.

    Assumes Spark's `TreePattern.CURRENT_LIKE`, by which its optimizer finds them.
    """
    pattern = getattr(jvm(spark).org.apache.spark.sql.catalyst.trees, "TreePattern$")
    return bool(plan.containsPattern(getattr(pattern, "MODULE$").CURRENT_LIKE()))


def query_execution(df: DataFrame) -> Any:
    """Return Spark's `QueryExecution` of a DataFrame, which has its logical and physical plans.

    Assumes `DataFrame._jdf`. Plans are no interface: their classes may differ in any release, so
    callers treat an error from them as "unknown".

    Raises:
        SetupError: The DataFrame has no JVM that can be reached this way.
    """
    return private_attribute(df, "_jdf").queryExecution()


def input_file_count(df: DataFrame) -> int:
    """Return how many files a DataFrame's query reads, without bringing their names to Python.

    Assumes `DataFrame._jdf`.

    Raises:
        SetupError: The DataFrame has no JVM that can be reached this way.
    """
    return len(private_attribute(df, "_jdf").inputFiles())


def dataframe_of(df: DataFrame, plan: Any) -> DataFrame:
    """Return the DataFrame of a logical plan, in the session of another.

    Assumes `SparkSession._jsparkSession`, Spark's `Dataset.ofRows`, and that PySpark's classes take
    a Dataset and a session.
    """
    spark = df.sparkSession
    sql = jvm(spark).org.apache.spark.sql
    datasets = sql.Dataset if pyspark.__version__.startswith("3.") else sql.classic.Dataset
    dataset = datasets.ofRows(private_attribute(spark, "_jsparkSession"), plan)
    return type(df)(dataset, spark)


def collect_arrow(df: DataFrame) -> pa.Table:
    """Return the rows of a DataFrame as an Arrow table.

    PySpark has `DataFrame.toArrow` from 4.0 on. PySpark 3.5 has the same as the private
    `_collect_as_arrow`, whose batches are numbered instead of named.

    Raises:
        SetupError: This PySpark has neither.
    """
    table = df.toArrow() if hasattr(df, "toArrow") else _collect_batches(df)
    return table.rename_columns(df.columns)


def _collect_batches(df: DataFrame) -> pa.Table:
    batches = private_attribute(df, "_collect_as_arrow")()
    return pa.Table.from_batches(batches) if batches else arrow_schema(df.schema).empty_table()


def first_rows(df: DataFrame, rows: int) -> DataFrame:
    """Return a DataFrame's first rows, which the driver has then, as a DataFrame of their own.

    Spark looks at one partition first, and at more where there are too few rows in it. For
    ``df.limit(rows)`` as an Arrow table, it would compute them all (seen on 4.3).

    Assumes `DataFrame._jdf`, `SparkSession._jsparkSession`, and Spark's `Dataset.takeAsList`.

    Raises:
        SetupError: The session has no JVM that can be reached this way, or takes no such rows back.
        JavaError: The job failed.
    """
    dataset, spark = private_attribute(df, "_jdf").toDF(), df.sparkSession
    session, taken = private_attribute(spark, "_jsparkSession"), dataset.takeAsList(rows)
    try:
        return type(df)(session.createDataFrame(taken, dataset.schema()), spark)
    except JOB_ERRORS as error:
        raise SetupError(f"Spark doesn't take rows back: {error}") from None
