"""Random tables through random plans: packed and plain transport give the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from cases.packed_rows import check_same_rows

Step = Callable[[DataFrame], DataFrame]
_NUMBERS = ["boolean", "tinyint", "smallint", "int", "bigint", "float", "double"]
_RANGES = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}

STEPS: dict[str, Step] = {
    "filter": lambda df: df.where("id % 3 != 1"),
    "repartition": lambda df: df.repartition(2, "id"),
    "sort": lambda df: df.sort(F.col("id").desc()),
    "limit": lambda df: df.sort("id").limit(4),
    "broadcast join": lambda df: df.join(F.broadcast(df.select("id").distinct()), "id"),
    "outer join": lambda df: df.sparkSession.range(3, 9).join(df.hint("merge"), "id", "left"),
    "union": lambda df: df.union(df),
    "first": lambda df: df.groupBy("id").agg(F.first("a").alias("a"), F.last("b").alias("b")),
    "transform": lambda df: df.withColumn("a", F.transform("a", lambda each: each)),
    "reverse": lambda df: df.withColumn("b", F.reverse("b")),
    "slice": lambda df: df.withColumn("a", F.slice("a", 1, 2)),
    "filter elements": lambda df: df.withColumn("b", F.filter("b", lambda each: each.isNotNull())),
    "explode": lambda df: df.withColumn("id", F.explode(F.array("id", F.col("id") + 1))),
    "collect": lambda df: df.groupBy("id").agg(
        F.max("a").alias("a"), F.get(F.array_sort(F.collect_set("b")), F.lit(0)).alias("b")
    ),
    "case": lambda df: df.withColumn("a", F.when(F.col("id") > 2, F.col("a"))),
    "sample": lambda df: df.sample(fraction=0.99, seed=1),
}


def kinds() -> st.SearchStrategy[t.DataType]:
    """Draw types of arrays, of which those that numbers make up are packed."""
    elements = st.recursive(
        st.sampled_from([*_NUMBERS, "string"]),
        lambda inner: (
            inner.map(lambda kind: f"array<{kind}>")
            | st.tuples(inner, inner).map(lambda two: f"struct<x:{two[0]},y:{two[1]}>")
        ),
        max_leaves=3,
    )
    return elements.map(lambda kind: t._parse_datatype_string(f"array<{kind}>"))


def values(kind: t.DataType) -> st.SearchStrategy[Any]:
    """Draw values of a Spark type, or null."""
    if isinstance(kind, t.ArrayType):
        return st.none() | st.lists(values(kind.elementType), max_size=4)
    if isinstance(kind, t.StructType):
        return st.none() | st.tuples(*(values(field.dataType) for field in kind))
    name = kind.simpleString()
    if name in _RANGES:
        bound = 2 ** _RANGES[name]
        return st.none() | st.integers(-bound, bound - 1)
    if name in ("float", "double"):
        return st.none() | st.floats(width=32)
    return st.none() | (st.booleans() if name == "boolean" else st.text(max_size=3))


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_plans_give_the_same_rows(spark: SparkSession, data: st.DataObject) -> None:
    """Whatever the types, values and steps are, the worker sees the same rows."""
    schema = t.StructType([t.StructField("id", t.LongType())])
    schema = schema.add("a", data.draw(kinds())).add("b", data.draw(kinds()))
    rows = data.draw(
        st.lists(st.tuples(*(values(field.dataType) for field in schema.fields[1:])), max_size=6)
    )
    df = spark.createDataFrame([(n, *row) for n, row in enumerate(rows)], schema)
    for name in data.draw(st.lists(st.sampled_from(sorted(STEPS)), max_size=3)):
        df = STEPS[name](df)
    check_same_rows(df)
