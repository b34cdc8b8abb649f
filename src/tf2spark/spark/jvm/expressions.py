"""Columns of PySpark as Catalyst's expressions, and back."""

from __future__ import annotations

from typing import Any

import pyspark
from pyspark.sql import Column, SparkSession

from tf2spark.spark.jvm.access import jvm, private_attribute


def catalyst_expression(spark: SparkSession, column: Column) -> Any:
    """Return the Catalyst expression of a column; it isn't resolved yet.

    Assumes `Column._jc`, and Spark's `ExpressionUtils.expression` (from 4.0 on) or `Column.expr`.

    Raises:
        SetupError: The column has no JVM that can be reached this way.
    """
    java_column = private_attribute(column, "_jc")
    utils = _expression_utils(spark)
    return java_column.expr() if utils is None else utils.expression(java_column)


def catalyst_column(spark: SparkSession, expression: Any) -> Column:
    """Return a column of a Catalyst expression.

    Assumes Spark's `ExpressionUtils.column` and PySpark's `pyspark.sql.classic.column.Column`
    (from 4.0 on), or the constructors of both `Column` classes.
    """
    utils = _expression_utils(spark)
    if utils is None:
        return Column(jvm(spark).org.apache.spark.sql.Column(expression))
    from pyspark.sql.classic.column import Column as ClassicColumn

    return ClassicColumn(utils.column(expression))


def _expression_utils(spark: SparkSession) -> Any | None:
    """Return Spark's `ExpressionUtils`, None where the release has none."""
    if pyspark.__version__.startswith("3."):
        return None
    return jvm(spark).org.apache.spark.sql.classic.ExpressionUtils
