from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.frames import frame
from cases.models import case, path_of
from tf2spark import errors
from tf2spark.binding.options import make_options
from tf2spark.plan.score import Plan
from tf2spark.spark import memory_limit
from tf2spark.spark.score import Carrier, choose_carrier, score_dataframe

CARRIERS: list[Carrier] = ["map_in_arrow", "arrow_udf"]
_ROWS = 100


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """A hundred rows with an id."""
    features = case("keras_mlp").table(_ROWS)
    return features.append_column("id", pa.array(range(_ROWS)))


def spoiled(table: pa.Table, row: int) -> pa.Table:
    """Return the table with null features in one row."""
    rows = table.to_pylist()
    rows[row]["features"] = None
    return pa.Table.from_pylist(rows, table.schema)


def score_by(
    carrier: Carrier, model: tf2spark.SavedModel, df: DataFrame, **options: Any
) -> DataFrame:
    """Score with a carrier of the test's choice."""
    request = model._runnable.request(None, None, None)
    return score_dataframe(
        df,
        request,
        make_options(**options),
        model._runnable.reference_for(request),
        carrier=carrier,
    )


def scores_by_id(scored: DataFrame) -> dict[int, Any]:
    rows = scored.collect()
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row["output_0"] for row in rows}


@pytest.mark.oldest
@pytest.mark.parametrize("partitions", [1, 3, 130])
def test_scores_are_those_of_this_process(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table, partitions: int
) -> None:
    """The same call gives the same bits on Spark as here, also with more partitions than rows."""
    here = mlp.score(table, keep=["id"], reproducible=True, batch_rows=64)
    there = mlp.score(
        frame(spark, table, partitions), keep=["id"], reproducible=True, batch_rows=64
    )
    expected = dict(zip(here["id"].to_pylist(), here["output_0"].to_pylist(), strict=True))
    assert scores_by_id(there) == expected


def test_carriers_give_the_same(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """Both carriers give the same columns, types and bits in every mode that they share."""
    df = frame(spark, spoiled(table, 7))
    for mode in ("permissive",):
        by_map, by_udf = (score_by(carrier, mlp, df, mode=mode) for carrier in CARRIERS)
        assert by_map.schema == by_udf.schema
        assert by_map.collect() == by_udf.collect()
    good = frame(spark, table)
    by_map, by_udf = (score_by(carrier, mlp, good, keep=["id"]) for carrier in CARRIERS)
    assert by_map.schema == by_udf.schema
    assert by_map.collect() == by_udf.collect()


@pytest.mark.oldest
def test_all_columns_stay_as_they_are(spark: SparkSession, mlp: tf2spark.SavedModel) -> None:
    """Columns that the model doesn't read keep their values and types, whatever the type."""
    row = (
        [0.5] * 8,
        Vectors.sparse(5, [1], [2.0]),
        {"a": 1},
        (1, "x"),
        Decimal("1.50"),
        datetime.date(2026, 1, 2),
        datetime.datetime(2026, 1, 2, 3, 4, 5),
        b"\x00\xff",
        None,
    )
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql import types as t

    kinds = [
        t.ArrayType(t.DoubleType()),
        VectorUDT(),
        t.MapType(t.StringType(), t.IntegerType()),
        t.StructType([t.StructField("i", t.IntegerType()), t.StructField("s", t.StringType())]),
        t.DecimalType(10, 2),
        t.DateType(),
        t.TimestampType(),
        t.BinaryType(),
        t.StringType(),
    ]
    names = ["features", "vector", "map", "struct", "decimal", "date", "time", "bytes", "a.b"]
    schema = t.StructType([t.StructField(n, k) for n, k in zip(names, kinds, strict=True)])
    df = spark.createDataFrame([row], schema)
    for mode in ("failfast", "dropmalformed"):
        scored = mlp.score(df, mode=mode)
        assert scored.columns == [*names, "output_0"]
        assert scored.drop("output_0").collect() == df.collect()


def test_parquet_scans_with_vectors_go_by_either_carrier(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table, tmp_path: Any
) -> None:
    """A scan with MLlib vectors, which Spark's columnar input can't take, is scored."""
    from pyspark.ml.linalg import Vectors, VectorUDT

    vector = F.udf(lambda at: Vectors.sparse(9, [at % 9], [1.0]), VectorUDT())
    df = frame(spark, table).withColumn("vector", vector(F.col("id").cast("int")))
    df.write.parquet(str(tmp_path / "vectors"))
    stored = spark.read.parquet(str(tmp_path / "vectors"))
    by_map, by_udf = (score_by(carrier, mlp, stored) for carrier in CARRIERS)
    assert by_map.count() == _ROWS
    assert sorted(by_map.collect()) == sorted(by_udf.collect())


def test_keep_takes_only_what_is_named(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """`keep` leaves the other columns out, including those that feed the model."""
    df = frame(spark, table)
    assert mlp.score(df, keep=["id"]).columns == ["id", "output_0"]
    assert mlp.score(df, keep=[]).columns == ["output_0"]


def test_columns_of_the_same_name_can_stay(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A table with two columns of the same name is scored if the model reads neither."""
    df = frame(spark, table).select("features", F.lit(1).alias("n"), F.lit(2).alias("n"))
    (row, *_) = mlp.score(df).collect()
    assert row[1:3] == (1, 2)


def test_columns_are_found_by_position(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """Names that Spark can't tell apart, or can't resolve, stay with their own columns."""
    names = ["N", "n", "a.b", "features", "c0"]
    columns = [F.lit(1), F.lit(2), F.lit("x"), F.col("features"), F.lit(4)]
    df = frame(spark, table).select(
        *(value.alias(name) for value, name in zip(columns, names, strict=True))
    )
    for mode in ("failfast", "dropmalformed"):
        scored = mlp.score(df, mode=mode)
        assert scored.columns == [*names, "output_0"]
        assert scored.drop("output_0").collect() == df.collect()
    few = mlp.score(df, keep=["c0", "a.b"], mode="dropmalformed")
    assert {tuple(row)[:2] for row in few.collect()} == {(4, "x")}
    by_map, by_udf = (score_by(carrier, mlp, df, keep=["c0", "a.b"]) for carrier in CARRIERS)
    assert by_map.collect() == by_udf.collect()


@pytest.mark.oldest
def test_failfast_names_row_and_column(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """The job fails, and the error in Spark's text names the row and says what to do."""
    df = frame(spark, spoiled(table, 7))
    for mode in ({"keep": ["id"]}, {"keep": None}):
        with pytest.raises(Exception, match="RowError") as caught:
            mlp.score(df, **mode).collect()
        error = errors.from_text(str(caught.value))
        assert isinstance(error, errors.RowError)
        assert str(error).startswith("row 7 of partition 0")
        assert 'can\'t be scored: column "features" is null; mode="permissive"' in str(error)


@pytest.mark.oldest
def test_permissive_gives_the_reason(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A row that can't be scored has null and a reason; other rows have a score and null."""
    df = frame(spark, spoiled(table, 7), 4)
    scored = mlp.score(df, mode="permissive", error_column="why", keep=["id"])
    by_id = {row["id"]: (row["output_0"], row["why"]) for row in scored.collect()}
    assert by_id.pop(7) == (None, 'id=7: column "features" is null')
    assert len(by_id) == _ROWS - 1
    assert all(score is not None and reason is None for score, reason in by_id.values())


@pytest.mark.oldest
def test_dropmalformed_leaves_rows_out(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """Only the rows that can't be scored are missing."""
    df = frame(spark, spoiled(table, 7), 4)
    assert set(scores_by_id(mlp.score(df, mode="dropmalformed"))) == set(range(_ROWS)) - {7}


def test_filters_on_the_score_run_the_model_once(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A filter on an output column doesn't make Spark compute the column twice."""
    scored = mlp.score(frame(spark, table)).filter("output_0 > 0").select("id", "output_0")
    plan = scored._jdf.queryExecution().executedPlan().toString()
    assert plan.count("ArrowEvalPython") + plan.count("MapInArrow") == 1


def test_unused_outputs_are_not_computed(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """Where no output is used, the model isn't run at all."""
    plan = mlp.score(frame(spark, table)).select("id")._jdf.queryExecution().executedPlan()
    assert "ArrowEvalPython" not in plan.toString()


@pytest.mark.oldest
def test_limit_before_and_after(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """`limit` works before and after scoring, also for one row and for none."""
    df = frame(spark, table, 3)
    for rows in (0, 1, 5):
        assert len(mlp.score(df.limit(rows)).collect()) == rows
        assert len(mlp.score(df).limit(rows).collect()) == rows


@pytest.mark.oldest
def test_empty_tables_are_scored(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """No rows in, no rows out, with all the columns."""
    scored = mlp.score(frame(spark, table).filter("id < 0"))
    assert scored.collect() == []
    assert scored.columns == ["features", "id", "output_0"]


@pytest.mark.oldest
def test_several_models_share_a_worker(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """Two models in one job give each its own scores."""
    labels = tf2spark.SavedModel(path_of(case("signature_default")))
    df = frame(spark, table).withColumn("x", F.slice("features", 1, 3))
    both = labels.score(mlp.score(df, keep=["id", "x"]), keep=["id", "output_0"])
    alone = mlp.score(df, keep=["id"]).collect()
    assert [(row["id"], row["output_0"]) for row in both.collect()] == [tuple(r) for r in alone]
    assert len(both.columns) > 2


def test_mismatch_is_found_before_a_task_starts(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A column that doesn't fit is refused by `score` itself, with the cast to write."""
    df = frame(spark, table).withColumn("features", F.lit("text"))
    with pytest.raises(errors.ContractError, match=r'column "features" \(string\)'):
        mlp.score(df)


def test_columns_that_python_cannot_have_stay_in_the_jvm(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A table can keep a column of a type that Spark can't send to Python."""
    df = frame(spark, table).withColumn("span", F.expr("make_interval(1, 2)"))
    scored = mlp.score(df)
    assert scored.columns[-2:] == ["span", "output_0"]
    assert scored.select("output_0").count() == _ROWS


def test_too_little_worker_memory_is_refused_before_the_job(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address space too small for TensorFlow is refused, with the value to set."""
    monkeypatch.setattr(memory_limit, "_worker_memory", lambda spark: "512m")
    with pytest.raises(errors.SetupError, match=r"pyspark.memory=512m .* set .*=2g or more"):
        mlp.score(frame(spark, table))


def test_carrier_keeps_wide_tables_out_of_python(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """An `arrow_udf` is chosen for wide tables, so columns only kept don't go through Python."""
    from tf2spark.binding.bind import bind
    from tf2spark.spark.types import arrow_schema

    df, request = frame(spark, table), mlp._runnable.request(None, None, None)

    def plan(**options: Any) -> Plan:
        reference = mlp._runnable.reference_for(request)
        return bind(request, arrow_schema(df.schema), make_options(**options), reference)

    assert choose_carrier(df.schema, plan()) == "arrow_udf"
    assert choose_carrier(df.schema, plan(mode="dropmalformed")) == "map_in_arrow"


def test_streams_are_scored(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table, tmp_path: Any
) -> None:
    """The same call scores a streaming DataFrame."""
    frame(spark, table).write.parquet(str(tmp_path / "in"))
    schema = frame(spark, table).schema
    stream = mlp.score(spark.readStream.schema(schema).parquet(str(tmp_path / "in")))
    query = (
        stream.writeStream.format("parquet")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .start(str(tmp_path / "out"))
    )
    query.awaitTermination()
    out = spark.read.parquet(str(tmp_path / "out"))
    assert scores_by_id(out) == pytest.approx(scores_by_id(mlp.score(frame(spark, table))))
    assert np.isfinite(list(scores_by_id(out).values())).all()


def test_columns_that_python_cannot_have_cannot_feed(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A column of a type that Spark can't send to Python is refused as a feed, before the job."""
    df = frame(spark, table).withColumn("span", F.expr("make_interval(1, 2)"))
    with pytest.raises(errors.ContractError, match='"span"'):
        mlp.score(df, feed={"features": "span"})
