"""Conditions that Spark's optimizer evaluates, once for each query."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import Column, SparkSession

from tf2spark.spark.jvm.access import jvm
from tf2spark.spark.jvm.catalyst import invoke, object_literal, text_bytes, type_object
from tf2spark.spark.jvm.expressions import catalyst_column
from tf2spark.spark.scan.answers import is_answer


def texts(spark: SparkSession, listed: str) -> Any:
    """Return a Java object that gives one text after the other."""
    return jvm(spark).java.util.StringTokenizer(listed)


def next_text(spark: SparkSession, listed: Any) -> Any:
    text = type_object(spark, "StringType")
    return invoke(spark, object_literal(spark, listed), "nextToken", text)


def question(spark: SparkSession, listed: Any) -> Column:
    return catalyst_column(spark, text_bytes(spark, next_text(spark, listed))).cast("string")


@pytest.mark.oldest
def test_a_question_is_asked_once_a_query(spark: SparkSession) -> None:
    """However often a plan has it, and again for the next query; before it, something else."""
    answers, others = texts(spark, "1 2 3 4 5"), texts(spark, "a b c d e")
    is_second = is_answer(spark, question(spark, answers), "2", before=next_text(spark, others))
    df = spark.range(3).where(is_second).union(spark.range(5).where(~is_second))
    assert [df.count() for _ in range(3)] == [5, 3, 5]
    assert (answers.countTokens(), others.countTokens()) == (2, 2)


def test_a_plan_has_one_of_two_ways(spark: SparkSession) -> None:
    """What is excluded isn't in the plan, so that nothing of it runs."""
    condition = is_answer(spark, question(spark, texts(spark, "1 2")), "1")
    df = spark.range(3).where(condition).union(spark.range(4).where(~condition))
    plan = df._jdf.queryExecution().executedPlan().toString()
    assert "Range (0, 3" in plan
    assert not any(node in plan for node in ("Union", "Filter", "Range (0, 4"))
