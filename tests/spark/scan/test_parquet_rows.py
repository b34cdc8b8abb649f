"""Rows of tables whose files the workers read: the same as with Spark reading."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

import tf2spark
from cases.parquet_tables import (
    FEATURES,
    ROWS,
    assert_same_rows,
    features,
    reader_of,
    settings,
    write_all_types,
    write_file,
)
from tf2spark.errors import from_text

_PAIR = pa.list_(pa.int64(), 2)


@pytest.fixture(scope="module")
def all_types(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with columns of all types that workers read, written by Spark to several files."""
    path = tmp_path_factory.mktemp("tables") / "all_types"
    write_all_types(spark, path)
    return path


@pytest.mark.oldest
def test_all_types_are_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, all_types: Path
) -> None:
    """Files written by Spark, with nulls and metadata, and all, some or no columns kept."""
    df = spark.read.parquet(str(all_types))
    assert_same_rows(mlp, df)
    assert_same_rows(mlp, df, keep=["vector", "id", "a.b`c"])
    assert_same_rows(mlp, df, keep=[])


@pytest.mark.parametrize(
    "options",
    [
        {"row_group_size": 7},
        {"use_dictionary": False, "compression": "zstd", "data_page_version": "2.0"},
        {"compression": "none", "data_page_size": 64, "store_schema": False},
        {"write_page_checksum": True, "version": "1.0"},
    ],
)
def test_files_of_other_writers_are_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, all_types: Path, tmp_path: Path, options: Any
) -> None:
    """Files written by pyarrow, with all kinds of row groups, pages, encodings and codecs."""
    table = pq.read_table(all_types)
    # Spark's timestamps are read without a zone, but stand for points in time.
    times = table["time"].cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    table = table.set_column(table.schema.get_field_index("time"), "time", times)
    for number in range(3):
        part = table.slice(number * 90, 90 + number)
        pq.write_table(part, tmp_path / f"part-{number}.parquet", **options)
    schema = spark.read.parquet(str(all_types)).schema
    assert_same_rows(mlp, spark.read.schema(schema).parquet(str(tmp_path)))


def test_arrows_own_types_are_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Types that files preserve for Arrow: fixed-size lists, large strings, dictionaries."""
    fixed = pa.array(features().to_pylist(), pa.list_(pa.float32(), 8))
    words = pa.array([f"w{n % 7}" if n % 5 else None for n in range(ROWS)])
    columns = {
        "features": fixed,
        "pairs": pa.array([None if n % 3 else [n, None] for n in range(ROWS)], _PAIR),
        "words": words.cast(pa.large_string()),
        "picked": words.dictionary_encode(),
    }
    assert_same_rows(mlp, spark.read.parquet(write_file(tmp_path / "t", columns)))


@pytest.mark.parametrize("mode", ["permissive", "dropmalformed"])
def test_bad_rows_are_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path, mode: str
) -> None:
    """Nulls and lists of the wrong length, in the modes that continue."""
    spoiled = features().to_pylist()
    spoiled[7], spoiled[100], spoiled[299] = None, [1.0] * 7, [None] * 8
    columns = {"features": pa.array(spoiled, FEATURES)}
    df = spark.read.parquet(write_file(tmp_path / "t", columns, row_group_size=40))
    scored = assert_same_rows(mlp, df, mode=mode, model_column="model")
    assert scored.count() == (ROWS if mode == "permissive" else ROWS - 3)


def test_the_first_bad_row_is_named_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """The message has the row's number in its partition, and its values."""
    spoiled = features().to_pylist()
    spoiled[123] = None
    write_file(tmp_path / "t")
    path = write_file(tmp_path / "t", {"features": pa.array(spoiled, FEATURES)})
    messages = []
    with settings(spark, {"spark.sql.files.minPartitionNum": "1"}):
        df = spark.read.parquet(path)
        for read in ("worker", "spark"):
            with pytest.raises(Exception, match="RowError") as raised:
                mlp.score(df, keep=["id"], read=read).collect()
            messages.append(str(from_text(str(raised.value))))
    assert messages[0] == messages[1]
    assert re.match(r"row (123|423) of partition 0 \(id=123\)", messages[0])


@pytest.mark.oldest
def test_a_large_file_is_split_as_spark_splits_it(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Many tasks for one file, some without a row group; several small files for one task."""
    path = write_file(tmp_path / "t", row_group_size=20)
    with settings(spark, {"spark.sql.files.maxPartitionBytes": "700b"}):
        df = spark.read.parquet(path)
        assert df.rdd.getNumPartitions() > 15
        scored = assert_same_rows(mlp, df)
        assert scored.rdd.getNumPartitions() == df.rdd.getNumPartitions()
    for _ in range(9):
        write_file(tmp_path / "t")
    assert assert_same_rows(mlp, spark.read.parquet(path)).count() == 10 * ROWS


def test_columns_that_some_files_lack_are_null(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """A table that gained a column over time, read with all columns."""
    write_file(tmp_path / "t")
    path = write_file(tmp_path / "t", {"later": pa.array(["x"] * ROWS)})
    df = spark.read.option("mergeSchema", "true").parquet(path)
    assert "later" in df.columns
    assert_same_rows(mlp, df)
    assert_same_rows(mlp, df, keep=["later"])


def test_files_without_rows_are_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """An empty file among others, and a table of only an empty file."""
    no_rows = {"features": features(0), "id": np.arange(0)}
    path = write_file(tmp_path / "t", no_rows)
    assert assert_same_rows(mlp, spark.read.parquet(path)).count() == 0
    write_file(tmp_path / "t")
    assert assert_same_rows(mlp, spark.read.parquet(path)).count() == ROWS


def test_names_are_the_tables_own(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Columns renamed, in another order, or twice under one name; a folder with an odd name."""
    df = spark.read.parquet(write_file(tmp_path / "a b%20ü=#1", {"x": np.arange(ROWS) * 0.5}))
    assert_same_rows(mlp, df.select("x", F.col("id").alias("my id"), "features"))
    assert_same_rows(mlp, df.withColumnRenamed("x", "y.z").alias("t").select("t.*"))
    assert_same_rows(mlp, df.select("features", "x", F.col("id").alias("x")))
    df.createOrReplaceTempView("parquet_scan_view")
    assert_same_rows(mlp, spark.sql("SELECT x AS y, * FROM parquet_scan_view"))


def test_partition_columns_are_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Typed as Spark infers them or as asked, null, with escaped characters, in filters."""
    df = spark.read.parquet(write_file(tmp_path / "t")).selectExpr(
        "*",
        "DATE'2026-01-01' + CAST(id % 2 AS INT) AS day",
        "IF(id % 3 = 0, NULL, concat('a b/%=', id % 3)) AS name",
        "IF(id % 5 = 0, NULL, CAST(id % 5 AS DECIMAL(4, 2))) AS price",
    )
    df.write.partitionBy("day", "name", "price").parquet(str(tmp_path / "by_day"))
    by_day = spark.read.parquet(str(tmp_path / "by_day"))
    assert by_day.schema["day"].dataType == t.DateType()
    assert_same_rows(mlp, by_day)
    assert_same_rows(mlp, by_day, keep=["name", "id"])
    second = assert_same_rows(mlp, by_day.where("day = '2026-01-02'"), keep=["id"])
    assert second.count() == ROWS // 2
    assert_same_rows(mlp, by_day.where("name IS NULL OR price > 2 AND id < 200"))
    schema = "features array<float>, id bigint, day timestamp, name string, price double"
    assert_same_rows(mlp, spark.read.schema(schema).parquet(str(tmp_path / "by_day")))


def test_filtered_rows_are_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Filters under and over projections, of columns that aren't kept; rows that none passes."""
    columns = {"x": pa.array([n / 10 if n % 7 else None for n in range(ROWS)])}
    df = spark.read.parquet(write_file(tmp_path / "t", columns, row_group_size=50))
    assert_same_rows(mlp, df.where("x < 30").select("features", F.col("id").alias("n")))
    renamed = df.select("features", F.col("x").alias("y"), "id").where("y <= 20 AND id != 7")
    assert_same_rows(mlp, renamed.where("NOT id IN (1, 2, 3)"), keep=["id"])
    assert assert_same_rows(mlp, df.where("x < -1")).count() == 0


def test_filters_that_nan_passes_depend_on_the_writer(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Spark skips rows by statistics, in which only its own writer says that there is no NaN."""
    columns = {"x": pa.array([n / 10 for n in range(ROWS)])}
    df = spark.read.parquet(write_file(tmp_path / "t", columns))
    assert reader_of(mlp.score(df.where("x > 3"))) == "spark"
    df.write.parquet(str(tmp_path / "written_by_spark"))
    written = spark.read.parquet(str(tmp_path / "written_by_spark"))
    assert_same_rows(mlp, written.where("x > 3"))


def test_nothing_is_read_before_an_action(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Scoring is lazy: the action finds a file that was damaged after the call, and names it."""
    path = write_file(tmp_path / "t")
    scored = mlp.score(spark.read.parquet(path))
    file = next(Path(path).glob("*.parquet"))
    file.write_bytes(b"?" * file.stat().st_size)
    with pytest.raises(Exception, match="StorageError") as raised:
        scored.collect()
    assert f"{file.name}\" can't be read as Parquet" in str(from_text(str(raised.value)))


def test_few_rows_are_taken_without_the_rest(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """A limit, a filter and a union downstream, and a second action."""
    df = spark.read.parquet(write_file(tmp_path / "t"))
    scored = mlp.score(df, keep=["id"])
    assert len(scored.limit(5).collect()) == 5
    assert scored.where("id >= 290").count() == 10
    assert scored.union(scored).count() == 2 * ROWS
    assert scored.first() == scored.first()
