"""Rows that the driver reads from files: the same as those of a job."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cases.parquet_tables import ROWS, settings, write_all_types, write_file
from tf2spark.spark.recommend.background import collect
from tf2spark.spark.scan import driver_read
from tf2spark.spark.scan.driver_read import read_on_driver


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three files of rows in ascending order of their ids."""
    path = tmp_path_factory.mktemp("tables") / "table"
    for number in range(3):
        write_file(path, {"id": np.arange(ROWS) + number * ROWS}, row_group_size=70)
    return str(path)


@pytest.mark.oldest
def test_all_types_are_those_of_a_job(spark: SparkSession, tmp_path: Path) -> None:
    """Rows, types and names, with nulls, in a session of another time zone."""
    write_all_types(spark, tmp_path / "t")
    with settings(spark, {"spark.sql.session.timeZone": "Asia/Tokyo"}):
        df = spark.read.parquet(str(tmp_path / "t"))
        for part in (df.drop("vector"), df.select("vector", "id")):
            read, collected = read_on_driver(part, 10_000), collect(part)
            assert read is not None
            if "vector" not in part.columns:  # whose fields a job may make nullable
                assert read.schema.types == collected.schema.types
            assert read.column_names == collected.column_names
            assert repr(read.to_pylist()) == repr(collected.to_pylist())  # where NaN equals NaN


def test_no_job_runs(spark: SparkSession, folder: str) -> None:
    """Whatever the number of rows."""
    name = uuid.uuid4().hex
    df = spark.read.parquet(folder)
    spark.sparkContext.setJobGroup(name, "")
    try:
        tables = [read_on_driver(df, rows) for rows in (1, 64, 5_000)]
        assert [table and len(table) for table in tables] == [1, 64, 900]
        assert not spark.sparkContext.statusTracker().getJobIdsForGroup(name)
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", cast(Any, None))


QUERIES: dict[str, Callable[[DataFrame], DataFrame]] = {
    "renamed": lambda df: df.select(F.col("id").alias("a.b"), "features", F.col("id").alias("c")),
    "filtered": lambda df: df.where("id > 250 and id <= 777").select("features"),
}


@pytest.mark.parametrize("query", QUERIES)
def test_queries_that_scan_are_read(spark: SparkSession, folder: str, query: str) -> None:
    """With columns renamed or repeated, and rows left out."""
    df = QUERIES[query](spark.read.parquet(folder))
    assert read_on_driver(df, 10_000) == collect(df)


def test_columns_of_folders_are_read(spark: SparkSession, folder: str, tmp_path: Path) -> None:
    """The values of partitions are in no file."""
    table = spark.read.parquet(folder).withColumn("day", F.expr("cast(id % 3 as string)"))
    table.write.partitionBy("day").parquet(str(tmp_path / "t"))
    df = spark.read.parquet(str(tmp_path / "t")).where("day <> '1'")
    read = read_on_driver(df, 10_000)
    assert read == collect(df)
    assert read is not None
    assert len(read) == 600


NOT_READ: dict[str, Callable[[DataFrame], DataFrame]] = {
    "computed": lambda df: df.selectExpr("id + 1 as id"),
    "joined": lambda df: df.join(df.select("id"), "id"),
    "limited": lambda df: df.limit(5),
    "sampled": lambda df: df.sample(fraction=0.5, seed=1),
    "cached": lambda df: df.where("id > 7").cache(),
    "of no rows": lambda df: df.where("id < 0"),
    "a range": lambda df: df.sparkSession.range(5),
}


@pytest.mark.parametrize("query", NOT_READ)
def test_other_queries_are_left_to_spark(spark: SparkSession, folder: str, query: str) -> None:
    """They need a job, or say nothing of the types."""
    assert read_on_driver(NOT_READ[query](spark.read.parquet(folder)), 10_000) is None


def test_tables_of_many_files_or_bytes_are_left_to_spark(
    spark: SparkSession, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job reads them in parallel."""
    df = spark.read.parquet(folder)
    monkeypatch.setattr(driver_read, "_MOST_FILES", 2)
    assert read_on_driver(df, 1) is None
    monkeypatch.setattr(driver_read, "_MOST_FILES", 3)
    assert read_on_driver(df, 1) is not None
    monkeypatch.setattr(driver_read, "_MOST_BYTES", 1_000)
    assert read_on_driver(df, 1) is None


def test_rows_that_take_much_memory_are_left_to_spark(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As equal ones do, which take next to nothing in a file."""
    path = write_file(tmp_path / "t", {"text": pa.array(["x" * 10_000] * ROWS)})
    df = spark.read.parquet(path).select("text")
    monkeypatch.setattr(driver_read, "_MOST_ROW_BYTES", 1_000_000)
    assert read_on_driver(df, ROWS) is None
    monkeypatch.undo()
    assert read_on_driver(df, ROWS) == collect(df)


def test_only_files_with_the_first_rows_are_opened(spark: SparkSession, tmp_path: Path) -> None:
    """Another may be no Parquet file; where it is needed, the error is Spark's."""
    for number in range(2):
        write_file(tmp_path / "t", {"id": np.arange(ROWS) + number * ROWS})
    (tmp_path / "t" / "part-1.parquet").write_bytes(b"no Parquet")
    schema = spark.read.parquet(str(tmp_path / "t" / "part-0.parquet")).schema
    with settings(spark, {"spark.sql.files.openCostInBytes": "128m"}):  # a partition for each file
        df = spark.read.schema(schema).parquet(str(tmp_path / "t"))
        first = read_on_driver(df, ROWS)
        assert first is None or first["id"].to_pylist() == list(range(ROWS))
        assert read_on_driver(df, ROWS + 1) is None


def test_files_of_other_types_are_left_to_spark(spark: SparkSession, tmp_path: Path) -> None:
    """Spark reads short numbers as long ones."""
    path = write_file(tmp_path / "t", {"id": pa.array(range(ROWS), pa.int32())})
    assert read_on_driver(spark.read.schema("id long").parquet(path), 5) is None
    assert read_on_driver(spark.read.schema("id int").parquet(path), 5) is not None
