"""Tables that the worker reads by itself come out as Spark reads them; others are left to Spark."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

import tf2spark
from cases.models import case, path_of
from tf2spark.errors import ContractError, from_text
from tf2spark.spark.parquet_scan import NotReadable, tasks_of

_ROWS = 300
_FEATURES = pa.list_(pa.float32())
_PAIR = pa.list_(pa.int64(), 2)


@pytest.fixture(scope="module")
def mlp() -> tf2spark.SavedModel:
    """A dense model: features [None, 8] to one score."""
    return tf2spark.SavedModel(path_of(case("keras_mlp")))


def features(rows: int = _ROWS, seed: int = 1) -> pa.Array:
    values = np.random.default_rng(seed).standard_normal((rows, 8), np.float32)
    return pa.array(list(values), _FEATURES)


def written(path: Path, columns: dict[str, Any] | None = None, **how: Any) -> str:
    """Write one file into a folder: features, an id, and what else is given."""
    path.mkdir(exist_ok=True)
    table = {"features": features(), "id": np.arange(_ROWS)} | (columns or {})
    number = len(list(path.iterdir()))
    pq.write_table(pa.table(table), path / f"part-{number}.parquet", **how)
    return str(path)


def reads(scored: DataFrame) -> str:
    """Tell who reads the files of a scored table, from its plan."""
    plan = scored._jdf.queryExecution().executedPlan().toString()
    assert ("score_files" in plan) != ("Scan" in plan)
    return "worker" if "score_files" in plan else "spark"


def rows_of(scored: DataFrame) -> list[str]:
    """Return the rows in their order, with the partition that each is in, NaN and -0.0 as text."""
    placed = scored.toDF(*(f"c{n}" for n in range(len(scored.columns))))
    rows = placed.select("*", F.spark_partition_id()).collect()
    return [repr(row) for row in rows]


def assert_same(model: tf2spark.SavedModel, df: DataFrame, **how: Any) -> DataFrame:
    """Score both ways and see that schema, partitions, order and bits are the same."""
    ours = model.score(df, reproducible=True, batch_rows=64, **how)
    theirs = model.score(df, reproducible=True, batch_rows=64, read="spark", **how)
    assert (reads(ours), reads(theirs)) == ("worker", "spark")
    assert ours.schema == theirs.schema
    assert [one.metadata for one in ours.schema] == [one.metadata for one in theirs.schema]
    assert rows_of(ours) == rows_of(theirs)
    return ours


class settings:
    """Change settings of the session for a while."""

    def __init__(self, spark: SparkSession, conf: dict[str, str]) -> None:
        self._spark, self._conf = spark, conf

    def __enter__(self) -> None:
        self._before = {name: self._spark.conf.get(name, None) for name in self._conf}
        for name, value in self._conf.items():
            self._spark.conf.set(name, value)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                self._spark.conf.unset(name)
            else:
                self._spark.conf.set(name, value)


_STRUCT = t.StructType(
    [t.StructField("i", t.IntegerType()), t.StructField("l", t.ArrayType(t.StringType()))]
)
_VALUES: dict[str, tuple[t.DataType, list[Any]]] = {
    "bool": (t.BooleanType(), [True, None, False]),
    "byte": (t.ByteType(), [-128, None, 127]),
    "short": (t.ShortType(), [-(2**15), None, 2**15 - 1]),
    "int": (t.IntegerType(), [-(2**31), None, 2**31 - 1]),
    "long": (t.LongType(), [-(2**63), None, 2**63 - 1]),
    "float": (t.FloatType(), [float("nan"), None, -0.0, float("inf"), 1e-45]),
    "double": (t.DoubleType(), [float("nan"), None, -0.0, float("-inf"), 5e-324]),
    "string": (t.StringType(), ["", None, "ä\0𝄞"]),
    "binary": (t.BinaryType(), [bytearray(b""), None, bytearray(b"\xff\0")]),
    "array": (t.ArrayType(t.DoubleType()), [[], None, [1.5, None]]),
    "arrays": (t.ArrayType(t.ArrayType(t.LongType())), [[], None, [[1], None, []]]),
    "struct": (_STRUCT, [(1, ["a", None]), None, (None, None), (2, [])]),
    "structs": (t.ArrayType(_STRUCT), [[(1, ["a"]), None], None, []]),
    "nested": (
        t.StructType([t.StructField("s", _STRUCT), t.StructField("b", t.BooleanType())]),
        [((1, ["x"]), True), None, (None, None)],
    ),
    "vector": (
        VectorUDT(),
        [Vectors.dense([1.0, 2.0]), None, Vectors.sparse(5, [1, 3], [1.0, -2.0])],
    ),
    "a.b`c": (t.StringType(), ["x", None]),
}


@pytest.fixture(scope="module")
def everything(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Columns of all types that the worker reads, as Spark writes them: several files."""
    rows = [
        (number, row.as_py(), *(values[number % len(values)] for _, values in _VALUES.values()))
        for number, row in enumerate(features())
    ]
    schema = t.StructType(
        [
            t.StructField("id", t.LongType(), False, {"note": "kept"}),
            t.StructField("features", t.ArrayType(t.FloatType(), False)),
            *(t.StructField(name, kind) for name, (kind, _) in _VALUES.items()),
        ]
    )
    path = tmp_path_factory.mktemp("tables") / "everything"
    df = spark.createDataFrame(spark.sparkContext.parallelize(rows, 3), schema)
    df.write.option("parquet.block.size", "4096").parquet(str(path))
    return path


@pytest.mark.spark35
def test_all_types_come_out_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, everything: Path
) -> None:
    """Files that Spark wrote: every type of column, nulls, metadata, a choice and none."""
    df = spark.read.parquet(str(everything))
    assert_same(mlp, df)
    assert_same(mlp, df, keep=["vector", "id", "a.b`c"])
    assert_same(mlp, df, keep=[])


@pytest.mark.parametrize(
    "how",
    [
        {"row_group_size": 7},
        {"use_dictionary": False, "compression": "zstd", "data_page_version": "2.0"},
        {"compression": "none", "data_page_size": 64, "store_schema": False},
        {"write_page_checksum": True, "version": "1.0"},
    ],
)
def test_files_of_other_writers_come_out_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, everything: Path, tmp_path: Path, how: Any
) -> None:
    """Those of pyarrow: row groups, pages, encodings, codecs and versions of all kinds."""
    table = pq.read_table(everything)
    for number in range(3):
        part = table.slice(number * 90, 90 + number)
        pq.write_table(part, tmp_path / f"part-{number}.parquet", **how)
    schema = spark.read.parquet(str(everything)).schema
    assert_same(mlp, spark.read.schema(schema).parquet(str(tmp_path)))


def test_other_ways_to_hold_a_type_come_out_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Arrow's own types that Parquet files carry: fixed lists, long strings, dictionaries."""
    fixed = pa.array(features().to_pylist(), pa.list_(pa.float32(), 8))
    words = pa.array([f"w{n % 7}" if n % 5 else None for n in range(_ROWS)])
    columns = {
        "features": fixed,
        "pairs": pa.array([None if n % 3 else [n, None] for n in range(_ROWS)], _PAIR),
        "words": words.cast(pa.large_string()),
        "picked": words.dictionary_encode(),
    }
    assert_same(mlp, spark.read.parquet(written(tmp_path / "t", columns)))


@pytest.mark.parametrize("mode", ["permissive", "dropmalformed"])
def test_bad_rows_come_out_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path, mode: str
) -> None:
    """Nulls and lists of the wrong length, in the modes that go on."""
    spoiled = features().to_pylist()
    spoiled[7], spoiled[100], spoiled[299] = None, [1.0] * 7, [None] * 8
    columns = {"features": pa.array(spoiled, _FEATURES)}
    df = spark.read.parquet(written(tmp_path / "t", columns, row_group_size=40))
    scored = assert_same(mlp, df, mode=mode, model_column="model")
    assert scored.count() == (_ROWS if mode == "permissive" else _ROWS - 3)


def test_the_first_bad_row_is_named_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """The message has the number of the row in its partition and its values."""
    spoiled = features().to_pylist()
    spoiled[123] = None
    written(tmp_path / "t")
    path = written(tmp_path / "t", {"features": pa.array(spoiled, _FEATURES)})
    said = []
    with settings(spark, {"spark.sql.files.minPartitionNum": "1"}):
        df = spark.read.parquet(path)
        for read in ("worker", "spark"):
            with pytest.raises(Exception, match="RowError") as raised:
                mlp.score(df, keep=["id"], read=read).collect()
            said.append(str(from_text(str(raised.value))))
    assert said[0] == said[1]
    assert re.match(r"row (123|423) of partition 0 \(id=123\)", said[0])


@pytest.mark.spark35
def test_a_large_file_is_split_as_spark_splits_it(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Many tasks for one file, some without a row group; several small files for one task."""
    path = written(tmp_path / "t", row_group_size=20)
    with settings(spark, {"spark.sql.files.maxPartitionBytes": "700b"}):
        df = spark.read.parquet(path)
        assert df.rdd.getNumPartitions() > 15
        scored = assert_same(mlp, df)
        assert scored.rdd.getNumPartitions() == df.rdd.getNumPartitions()
    for _ in range(9):
        written(tmp_path / "t")
    assert assert_same(mlp, spark.read.parquet(path)).count() == 10 * _ROWS


def test_columns_that_some_files_lack_are_null(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """A table whose columns grew over time, read with all of them."""
    written(tmp_path / "t")
    path = written(tmp_path / "t", {"later": pa.array(["x"] * _ROWS)})
    df = spark.read.option("mergeSchema", "true").parquet(path)
    assert "later" in df.columns
    assert_same(mlp, df)
    assert_same(mlp, df, keep=["later"])


def test_files_without_rows_come_out_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """An empty file among others, and a table of nothing else."""
    none = {"features": features(0), "id": np.arange(0)}
    path = written(tmp_path / "t", none)
    assert assert_same(mlp, spark.read.parquet(path)).count() == 0
    written(tmp_path / "t")
    assert assert_same(mlp, spark.read.parquet(path)).count() == _ROWS


def test_names_are_the_tables_own(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Renamed columns, columns in another order, one twice, odd names of folders."""
    df = spark.read.parquet(written(tmp_path / "a b%20ü=#1", {"x": np.arange(_ROWS) * 0.5}))
    assert_same(mlp, df.select("x", F.col("id").alias("my id"), "features"))
    assert_same(mlp, df.withColumnRenamed("x", "y.z").alias("t").select("t.*"))
    assert_same(mlp, df.select("features", "x", F.col("id").alias("x")))
    df.createOrReplaceTempView("parquet_scan_view")
    assert_same(mlp, spark.sql("SELECT x AS y, * FROM parquet_scan_view"))


def test_partitioned_tables_are_read_where_folders_do_not_matter(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Columns of files alone; a filter on a folder's column leaves folders out."""
    for day in (1, 2):
        (tmp_path / "t").mkdir(exist_ok=True)
        written(tmp_path / "t" / f"day={day}", {"id": np.arange(_ROWS) + day * 1000})
    df = spark.read.parquet(str(tmp_path / "t"))
    assert reads(mlp.score(df)) == "spark"
    assert_same(mlp, df, keep=["id"])
    second = assert_same(mlp, df.where("day = 2"), keep=["id"])
    assert second.agg(F.min("id"), F.count("id")).first() == (2000, _ROWS)


def test_nothing_is_read_before_an_action(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Scoring is lazy: a file that is broken afterwards is seen by the action, and named."""
    path = written(tmp_path / "t")
    scored = mlp.score(spark.read.parquet(path))
    file = next(Path(path).glob("*.parquet"))
    file.write_bytes(b"?" * file.stat().st_size)
    with pytest.raises(Exception, match="StorageError") as raised:
        scored.collect()
    assert f"{file.name}\" can't be read as Parquet" in str(from_text(str(raised.value)))


def test_few_rows_are_taken_without_the_rest(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """A limit above, a filter above, a union of two and a second action."""
    df = spark.read.parquet(written(tmp_path / "t"))
    scored = mlp.score(df, keep=["id"])
    assert len(scored.limit(5).collect()) == 5
    assert scored.where("id >= 290").count() == 10
    assert scored.union(scored).count() == 2 * _ROWS
    assert scored.first() == scored.first()


def with_timestamp(df: DataFrame) -> DataFrame:
    return df.select("features", "time")


def cached(df: DataFrame) -> DataFrame:
    # A plan of its own: Spark caches plans, not objects.
    table = df.select("features", F.col("id").alias("cached"))
    table.cache().count()
    return table


_OTHERS: dict[str, tuple[Callable[[DataFrame], DataFrame], str]] = {
    "filter": (lambda df: df.select("features", "id").where("id > 5"), "Filter"),
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
    "timestamp": (with_timestamp, 'column "time" is timestamp'),
    "date": (lambda df: df.select("features", "date"), 'column "date" is date'),
    "decimal": (lambda df: df.select("features", "decimal"), "decimal"),
    "map": (lambda df: df.select("features", "map"), "map"),
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table with columns that the worker leaves to Spark."""
    some = {
        "time": datetime.datetime(2026, 1, 2, 3, 4, 5),
        "date": datetime.date(2026, 1, 2),
        "struct": {"x": 1},
    }
    columns = {name: pa.array([value] * _ROWS) for name, value in some.items()}
    columns["decimal"] = pa.array([Decimal(1)] * _ROWS, pa.decimal128(20, 2))
    columns["map"] = pa.array([[("a", 1)]] * _ROWS, pa.map_(pa.string(), pa.int64()))
    return written(tmp_path_factory.mktemp("odd") / "t", columns)


@pytest.mark.parametrize("name", _OTHERS)
def test_other_tables_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, odd: str, name: str
) -> None:
    """Anything but a plain scan goes the ordinary way; "worker" says why it can't."""
    change, why = _OTHERS[name]
    df = change(spark.read.parquet(odd))
    scored = mlp.score(df)
    assert reads(scored) == "spark"
    assert rows_of(mlp.score(df)) == rows_of(mlp.score(df, read="spark"))
    with pytest.raises(ContractError, match=rf'(?s)^read="worker": .*({why}).*read="auto"'):
        mlp.score(df, read="worker")
    df.unpersist()


def test_other_formats_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Another format, rows of this process, Parquet by Spark's newer readers, a stream."""
    path = written(tmp_path / "t")
    df = spark.read.parquet(path)
    df.write.orc(str(tmp_path / "orc"))
    assert reads(mlp.score(spark.read.orc(str(tmp_path / "orc")))) == "spark"
    assert reads(mlp.score(spark.createDataFrame(df.collect(), df.schema))) == "spark"
    with settings(spark, {"spark.sql.sources.useV1SourceList": ""}):
        assert reads(mlp.score(spark.read.parquet(path))) == "spark"
    stream = spark.readStream.schema(df.schema).parquet(path)
    assert mlp.score(stream).isStreaming


def test_a_catalogs_table_has_the_files_of_the_action(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """It is left to Spark, which looks again; "worker" takes the files of the call."""
    df = spark.read.parquet(written(tmp_path / "t"))
    df.write.option("path", str(tmp_path / "stored")).saveAsTable("parquet_scan_table")
    try:
        table = spark.table("parquet_scan_table")
        scored, by_worker = mlp.score(table), mlp.score(table, read="worker")
        df.write.insertInto("parquet_scan_table")
        assert (reads(scored), reads(by_worker)) == ("spark", "worker")
        assert by_worker.count() == _ROWS
        assert scored.count() == mlp.score(table, read="spark").count()
    finally:
        spark.sql("DROP TABLE parquet_scan_table")


@pytest.mark.parametrize(
    "setting",
    [
        "spark.sql.files.ignoreCorruptFiles",
        "spark.sql.files.ignoreMissingFiles",
        "spark.sql.parquet.fieldId.read.enabled",
    ],
)
def test_settings_that_change_what_is_read_leave_it_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path, setting: str
) -> None:
    """A session that skips bad files keeps doing so."""
    df = spark.read.parquet(written(tmp_path / "t"))
    with settings(spark, {setting: "true"}):
        assert reads(mlp.score(df)) == "spark"
        with pytest.raises(ContractError, match=f"{setting} is true"):
            mlp.score(df, read="worker")
    assert reads(mlp.score(df)) == "worker"


def test_options_of_the_reader_leave_it_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """An option that isn't known to leave the rows alone."""
    reader = spark.read.option("ignoreCorruptFiles", "true")
    assert reads(mlp.score(reader.parquet(written(tmp_path / "t")))) == "spark"


def test_files_of_another_type_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Spark widens an int of one file to the table's long; the worker doesn't, and says so."""
    written(tmp_path / "t")
    path = written(tmp_path / "t", {"id": np.arange(_ROWS, dtype=np.int32)})
    schema = spark.read.parquet(str(Path(path) / "part-0.parquet")).schema
    df = spark.read.schema(schema).parquet(path)
    scored = mlp.score(df)
    assert reads(scored) == "spark"
    assert scored.count() == 2 * _ROWS
    with pytest.raises(Exception, match="ContractError") as raised:
        mlp.score(df, read="worker").collect()
    said = str(from_text(str(raised.value)))
    assert all(part in said for part in ("part-1", '"id"', "int32", "int64", 'read="spark"'))


def test_unsigned_and_annotated_types_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Types that Spark reads as another: unsigned integers, times, raw bytes as text."""
    for name, array in {
        "u8": pa.array([255] * _ROWS, pa.uint8()),
        "u32": pa.array([2**32 - 1] * _ROWS, pa.uint32()),
        "fixed": pa.array([b"ab"] * _ROWS, pa.binary(2)),
        "took": pa.array([5] * _ROWS, pa.duration("us")),
    }.items():
        df = spark.read.parquet(written(tmp_path / name, {name: array}))
        assert reads(mlp.score(df)) == "spark", name
    with settings(spark, {"spark.sql.parquet.binaryAsString": "true"}):
        df = spark.read.parquet(written(tmp_path / "raw", {"raw": pa.array([b"a"] * _ROWS)}))
        assert df.schema["raw"].dataType == t.StringType()
        assert reads(mlp.score(df)) == "spark"


def test_very_many_columns_are_left_to_spark(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """A worker would hold a page of each; only those that are needed count."""
    others = {f"c{number}": np.zeros(_ROWS) for number in range(220)}
    df = spark.read.parquet(written(tmp_path / "wide", others))
    assert reads(mlp.score(df)) == "spark"
    assert reads(mlp.score(df, read="worker")) == "worker"
    assert_same(mlp, df, keep=["id", "c7"])


def test_many_files_are_left_to_spark(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver looks at so many footers at most, and only where it is to decide."""
    for _ in range(3):
        path = written(tmp_path / "t")
    df = spark.read.parquet(path)
    monkeypatch.setattr("tf2spark.spark.parquet_scan._MOST_FILES", 2)
    with pytest.raises(NotReadable, match="3 files"):
        tasks_of(df, 64, look=True)
    assert sum(len(task.ranges) for task in tasks_of(df, 64, look=False)) == 3
    monkeypatch.setattr("tf2spark.spark.parquet_scan._MOST_RANGES", 2)
    with pytest.raises(NotReadable, match="more than 2 parts"):
        tasks_of(df, 64, look=False)


@pytest.mark.parametrize(
    ("model_rows", "most", "rows"),
    [(4096, 10_000, 4096), (1000, 10_000, 4000), (64, 100, 100), (8000, 10_000, 8000),
     (20_000, 0, 10_000)],
)  # fmt: skip
def test_batches_are_full_runs_of_the_model(
    spark: SparkSession, tmp_path: Path, model_rows: int, most: int, rows: int
) -> None:
    """About 4,096 rows, more where the model takes more, and no more than Spark's own."""
    df = spark.read.parquet(written(tmp_path / "t"))
    with settings(spark, {"spark.sql.execution.arrow.maxRecordsPerBatch": str(most)}):
        assert {one.batch_rows for one in tasks_of(df, model_rows, look=True)} == {rows}


def test_read_is_one_of_three(mlp: tf2spark.SavedModel) -> None:
    """Another word is refused, with those that there are."""
    with pytest.raises(ContractError, match='read=\'python\': write "auto", "spark" or "worker"'):
        mlp.score(pa.table({"features": features()}), read="python")
