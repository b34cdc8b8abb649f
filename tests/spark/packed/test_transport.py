"""Arrays and vectors that travel packed are those that travel plainly, whatever plan makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from cases.packed_rows import check_same_rows
from tf2spark.spark.jvm.access import session_state
from tf2spark.spark.packed import transport as packing
from tf2spark.spark.packed.transport import SETTING, is_packable, packed_parts, why_not_packed

Plan = Callable[[DataFrame], DataFrame]
_COLUMNS = ["id", "floats", "ints", "nested", "pairs", "vector", "text"]
NUMBERS = ["boolean", "tinyint", "smallint", "int", "bigint", "float", "double"]
_PAIRS = "struct<indices:array<int>,values:array<double>>"
VECTORS = [
    Vectors.dense([0.5, -1.5]),
    None,
    Vectors.sparse(9, [1, 4], [2.0, 0.0]),
    Vectors.sparse(9, [], []),
    Vectors.dense([float("nan"), float("inf"), -0.0]),
    Vectors.dense(list(range(70))),
]


def arrays_of(kind: str) -> list[list[Any] | None]:
    """Return arrays of all kinds: null, empty, with nulls, of several lengths."""
    if kind == "boolean":
        values: list[Any] = [True, False, True]
    elif kind in ("float", "double"):
        values = [1.5, float("nan"), -0.0]
    else:
        values = [1, -7, 100]
    return [values, None, [], [None], [values[0], None, *values], values * 50, [*values * 30, None]]


@pytest.fixture(scope="module")
def table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    """A Parquet table with an array of each type of number, nested arrays, structs and vectors."""
    columns: dict[str, tuple[t.DataType, list[Any]]] = {
        f"{kind}s": (t._parse_datatype_string(f"array<{kind}>"), arrays_of(kind))
        for kind in NUMBERS
    }
    nested = [[[1.0, 2.0], None, []], None, [], [[None, 3.0]], [[4.0]] * 70, [None], [[5.0]]]
    pairs = [([1, 2], [0.5, None]), None, ([], []), (None, [1.0]), ([3], None), ([4], [2.0]), None]
    columns |= {
        "nested": (t._parse_datatype_string("array<array<float>>"), nested),
        "pairs": (
            t._parse_datatype_string("struct<indices:array<int>,values:array<double>>"),
            pairs,
        ),
        "vector": (VectorUDT(), [*VECTORS, None]),
        "text": (t.StringType(), list("abcdefg")),
    }
    schema = t.StructType([t.StructField("id", t.IntegerType())])
    for name, (kind, _) in columns.items():
        schema = schema.add(name, kind)
    rows = list(zip(range(7), *(values for _, values in columns.values()), strict=True))
    path = str(tmp_path_factory.mktemp("packed") / "table")
    spark.createDataFrame(rows, schema).repartition(2).write.parquet(path)
    return spark.read.schema(schema).parquet(path)


@contextmanager
def settings(spark: SparkSession, **values: str) -> Iterator[None]:
    names = {name: name.replace("__", ".") for name in values}
    before = {name: spark.conf.get(names[name], None) for name in values}
    for name, value in values.items():
        spark.conf.set(names[name], value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(names[name])
            else:
                spark.conf.set(names[name], old)


PLANS: dict[str, Plan] = {
    "scan": lambda df: df,
    "merge join": lambda df: df.hint("merge").join(df.select("id"), "id"),
    "broadcast join": lambda df: df.join(F.broadcast(df.select("id")), "id"),
    "outer join": lambda df: df.sparkSession.range(9).join(df, "id", "left"),
    "aggregate": lambda df: df.groupBy("id").agg(
        *(F.first(name).alias(name) for name in df.columns[1:])
    ),
    "union": lambda df: df.union(df.select("id", *(F.col(name) for name in df.columns[1:]))),
    "mapInArrow": lambda df: df.drop("vector").mapInArrow(
        lambda batches: iter(batches), df.drop("vector").schema
    ),
    "explode": lambda df: df.withColumn("each", F.explode(F.array(F.lit(1), F.lit(2)))),
    "transform": lambda df: df.select(
        "id", *(F.transform(name, lambda x: x).alias(name) for name in ("floats", "ints", "nested"))
    ),
    "collect_list": lambda df: df.groupBy(F.col("id") % 2).agg(
        F.sort_array(F.collect_list(F.col("id").cast("float"))).alias("floats"),
        F.sort_array(F.collect_list("floats")).alias("nested"),
    ),
    "array": lambda df: df.select(
        F.array(F.col("id").cast("float"), F.lit(None)).alias("made"),
        F.array(F.array("id")).alias("nested"),
    ),
    "from_json": lambda df: df.select(
        F.from_json(F.to_json(F.struct("ints")), "ints array<int>")["ints"].alias("ints")
    ),
    "vector assembler": lambda df: VectorAssembler(
        inputCols=["id", "other"], outputCol="assembled"
    ).transform(df.select("id", (F.col("id") * 2).alias("other"))),
    "literal": lambda df: df.select("id", F.array(F.lit(1.5), F.lit(2.5)).alias("doubles")),
    "rand": lambda df: df.select("id", F.array(F.rand(1), F.rand(2)).alias("made")),
    "python udf": lambda df: df.select(
        "id", F.udf(lambda n: [float(n), None] * n, "array<float>")("id").alias("made")
    ),
    "window": lambda df: df.withColumn(
        "floats", F.lag("floats").over(Window.partitionBy(F.col("id") % 2).orderBy("id"))
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_gives_the_same_rows(table: DataFrame, name: str) -> None:
    """What a worker gets is equal, types included, and every row travels in a block."""
    df = PLANS[name](table.select(*_COLUMNS))
    assert check_same_rows(df) == df.count()


@pytest.mark.parametrize("setting", [
    {"spark__sql__codegen__wholeStage": "false"},
    {"spark__sql__codegen__factoryMode": "NO_CODEGEN", "spark__sql__codegen__wholeStage": "false"},
    {"spark__sql__subexpressionElimination__enabled": "false",
     "spark__sql__parquet__enableVectorizedReader": "false",
     "spark__sql__adaptive__enabled": "false"},
    {"spark__sql__execution__arrow__maxRecordsPerBatch": "2"},
], ids=lambda each: "-".join(each))  # fmt: skip
def test_every_setting_gives_the_same_rows(
    spark: SparkSession, table: DataFrame, setting: dict[str, str]
) -> None:
    """Neither generated code nor the way of reading changes what arrives."""
    with settings(spark, **setting):
        for name in ("broadcast join", "transform"):
            check_same_rows(PLANS[name](table.select(*_COLUMNS)))


@pytest.mark.oldest
def test_every_type_gives_the_same_rows(table: DataFrame) -> None:
    """Arrays of all numbers and bools, nested ones, structs and vectors, from a scan."""
    assert check_same_rows(table) == 7


def test_cached_tables_give_the_same_rows(table: DataFrame) -> None:
    """A table in Spark's columnar cache has an array form of its own."""
    cached = table.select(*_COLUMNS).cache()
    try:
        assert check_same_rows(cached) == 7
    finally:
        cached.unpersist()


def test_columns_off_the_heap_give_the_same_rows(spark: SparkSession, table: DataFrame) -> None:
    """Where a scan's columns lie off Java's heap, so do its arrays until a row is made of them."""
    with settings(spark, spark__sql__columnVector__offheap__enabled="true"):
        for name in ("scan", "broadcast join"):
            assert check_same_rows(PLANS[name](table.select(*_COLUMNS))) == 7


@pytest.mark.oldest
def test_a_long_row_travels_without_a_block(spark: SparkSession, table: DataFrame) -> None:
    """Where Spark sets no limit for the bytes of a batch, long rows stay lists, to fit into it."""
    limit = packing._MAX_BATCH_BYTES // 600
    with settings(
        spark,
        spark__sql__execution__arrow__maxRecordsPerBatch=str(limit),
        spark__sql__execution__arrow__maxBytesPerBatch=str(2**31 - 1),
    ):
        blocks = check_same_rows(table.select("floats", "doubles", "nested", "vector"))
    assert blocks == 4


def test_the_setting_turns_packing_off(spark: SparkSession, table: DataFrame) -> None:
    """Without it columns travel packed; with it none does, and the reason can be asked for."""
    assert why_not_packed(table) is None
    with settings(spark, spark__tf2spark__packedArrays="false"):
        assert why_not_packed(table) == f"{SETTING} is false"
        assert check_same_rows(table) == 0
    assert "no column of arrays" in str(why_not_packed(table.select("id", "text")))
    with settings(
        spark,
        spark__sql__execution__arrow__maxRecordsPerBatch="0",
        spark__sql__execution__arrow__maxBytesPerBatch=str(2**31 - 1),
    ):
        assert "no limit" in str(why_not_packed(table))


def test_rows_that_the_driver_holds_travel_plainly(spark: SparkSession) -> None:
    """The optimizer evaluates projections of such rows itself, and makes no blocks of bytes."""
    df = spark.sql("SELECT * FROM VALUES (1, array(1.5F, null)), (2, null) AS t(id, floats)")
    for each in (df, df.where("id > 1"), df.union(df), spark.sql("SELECT array(1, 2) AS ints")):
        assert "the driver holds" in str(why_not_packed(each))
        assert check_same_rows(each) == 0


def test_comet_gets_columns_as_they_are(spark: SparkSession, table: DataFrame) -> None:
    """Comet evaluates projections over columns of its own, unless it is turned off."""
    conf = session_state(spark).conf()  # a session's own settings can't have plugins
    conf.setConfString("spark.plugins", "org.apache.spark.CometPlugin")
    try:
        assert why_not_packed(table) == "Comet is on"
        with settings(spark, spark__comet__enabled="false"):
            assert why_not_packed(table) is None
    finally:
        conf.unsetConf("spark.plugins")
    assert why_not_packed(table) is None


def test_what_fails_to_be_packed_travels_plainly(
    table: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any error while the expressions are made leaves the columns as they are."""

    def fail(*_: Any) -> None:
        raise RuntimeError("another Spark")

    monkeypatch.setattr(packing, "packer_of", fail)
    assert why_not_packed(table) == "this Spark can't do it (another Spark)"
    same, parts, how = packed_parts(table, [table["floats"]], table.select("floats").schema)
    assert (same is table, len(parts), how) == (True, 1, None)


def test_only_numbers_in_arrays_and_structs_are_packable() -> None:
    """Strings, maps, dates and structs of plain numbers travel as they are."""

    def packable(kind: str) -> bool:
        return is_packable(t._parse_datatype_string(kind))

    for kind in ("array<float>", "array<array<bigint>>", "array<struct<a:int>>"):
        assert packable(kind), kind
    assert packable("struct<a:int,b:array<float>>")
    others = ["float", "string", "array<string>", "map<int,float>", "array<date>", "struct<a:int>"]
    for kind in (*others, "struct<a:array<int>,b:string>", "array<decimal(5,2)>"):
        assert not packable(kind), kind
