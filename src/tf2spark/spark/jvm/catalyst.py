"""Catalyst expressions and plans that PySpark has no functions for, made through py4j: no jar.

They are no interface: callers treat an error from them as "this Spark can't".
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tf2spark.spark.jvm.access import java_class, jvm, scala_seq
from tf2spark.spark.jvm.queries import dataframe_of, query_execution


def expressions(spark: SparkSession) -> Any:
    """Return the package of Catalyst's expressions."""
    return jvm(spark).org.apache.spark.sql.catalyst.expressions


def invoke(spark: SparkSession, target: Any, method: str, result: Any, *arguments: Any) -> Any:
    """Return `Invoke`: a call of a method, in generated code and in interpreted mode alike.

    It is deterministic, and null where the target or an argument is.

    Args:
        spark: The session.
        target: The expression whose value has the method.
        method: Its name.
        result: The type of its result. In interpreted mode nothing depends on it, but an
            `ObjectType` keeps the optimizer from evaluating the call.
        arguments: Expressions, by whose types the method is found, also if values are of others.
    """
    values, types = scala_seq(spark, arguments), scala_seq(spark, [])
    make = expressions(spark).objects.Invoke
    return make(target, method, result, values, types, True, True, True)


def object_literal(spark: SparkSession, value: Any) -> Any:
    """Return a literal that is a Java object."""
    return expressions(spark).Literal(value, _object_type(spark, value.getClass()))


def object_type(spark: SparkSession, class_name: str) -> Any:
    """Return Spark's type for the objects of a Java class."""
    return _object_type(spark, java_class(spark, class_name))


def _object_type(spark: SparkSession, the_class: Any) -> Any:
    return jvm(spark).org.apache.spark.sql.types.ObjectType(the_class)


def type_object(spark: SparkSession, name: str) -> Any:
    """Return one of Spark's types that are Scala objects, as "BinaryType"."""
    return getattr(getattr(jvm(spark).org.apache.spark.sql.types, f"{name}$"), "MODULE$")


def text_bytes(spark: SparkSession, java_string: Any) -> Any:
    """Return an expression of bytes, in UTF-8, from one whose values are Java's strings."""
    utf8 = jvm(spark).java.nio.charset.StandardCharsets.UTF_8
    charset = expressions(spark).Literal(utf8, object_type(spark, "java.nio.charset.Charset"))
    return invoke(spark, java_string, "getBytes", type_object(spark, "BinaryType"), charset)


def limit_partitions(df: DataFrame, rows: int) -> DataFrame:
    """Return a DataFrame with at most this many rows of each partition, without a shuffle.

    Raises:
        JavaError: This Spark has no `LocalLimit`, or takes it in another way.
    """
    number = expressions(df.sparkSession).Literal(rows, type_object(df.sparkSession, "IntegerType"))
    plans = jvm(df.sparkSession).org.apache.spark.sql.catalyst.plans.logical
    return dataframe_of(df, plans.LocalLimit(number, query_execution(df).analyzed()))
