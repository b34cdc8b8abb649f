"""Conditions that Spark's optimizer evaluates on the driver, once for each query that it plans.

The optimizer replaces an expression without columns by its value. So a filter by a condition of
Java's objects leaves all of its input in a plan or none of it, and nothing of it reaches a task.

A plan may have the same condition in several places, between which the answer may change; but
`now()`, which Spark fixes for a query before it evaluates anything, is the key under which the
first answer is kept. (The other `current_timestamp` is a column in streams.)
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tf2spark.spark.jvm.access import jvm, scala_seq
from tf2spark.spark.jvm.catalyst import expressions, invoke, object_literal, type_object
from tf2spark.spark.jvm.expressions import catalyst_column, catalyst_expression
from tf2spark.spark.scan.not_readable import NotReadable

# The optimizer's rules that evaluate the condition, and leave out what it excludes.
_NEEDED_RULES = ("ConstantFolding", "PruneFilters", "PropagateEmptyRelation")
_EXCLUDED_RULES = "spark.sql.optimizer.excludedRules"


def check_rules(spark: SparkSession) -> None:
    """Refuse a session whose optimizer lacks a rule.

    Raises:
        NotReadable: It does.
    """
    excluded = spark.conf.get(_EXCLUDED_RULES, None) or ""
    for rule in _NEEDED_RULES:
        if rule in excluded:
            raise NotReadable(f"{_EXCLUDED_RULES} has {rule}")


def is_answer(
    spark: SparkSession, question: Column, expected: str, *, before: Any = None
) -> Column:
    """Return the condition that a question has an answer, which is asked once a query.

    Args:
        spark: The session.
        question: A text, from expressions without columns.
        expected: The answer for which the condition is true.
        before: An expression that is evaluated before the question; its value, which isn't null,
            doesn't count.
    """
    text = type_object(spark, "StringType")
    key = invoke(spark, expressions(spark).Now(), "toString", text)
    kept = object_literal(spark, jvm(spark).java.util.concurrent.ConcurrentHashMap())
    asked = catalyst_expression(spark, question)
    # The first that isn't null is the answer. To remove what isn't there is null, and so is to put
    # what wasn't there.
    steps = [
        invoke(spark, kept, "get", text, key),
        *([] if before is None else [invoke(spark, kept, "remove", text, before)]),
        invoke(spark, kept, "putIfAbsent", text, key, asked),
        invoke(spark, kept, "get", text, key),
    ]
    answer = expressions(spark).Coalesce(scala_seq(spark, steps))
    return catalyst_column(spark, answer) == F.lit(expected)
