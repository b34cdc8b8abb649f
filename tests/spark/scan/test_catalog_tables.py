"""Tables of the catalog that workers read, and what happens when they change."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.parquet_tables import (
    ROWS,
    assert_same_rows,
    reader_of,
    rows_of,
    settings,
    write_file,
)

_numbers = itertools.count()


@pytest.fixture(scope="module")
def rows(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    """Features, an id, and a day of three."""
    columns = {"dt": pa.array([f"2026-11-0{1 + number % 3}" for number in range(ROWS)])}
    return spark.read.parquet(write_file(tmp_path_factory.mktemp("rows") / "t", columns))


@pytest.fixture
def table(spark: SparkSession, rows: DataFrame, tmp_path: Path) -> Iterator[str]:
    """The name of a table that is partitioned by day."""
    name = f"catalog_table_{next(_numbers)}"
    writer = rows.repartition(2).write.partitionBy("dt").option("path", str(tmp_path / "stored"))
    writer.saveAsTable(name)
    yield name
    spark.sql(f"DROP TABLE IF EXISTS {name}")


def reader_now(scored: DataFrame) -> str:
    """Return who reads the files of a query that is planned now."""
    return reader_of(scored.select("*"))


@pytest.mark.oldest
def test_tables_and_views_are_read_by_workers(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, tmp_path: Path
) -> None:
    """Partitions that a filter leaves, views that rename columns and filter, temporary ones."""
    assert_same_rows(mlp, spark.table(table))
    assert_same_rows(mlp, spark.table(table).where("dt > '2026-11-01' and id < 200"))
    spark.sql(f"ANALYZE TABLE {table} COMPUTE STATISTICS FOR COLUMNS id")
    spark.sql(
        f"CREATE VIEW {table}_view (Number, features, day) AS "
        f"SELECT id, features, dt FROM {table} WHERE dt <> '2026-11-03'"
    )
    try:
        assert_same_rows(mlp, spark.table(f"{table}_view").where("number > 30"))
    finally:
        spark.sql(f"DROP VIEW {table}_view")
    writer = mlp.score(spark.table(table)).write.option("path", str(tmp_path / "scored"))
    writer.saveAsTable(f"{table}_scored")
    assert spark.table(f"{table}_scored").distinct().count() == ROWS
    spark.sql(f"DROP TABLE {table}_scored")
    spark.table(table).where("id > 100").createOrReplaceTempView("catalog_temporary")
    assert_same_rows(mlp, spark.sql("SELECT features, dt, id AS x FROM catalog_temporary"))


@pytest.mark.oldest
def test_rows_that_were_added_are_scored(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, rows: DataFrame
) -> None:
    """A query that is planned after them has them, as where Spark reads."""
    scored, by_spark = mlp.score(spark.table(table)), mlp.score(spark.table(table), read="spark")
    only_first = mlp.score(spark.table(table).where("dt = '2026-11-01'"))
    assert (reader_now(scored), scored.count()) == ("worker", ROWS)
    kept = scored.select("id").cache()
    assert kept.count() == ROWS
    rows.where("dt = '2026-11-02'").select("features", "id", "dt").write.insertInto(table)
    assert (reader_now(scored), reader_now(only_first)) == ("spark", "worker")
    assert scored.count() == by_spark.count() == ROWS + ROWS // 3
    assert rows_of(scored.select("*")) == rows_of(by_spark.select("*"))
    assert reader_of(mlp.score(spark.table(table))) == "worker"
    both = scored.join(scored.select("id").distinct(), "id")
    assert both.count() == kept.count() == by_spark.count()
    kept.unpersist()


def test_workers_that_must_read_refuse_a_table_that_changed(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, rows: DataFrame
) -> None:
    """They have the files of the call, and say so rather than leave out rows."""
    scored = mlp.score(spark.table(table), read="worker")
    assert scored.count() == ROWS
    rows.limit(10).select("features", "id", "dt").write.insertInto(table)
    with pytest.raises(Exception, match="has other files than when it was scored"):
        scored.count()


_OVERWRITES: dict[str, Callable[[DataFrame, str], object]] = {
    "saveAsTable": lambda df, name: df.write.mode("overwrite").saveAsTable(name),
    "insertInto": lambda df, name: df.write.insertInto(name, overwrite=True),
    "sql": lambda df, name: df.sparkSession.sql(
        f"INSERT OVERWRITE TABLE {name} SELECT * FROM {view_of(df)}"
    ),
    "one partition": lambda df, name: df.sparkSession.sql(
        f"INSERT OVERWRITE TABLE {name} PARTITION (dt = '2026-11-01') "
        f"SELECT features, id FROM {view_of(df)}"
    ),
}


def view_of(df: DataFrame) -> str:
    df.createOrReplaceTempView("catalog_overwriting")
    return "catalog_overwriting"


@pytest.mark.oldest
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("saveAsTable", "auto"), ("saveAsTable", "worker"),
        ("insertInto", "auto"), ("insertInto", "worker"), ("insertInto", "path"),
        ("sql", "auto"), ("one partition", "path"),
    ],
)  # fmt: skip
def test_a_table_that_is_read_is_not_overwritten(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, tmp_path: Path, name: str, read: str
) -> None:
    """Spark sees that it is read, by its name or its path, and refuses before it deletes a file."""
    if read == "path":
        scored = mlp.score(spark.read.parquet(str(tmp_path / "stored")))
    else:
        scored = mlp.score(spark.table(table), read=read)  # type: ignore[arg-type]
    assert reader_of(scored) == "worker"
    with pytest.raises(Exception, match="also being read from"):
        _OVERWRITES[name](scored.select("features", "id", "dt"), table)
    assert spark.table(table).count() == ROWS


def test_partitions_that_are_read_can_be_overwritten_one_by_one(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str
) -> None:
    """With dynamic partitions, Spark deletes them after the last row was read."""
    scored = mlp.score(spark.table(table).where("dt = '2026-11-01'"))
    assert reader_of(scored) == "worker"
    with settings(spark, {"spark.sql.sources.partitionOverwriteMode": "dynamic"}):
        changed = scored.select("features", (F.col("id") + 1000).alias("id"), "dt")
        changed.write.insertInto(table, overwrite=True)
    assert spark.table(table).where("id >= 1000").count() == ROWS // 3
    assert spark.table(table).count() == ROWS


@pytest.mark.oldest
def test_partitions_lie_where_the_catalog_says(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, rows: DataFrame, tmp_path: Path
) -> None:
    """A partition of another folder, in which rows have fewer columns, and one that is dropped."""
    rows.select("features").limit(7).write.parquet(str(tmp_path / "elsewhere"))
    spark.sql(
        f"ALTER TABLE {table} ADD PARTITION (dt = '2026-12-24') LOCATION '{tmp_path / 'elsewhere'}'"
    )
    scored = assert_same_rows(mlp, spark.table(table).where("dt <> '2026-11-02'"))
    assert scored.where("id is null and dt = '2026-12-24'").count() == 7
    spark.sql(f"ALTER TABLE {table} DROP PARTITION (dt = '2026-11-01')")
    assert scored.count() == ROWS // 3 + 7


def test_what_is_not_in_the_files_is_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, rows: DataFrame, tmp_path: Path
) -> None:
    """Defaults of columns that were added, padded characters, other cases of names, buckets."""
    spark.sql(f"ALTER TABLE {table} ADD COLUMN (shop INT DEFAULT 7)")
    assert reader_of(mlp.score(spark.table(table))) == "spark"
    assert mlp.score(spark.table(table)).where("shop = 7").count() == ROWS
    assert_same_rows(mlp, spark.table(table).select("id", "features", "dt"))
    spark.sql(f"CREATE TABLE {table}_b (features ARRAY<FLOAT>, c CHAR(4), v VARCHAR(4), ID BIGINT) "
              f"USING parquet LOCATION '{tmp_path / 'b'}'")  # fmt: skip
    try:
        spark.table(table).selectExpr("features", "'a'", "'b'", "id").write.insertInto(f"{table}_b")
        assert reader_of(mlp.score(spark.table(f"{table}_b"))) == "spark"
        assert mlp.score(spark.table(f"{table}_b")).where("length(c) = 4").count() == ROWS
        assert_same_rows(mlp, spark.table(f"{table}_b").select("features", "v"))
        rows.select("features", "id").write.mode("append").parquet(str(tmp_path / "b"))
        spark.catalog.refreshTable(f"{table}_b")
        by_name = spark.table(f"{table}_b").select("features", "ID")
        assert reader_of(mlp.score(by_name)) == "spark"
        assert mlp.score(by_name).where("ID is not null").count() == 2 * ROWS
    finally:
        spark.sql(f"DROP TABLE {table}_b")
    buckets = rows.write.bucketBy(2, "id").option("path", str(tmp_path / "buckets"))
    buckets.saveAsTable(f"{table}_buckets")
    try:
        assert reader_of(mlp.score(spark.table(f"{table}_buckets"))) == "spark"
    finally:
        spark.sql(f"DROP TABLE {table}_buckets")


def test_a_table_that_is_replaced_or_dropped(
    spark: SparkSession, mlp: tf2spark.SavedModel, rows: DataFrame, tmp_path: Path
) -> None:
    """A query has what it would have where Spark reads: rows, or an error about the files."""
    name = f"catalog_table_{next(_numbers)}"
    path = str(tmp_path / "stored")
    rows.select("features", "id").write.option("path", path).saveAsTable(name)
    scored, by_spark = mlp.score(spark.table(name)), mlp.score(spark.table(name), read="spark")
    assert (reader_now(scored), scored.count()) == ("worker", ROWS)
    few = rows.select("features", "id").limit(9).write.mode("overwrite").option("path", path)
    few.saveAsTable(name)
    assert count_or_error(scored) == count_or_error(by_spark)
    spark.sql(f"DROP TABLE {name}")
    shutil.rmtree(path)
    assert count_or_error(scored) == count_or_error(by_spark) == "error"


def count_or_error(df: DataFrame) -> int | str:
    try:
        return df.count()
    except Exception:
        return "error"


def test_a_scored_table_joins_a_stream(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, tmp_path: Path
) -> None:
    """Spark plans such a query anew for each batch, and evaluates fewer expressions before it."""
    spark.range(5).write.parquet(str(tmp_path / "keys"))
    keys = spark.readStream.schema("id bigint").parquet(str(tmp_path / "keys"))
    writer = keys.join(mlp.score(spark.table(table), keep=["id"]), "id").writeStream
    writer = writer.format("memory").queryName(f"{table}_joined").trigger(availableNow=True)
    query = writer.option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    query.awaitTermination()
    assert spark.table(f"{table}_joined").count() == 5


def test_a_file_that_was_replaced_is_an_error(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Parts of the former file could be too small for all rows of the new one."""
    path = write_file(tmp_path / "t")
    scored = mlp.score(spark.read.parquet(path))
    more = write_file(tmp_path / "more", {"other": np.random.default_rng(1).random(ROWS)})
    shutil.copy(Path(more) / "part-0.parquet", Path(path) / "part-0.parquet")
    with pytest.raises(Exception, match=r"part-0\.parquet.* was replaced: it has"):
        scored.count()


def test_tables_of_many_files_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before all of them are listed in Python; partitions that aren't read don't count."""
    monkeypatch.setattr("tf2spark.spark.scan.parquet_scan._MAX_FILES", 5)
    assert reader_of(mlp.score(spark.table(table))) == "spark"
    assert reader_of(mlp.score(spark.table(table).where("dt = '2026-11-01'"))) == "worker"
    assert reader_of(mlp.score(spark.table(table), read="worker")) == "worker"


def test_rules_of_the_optimizer_are_needed(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: str
) -> None:
    """Without them a plan would keep both ways."""
    rule = "org.apache.spark.sql.catalyst.optimizer.PruneFilters"
    with settings(spark, {"spark.sql.optimizer.excludedRules": rule}):
        assert reader_of(mlp.score(spark.table(table))) == "spark"
