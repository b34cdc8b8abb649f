"""Tables whose files are left to Spark, and how the others are divided among tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

import tf2spark
from cases.parquet_tables import (
    ROWS,
    assert_same_rows,
    features,
    reader_of,
    rows_of,
    settings,
    write_file,
)
from tf2spark.errors import ContractError, from_text
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.parquet_scan import plan_scan


def cached(df: DataFrame) -> DataFrame:
    # A plan of its own: Spark caches plans, not objects.
    table = df.select("features", F.col("id").alias("cached"))
    table.cache().count()
    return table


_OTHERS: dict[str, tuple[Callable[[DataFrame], DataFrame], str]] = {
    "filter": (lambda df: df.select("features", "id").where("id % 5 = 1"), "filter .*id.* % 5"),
    "filter of two columns": (
        lambda df: df.select("features", "id", "x").where("id > x"), "filter .*id.* > .*x"
    ),
    "set of floats": (
        lambda df: df.select("features", "x").where("x in (0.5D, 1.0D)"), "filter .*x.* IN"
    ),
    "time of the query": (
        lambda df: df.select("features", "id").where("id < unix_timestamp()"), "time of the query"
    ),
    "random filter": (lambda df: df.select("features").where(F.rand(1) > 0.5), "filter .*rand"),
    "limit": (lambda df: df.select("features", "id").limit(10), "Limit"),
    "computed": (lambda df: df.select("features", (F.col("id") + 1).alias("x")), "computed"),
    "field": (lambda df: df.select("features", "struct.x"), "computed column"),
    "union": (lambda df: df.select("features").union(df.select("features")), "Union"),
    "join": (lambda df: df.select("id", "features").join(df.select("id"), "id"), "Join"),
    "repartition": (lambda df: df.select("features", "id").repartition(2), "Repartition"),
    "sorted": (lambda df: df.select("features", "id").orderBy("id"), "Sort"),
    "sampled": (lambda df: df.select("features", "id").sample(0.5, 1), "Sample"),
    "cached": (cached, "InMemoryTableScan"),
    "file names": (lambda df: df.select("features", F.input_file_name().alias("f")), "computed"),
    "metadata": (lambda df: df.select("features", "_metadata.file_name"), "computed|metadata"),
    "interval": (lambda df: df.select("features", "took"), 'column "took" is interval'),
}  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table with columns that the worker leaves to Spark."""
    columns = {
        "struct": pa.array([{"x": 1}] * ROWS),
        "x": pa.array([0.5] * ROWS),
        "took": pa.array([5] * ROWS),
    }
    return write_file(tmp_path_factory.mktemp("odd") / "t", columns)


@pytest.mark.parametrize("name", _OTHERS)
def test_other_tables_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, odd: str, name: str
) -> None:
    """Spark reads anything but a plain scan; read="worker" says why it can't."""
    change, why = _OTHERS[name]
    schema = "features array<float>, id bigint, struct struct<x: bigint>, x double, "
    schema += "took interval day to second"
    df = change(spark.read.schema(schema).parquet(odd))
    scored = mlp.score(df)
    assert reader_of(scored) == "spark"
    assert rows_of(mlp.score(df)) == rows_of(mlp.score(df, read="spark"))
    with pytest.raises(ContractError, match=rf'(?s)^the workers can\'t .*({why}).*read="auto"'):
        mlp.score(df, read="worker")
    df.unpersist()


def test_other_formats_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Another format, rows of this process, Parquet by Spark's newer readers, a stream."""
    path = write_file(tmp_path / "t")
    df = spark.read.parquet(path)
    df.write.orc(str(tmp_path / "orc"))
    assert reader_of(mlp.score(spark.read.orc(str(tmp_path / "orc")))) == "spark"
    assert reader_of(mlp.score(spark.createDataFrame(df.collect(), df.schema))) == "spark"
    with settings(spark, {"spark.sql.sources.useV1SourceList": ""}):
        assert reader_of(mlp.score(spark.read.parquet(path))) == "spark"
    stream = spark.readStream.schema(df.schema).parquet(path)
    assert mlp.score(stream).isStreaming


@pytest.mark.parametrize(
    "setting",
    [
        "spark.sql.files.ignoreCorruptFiles",
        "spark.sql.files.ignoreMissingFiles",
    ],
)
def test_settings_that_change_what_is_read_leave_it_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path, setting: str
) -> None:
    """A session that skips bad files keeps doing so."""
    df = spark.read.parquet(write_file(tmp_path / "t"))
    with settings(spark, {setting: "true"}):
        assert reader_of(mlp.score(df)) == "spark"
        with pytest.raises(ContractError, match=f"{setting} is true"):
            mlp.score(df, read="worker")
    assert reader_of(mlp.score(df)) == "worker"


def test_columns_with_field_ids_leave_it_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Where the session finds columns by them; Delta has it do so, also where there are none."""
    path = write_file(tmp_path / "t")
    df = spark.read.parquet(path)
    fields = [t.StructField(f.name, f.dataType, True, {"parquet.field.id": 1}) for f in df.schema]
    with_ids = spark.read.schema(t.StructType(fields)).parquet(path)
    assert reader_of(mlp.score(with_ids)) == "worker"
    with settings(spark, {"spark.sql.parquet.fieldId.read.enabled": "true"}):
        assert reader_of(mlp.score(df)) == "worker"
        with pytest.raises(ContractError, match="its columns have ids"):
            mlp.score(with_ids, read="worker")


def test_options_of_the_reader_leave_it_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """An option that isn't known to leave the rows alone."""
    reader = spark.read.option("ignoreCorruptFiles", "true")
    assert reader_of(mlp.score(reader.parquet(write_file(tmp_path / "t")))) == "spark"


def test_files_of_another_type_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Spark widens one file's int to the table's long; a worker doesn't, and says so."""
    write_file(tmp_path / "t")
    path = write_file(tmp_path / "t", {"id": np.arange(ROWS, dtype=np.int32)})
    schema = spark.read.parquet(str(Path(path) / "part-0.parquet")).schema
    df = spark.read.schema(schema).parquet(path)
    scored = mlp.score(df)
    assert reader_of(scored) == "spark"
    assert scored.count() == 2 * ROWS
    with pytest.raises(Exception, match="ContractError") as raised:
        mlp.score(df, read="worker").collect()
    message = str(from_text(str(raised.value)))
    assert all(part in message for part in ("part-1", '"id"', "int32", "int64", 'read="spark"'))


def test_unsigned_and_annotated_types_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Types that Spark reads as another: unsigned integers, times, raw bytes as text."""
    for name, array in {
        "u8": pa.array([255] * ROWS, pa.uint8()),
        "u32": pa.array([2**32 - 1] * ROWS, pa.uint32()),
        "fixed": pa.array([b"ab"] * ROWS, pa.binary(2)),
        "took": pa.array([5] * ROWS, pa.duration("us")),
    }.items():
        df = spark.read.parquet(write_file(tmp_path / name, {name: array}))
        assert reader_of(mlp.score(df)) == "spark", name
    with settings(spark, {"spark.sql.parquet.binaryAsString": "true"}):
        df = spark.read.parquet(write_file(tmp_path / "raw", {"raw": pa.array([b"a"] * ROWS)}))
        assert df.schema["raw"].dataType == t.StringType()
        assert reader_of(mlp.score(df)) == "spark"


def test_very_many_columns_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """A worker would hold a page of each; only those that are needed count."""
    others = {f"c{number}": np.zeros(ROWS) for number in range(220)}
    df = spark.read.parquet(write_file(tmp_path / "wide", others))
    assert reader_of(mlp.score(df)) == "spark"
    assert reader_of(mlp.score(df, read="worker")) == "worker"
    assert_same_rows(mlp, df, keep=["id", "c7"])


def test_many_files_are_left_to_spark(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver looks at so many footers at most, and only where it is to decide."""
    for _ in range(3):
        path = write_file(tmp_path / "t")
    df = spark.read.parquet(path)
    monkeypatch.setattr("tf2spark.spark.scan.parquet_scan._MAX_FILES", 2)
    with pytest.raises(NotReadable, match="3 files"):
        plan_scan(df, 64, verify=True)
    assert sum(len(task.ranges) for task in plan_scan(df, 64, verify=False).tasks) == 3
    monkeypatch.setattr("tf2spark.spark.scan.scan_plan.MAX_RANGES", 2)
    with pytest.raises(NotReadable, match="more than 2 parts"):
        plan_scan(df, 64, verify=False)


@pytest.mark.parametrize(
    ("model_rows", "most", "rows"),
    [(4096, 10_000, 4096), (1000, 10_000, 4000), (64, 100, 100), (8000, 10_000, 8000),
     (20_000, 0, 10_000)],
)  # fmt: skip
def test_batches_are_full_runs_of_the_model(
    spark: SparkSession, tmp_path: Path, model_rows: int, most: int, rows: int
) -> None:
    """About 4,096 rows, more where the model takes more, and no more than Spark's own."""
    df = spark.read.parquet(write_file(tmp_path / "t"))
    with settings(spark, {"spark.sql.execution.arrow.maxRecordsPerBatch": str(most)}):
        assert {task.batch_rows for task in plan_scan(df, model_rows, verify=True).tasks} == {rows}


def test_read_is_one_of_three(mlp: tf2spark.SavedModel) -> None:
    """Another word is refused, with those that there are."""
    words = 'read can\'t be \'python\'; the values are "auto", "spark", "worker"'
    with pytest.raises(ContractError, match=words):
        mlp.score(pa.table({"features": features()}), read="python")  # type: ignore[arg-type]
