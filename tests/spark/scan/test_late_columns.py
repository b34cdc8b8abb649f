"""Queries whose long columns the workers read, while Spark joins, filters and computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.parquet_tables import ROWS, rows_of, settings, write_file

Query = Callable[[DataFrame, DataFrame], DataFrame]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in small row groups, in folders and with names that URLs write in another way."""
    path = tmp_path_factory.mktemp("late columns")
    for day in ("a b", "100%", "é#?"):
        words = pa.array([None if n % 9 == 0 else f"{day}{n}" for n in range(ROWS)])
        more = {"word": words, "id": np.arange(ROWS), "x": np.arange(ROWS) * 0.5}
        part = path / f"day={day.replace('%', '%25').replace('?', '%3F').replace('#', '%23')}"
        write_file(part, more, row_group_size=64)
        (part / "part-0.parquet").rename(part / f"part {day.replace('?', '')} +%41.parquet")
    return path


@pytest.fixture
def table(spark: SparkSession, folder: Path) -> DataFrame:
    return spark.read.parquet(str(folder))


@pytest.fixture
def groups(spark: SparkSession, table: DataFrame) -> DataFrame:
    """A small table: rows of the other match none, one or two of it."""
    rows = spark.range(0, 200, 1, 1).union(spark.range(50, 60, 1, 1))
    return F.broadcast(rows.withColumn("wide", F.array(F.col("id").cast("float"))))


def is_late(scored: DataFrame) -> bool:
    """Say whether rows carry their numbers in files."""
    return "row_index" in scored._jdf.queryExecution().executedPlan().toString()


LATE: dict[str, Query] = {
    "join": lambda df, groups: df.join(groups, "id"),
    "outer join": lambda df, groups: df.join(groups, "id", "left"),
    "semi join": lambda df, groups: df.join(groups, "id", "semi"),
    "cross join": lambda df, groups: df.crossJoin(F.broadcast(groups.limit(2).select("wide"))),
    "join with itself": lambda df, _: df.join(
        F.broadcast(df.select("id", F.col("word").alias("other"))), "id"
    ),
    "joins, filters, computed columns": lambda df, groups: (
        df.where("id % 3 = 1 AND day != 'a b'")
        .join(F.broadcast(groups.select((F.col("id") * 2).alias("id"))), "id")
        .withColumn("y", F.col("x") * 2 + F.col("id") % 7)
        .withColumnsRenamed({"features": "f", "word": "w"})
        .join(groups, "id")
        .select("id", "y", F.col("f").alias("features"), "w", "day")
    ),
    "view": lambda df, groups: view_of(df).join(groups, "id"),
}


def view_of(df: DataFrame) -> DataFrame:
    df.createOrReplaceTempView("late_columns_view")
    return df.sparkSession.sql(
        "SELECT features, abs(id) AS id, word FROM late_columns_view AS v WHERE v.x >= 0"
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.oldest] * (name == "join")) for name in LATE]
)
def test_rows_are_those_that_spark_reads(
    mlp: tf2spark.SavedModel, table: DataFrame, groups: DataFrame, name: str
) -> None:
    """Partitions, order and bits, whether columns are kept in the JVM or pass through Python."""
    df = LATE[name](table, groups)
    # What is kept passes through Python, or stays in the JVM; last, all columns, features too.
    for keep in (["id"], ["id", "word"], None) if name in ("join", "view") else (["id"],):
        late, plain = (
            mlp.score(df, keep=keep, reproducible=True, batch_rows=64, read=read)
            for read in ("auto", "spark")
        )
        assert is_late(late) or keep is None
        assert not is_late(plain)
        assert late.schema == plain.schema
        assert rows_of(late) == rows_of(plain)


def cached(df: DataFrame, _: DataFrame) -> DataFrame:
    return df.withColumn("cached", F.lit(1)).cache()


LEFT: dict[str, Query] = {
    "shuffled join": lambda df, groups: df.join(groups.hint("merge"), "id"),
    "sorted": lambda df, _: df.sort("x"),
    "limit": lambda df, _: df.where("id % 3 = 1").limit(5),
    "union": lambda df, _: df.union(df),
    "looked at": lambda df, _: df.where("size(features) + id % 2 > 0"),
    "looked at by a join": lambda df, groups: df.join(
        groups.withColumnRenamed("id", "i"), F.size("features") > F.col("i")
    ),
    "made": lambda df, _: df.withColumn("features", F.transform("features", lambda x: x + 1)),
    "of the small side": lambda df, groups: df.sparkSession.range(20).join(
        F.broadcast(df.where("id < 9")), "id"
    ),
    "cached": cached,
}


@pytest.mark.parametrize("name", LEFT)
def test_other_queries_are_left_to_spark(
    mlp: tf2spark.SavedModel, table: DataFrame, groups: DataFrame, name: str
) -> None:
    """Where rows leave the order of the files, or Spark needs the column itself."""
    df = LEFT[name](table, groups)
    scored = mlp.score(df, keep=["id"])
    assert not is_late(scored)
    assert sorted(rows_of(scored)) == sorted(rows_of(mlp.score(df, keep=["id"], read="spark")))
    df.unpersist()


def test_what_changes_how_files_are_read_leaves_them_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: DataFrame, tmp_path: Path
) -> None:
    """Settings, a catalog's table, another format, and files of other types."""

    def query(df: DataFrame) -> DataFrame:
        return df.withColumn("id", F.abs("id") + F.lit(1))

    with settings(spark, {"spark.sql.files.ignoreCorruptFiles": "true"}):
        assert not is_late(mlp.score(query(table), keep=["id"]))
    table.select("id", "x", "features").write.orc(str(tmp_path / "orc"))
    assert not is_late(mlp.score(query(spark.read.orc(str(tmp_path / "orc"))), keep=["id"]))
    double = table.schema["features"].jsonValue() | {
        "type": {"type": "array", "elementType": "double", "containsNull": True}
    }
    path = write_file(tmp_path / "t", {"x": np.arange(ROWS) * 0.5})
    fits = spark.read.parquet(path)
    assert is_late(mlp.score(query(fits), keep=["id"]))
    schema = type(table.schema).fromJson(
        {"type": "struct", "fields": [double, *(fits.schema[n].jsonValue() for n in ("id", "x"))]}
    )
    assert not is_late(mlp.score(query(spark.read.schema(schema).parquet(path)), keep=["id"]))
