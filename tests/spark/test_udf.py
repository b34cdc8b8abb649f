from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.comparing import same_but_for_rounding
from cases.frames import frame
from cases.models import case, path_of
from cases.models.saving import forget_output_shapes, save_function
from tf2spark import errors
from tf2spark.binding.options import make_options
from tf2spark.spark.udf import call_text


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Thirty rows with an id."""
    return case("keras_mlp").table(30).append_column("id", pa.array(range(30)))


def pairs(frame: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in frame.collect())


@pytest.mark.oldest
def test_udf_is_a_column_expression(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A udf gives the scores that `score` gives, by position, by name and on Column objects."""
    df = frame(spark, table)
    expected = pairs(mlp.score(df, keep=["id"]))
    udf = mlp.udf()
    assert pairs(df.select("id", udf("features"))) == expected
    assert pairs(df.select("id", udf(features="features"))) == expected
    assert pairs(df.select("id", udf(F.col("features")))) == expected


def test_udf_reads_fields_of_structs_as_pyspark_does(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """``user.features`` is a field; a name with a dot is written in backquotes."""
    df = frame(spark, table)
    expected = pairs(mlp.score(df, keep=["id"]))
    nested = df.select("id", F.struct("features").alias("user"), F.col("features").alias("a.b"))
    udf = mlp.udf()
    for column in ("user.features", F.col("user.features"), nested["user"]["features"], "`a.b`"):
        assert pairs(nested.select("id", udf(column))) == expected
    assert pairs(nested.select("id", udf(features="user.features"))) == expected
    nested.createOrReplaceTempView("nested_rows")
    mlp.register(spark, "mlp_of_field")
    for column in ("user.features", "`a.b`"):
        assert pairs(spark.sql(f"SELECT id, mlp_of_field({column}) FROM nested_rows")) == expected


@pytest.mark.parametrize("path", ["user.features", "a.b"])
def test_udf_whose_feed_reads_a_field_takes_struct_or_field(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table, path: str
) -> None:
    """The argument is named after the struct; the field's own value feeds the input as well."""
    df = frame(spark, table)
    expected = pairs(mlp.score(df, keep=["id"]))
    head, field = path.split(".")
    nested = df.select("id", "features", F.struct(F.col("features").alias(field)).alias(head))
    udf = mlp.udf(feed={"features": path})
    assert pairs(nested.select("id", udf(head))) == expected
    assert pairs(nested.select("id", udf(path))) == expected
    assert pairs(nested.select("id", udf(**{head: "features"}))) == expected


@pytest.mark.oldest
def test_registered_model_is_a_sql_function(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """`register` makes the model callable from SQL."""
    df = frame(spark, table)
    df.createOrReplaceTempView("rows_to_score")
    mlp.register(spark, "mlp_score")
    scored = spark.sql("SELECT id, mlp_score(features) FROM rows_to_score WHERE id < 10")
    # Ten rows run together here, thirty there.
    expected = pairs(mlp.score(df, keep=["id"]).filter("id < 10"))
    assert same_but_for_rounding(pairs(scored), expected)


@pytest.mark.oldest
def test_several_outputs_are_a_struct(spark: SparkSession) -> None:
    """Several outputs become one struct with a field for each."""
    two = case("keras_two_outputs")
    model, df = tf2spark.SavedModel(path_of(two)), frame(spark, two.table(7))
    whole = model.score(df, keep=[])
    columns = df.columns
    struct = df.select(model.udf()(*columns).alias("out"))
    assert sorted(struct.select("out.*").columns) == sorted(whole.columns)
    assert pairs(struct.select("out.*").select(*whole.columns)) == pairs(whole)


@pytest.mark.oldest
def test_vectors_feed_a_udf(spark: SparkSession) -> None:
    """MLlib vectors, sparse and dense in one column, feed a udf's id and value inputs."""
    padded = case("deepfm_padded")
    model, df = tf2spark.SavedModel(path_of(padded)), frame(spark, padded.table(9))
    udf = model.udf(feed=padded.feed)
    assert pairs(df.select(udf("features"))) == pairs(model.score(df, feed=padded.feed, keep=[]))


def test_permissive_udf_has_the_reason_in_its_struct(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """In "permissive" mode a udf gives a struct of the outputs and the reason."""
    df = frame(spark, table).withColumn("features", F.when(F.col("id") != 3, F.col("features")))
    scored = df.select("id", mlp.udf(mode="permissive")("features").alias("s"))
    rows = scored.select("id", "s.*").collect()
    by_id = {row["id"]: (row["output_0"], row["_error"]) for row in rows}
    assert by_id.pop(3) == (None, 'column "features" is null')
    assert all(score is not None and reason is None for score, reason in by_id.values())


def test_wrong_column_type_is_named_in_the_job(
    spark: SparkSession, mlp: tf2spark.SavedModel, table: pa.Table
) -> None:
    """A column of the wrong type fails the query with the message that `score` gives."""
    df = frame(spark, table).withColumn("features", F.lit("text"))
    with pytest.raises(Exception, match="ContractError") as caught:
        df.select(mlp.udf()("features")).collect()
    error = errors.from_text(str(caught.value))
    assert isinstance(error, errors.ContractError)
    assert 'can\'t take column "features" (string)' in str(error)


@pytest.mark.parametrize(
    ("arguments", "by_name", "message"),
    [
        (("a", "b"), {}, r"takes 1 column \(features\), but got 2"),
        ((), {}, r"features was not given"),
        ((), {"feature": "a"}, r"feature"),
    ],
)
def test_wrong_arguments_are_refused_at_the_call(
    spark: SparkSession,
    mlp: tf2spark.SavedModel,
    arguments: tuple[str, ...],
    by_name: dict[str, str],
    message: str,
) -> None:
    """Too many, too few or unknown columns are refused with what the model takes."""
    with pytest.raises(errors.ContractError, match=message):
        mlp.udf()(*arguments, **by_name)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((1.5,), r"is float, not a column; write F\.lit\(1\.5\), or model\.udf\(feed="),
        ((True,), r"write F\.lit\(True\)"),
        ((["features"],), r"is list, not a column; write its columns one by one"),
        ((pa.table({"x": [1]}),), r"write model\.score\(table\)"),
        ((object(),), r'write the name of a column or a Column, as in udf\(F\.col\("features"\)\)'),
    ],
)
def test_what_is_no_column_is_refused_at_the_call(
    spark: SparkSession, mlp: tf2spark.SavedModel, arguments: tuple[Any, ...], says: str
) -> None:
    """A number, a list, a table: each says what to write."""
    with pytest.raises(errors.ContractError, match=says):
        mlp.udf()(*arguments)


@pytest.mark.parametrize(
    ("swapped", "name", "says"),
    [
        (True, "price", r"session comes first: model\.register\(spark, \'price\'\)"),
        (False, "", "must be the name of a SQL function, not ''"),
        (False, None, "must be the name of a SQL function, not None"),
        (False, "db.price", r'belongs to no database; write model\.register\(spark, "price"\)'),
    ],
)
def test_wrong_arguments_of_register(
    spark: SparkSession, mlp: tf2spark.SavedModel, swapped: bool, name: Any, says: str
) -> None:
    """The session comes first, and the name is one that a session's function can have."""
    arguments: tuple[Any, Any] = (name, spark) if swapped else (spark, name)
    with pytest.raises(errors.ContractError, match=says):
        mlp.register(*arguments)
    with pytest.raises(errors.ContractError, match=r"write model\.register\(df\.sparkSession, "):
        mlp.register(spark.range(1), "price")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pair_model(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    """A model of the scalars `user` and `item`, and of the list `tags`."""

    def call(user: Any, item: Any, tags: Any) -> dict[str, Any]:
        return {"score": tf.cast(user + item, tf.float32) + tf.reduce_sum(tags, 1)}

    specs = [
        tf.TensorSpec([None], tf.int64, "user"),
        tf.TensorSpec([None, 1], tf.int64, "item"),
        tf.TensorSpec([None, 3], tf.float32, "tags"),
    ]
    folder = tmp_path_factory.mktemp("pair_model")
    save_function(folder, call, *specs)
    return tf2spark.SavedModel(folder)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "ctr(1, 2)",
            "ctr(item BIGINT, tags ARRAY<FLOAT>, user BIGINT) takes 3 columns, but got 2",
        ),
        (
            "ctr(1, array(1f), 2, 4)",
            "ctr(item BIGINT, tags ARRAY<FLOAT>, user BIGINT) takes 3 columns, but got 4",
        ),
        ("mlp_call(1, 2)", "mlp_call(features ARRAY<FLOAT>) takes 1 column, but got 2"),
        ("mlp_call()", "mlp_call(features ARRAY<FLOAT>) takes 1 column, but got 0"),
        ("ctr(1, array(1f), '2')", "cast them first: CAST(user AS BIGINT)"),
        ("ctr(1, array('1'), 2)", "cast them first: CAST(tags AS ARRAY<FLOAT>)"),
        (
            "ctr(1, 1f, 2)",
            'takes 3 values per row, but column "tags" is float; pass array(a, b, ...)',
        ),
        ("ctr_of_field(named_struct('age', '1'), 2, array(1f))", "CAST(person.age AS BIGINT)"),
    ],
)
def test_wrong_call_in_sql_says_what_to_write(
    spark: SparkSession,
    mlp: tf2spark.SavedModel,
    pair_model: tf2spark.SavedModel,
    query: str,
    message: str,
) -> None:
    """A query with arguments of another number or type says how the function is called in SQL."""
    pair_model.register(spark, "ctr")
    pair_model.register(spark, "ctr_of_field", feed={"user": "person.age"})
    mlp.register(spark, "mlp_call")
    with pytest.raises(Exception, match="ContractError") as caught:
        spark.sql(f"SELECT {query}").collect()
    error = errors.from_text(str(caught.value))
    assert isinstance(error, errors.ContractError)
    assert message in str(error)
    assert "withColumn" not in str(error)
    assert "feed=" not in str(error)


@pytest.mark.oldest
def test_a_call_in_sql_without_arguments(spark: SparkSession, mlp: tf2spark.SavedModel) -> None:
    """PySpark 3.5 looks for the first argument before it calls the function."""
    mlp.register(spark, "mlp_call")
    with pytest.raises(
        Exception, match=r"mlp_call\(features ARRAY<FLOAT>\) takes 1 column, but got 0"
    ):
        spark.range(2).selectExpr("mlp_call()").collect()


def test_a_refused_row_in_sql_names_register(spark: SparkSession, mlp: tf2spark.SavedModel) -> None:
    """The mode is an argument of what makes the function, not of the query."""
    mlp.register(spark, "mlp_call")
    for column in ("mlp_call(features)", mlp.udf()("features")):
        rows = spark.createDataFrame([(None,)], "features array<float>").select(F.expr("features"))
        scored = rows.selectExpr(column) if isinstance(column, str) else rows.select(column)
        with pytest.raises(Exception, match="RowError") as caught:
            scored.collect()
        message = str(errors.from_text(str(caught.value)))
        function = (
            "register the function with model.register("
            if isinstance(column, str)
            else ("make the function with model.udf(")
        )
        assert function in message
        assert "dropmalformed" not in message


def test_call_in_sql_has_types_where_only_one_fits(pair_model: tf2spark.SavedModel) -> None:
    """An argument that is joined to others, or read by field, has no type of its own."""
    feed = {"user": "person.age", "tags": ["a", "b c", "c"]}
    request = pair_model._runnable.request(None, feed, None)
    text = call_text("my ctr", request, make_options())
    assert text == "`my ctr`(person, a, `b c`, c, item BIGINT)"


def test_dropmalformed_udf_is_refused(mlp: tf2spark.SavedModel) -> None:
    """A udf can't drop rows, and says what can."""
    with pytest.raises(errors.ContractError, match="a udf returns a value for every row"):
        mlp.udf(mode="dropmalformed")


def test_ranks_that_only_the_signature_leaves_open(spark: SparkSession, tmp_path: Path) -> None:
    """A column function has the type that follows from the shapes of its inputs, as in SQL."""
    specs = [tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec(None, tf.float32, "scale")]

    def call(x: Any, scale: Any) -> dict[str, Any]:
        return {"y": x * scale, "pair": tf.stack([x, x + scale], 1), "mean": tf.reduce_mean(x)}

    save_function(tmp_path / "model", call, *specs)
    forget_output_shapes(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    df = spark.createDataFrame([(1.0,), (2.0,)], "x float").coalesce(1)
    feed = {"scale": tf2spark.literal(2.0)}
    with pytest.warns(errors.OutputsLeftOutWarning, match='"mean" .* is one value per batch'):
        scores = df.select(model.udf(feed=feed)("x").alias("s"))
    assert scores.schema["s"].dataType.simpleString() == "struct<pair:array<float>,y:float>"
    assert sorted(scores.collect()) == [(([1.0, 3.0], 2.0),), (([2.0, 4.0], 4.0),)]
    model.register(spark, "scaled", feed=feed, fetch=["y"])
    assert spark.sql("SELECT scaled(CAST(3 AS FLOAT)) AS y").first() == (6.0,)


def test_rank_that_a_column_function_cannot_know(spark: SparkSession, tmp_path: Path) -> None:
    """Before there are columns, the rank of an input of any rank has to be given."""
    save_function(tmp_path / "m", lambda x: {"y": x * 2.0}, tf.TensorSpec(None, tf.float32, "x"))
    model = tf2spark.SavedModel(tmp_path / "m")
    with pytest.raises(errors.ContractError) as refused:
        model.udf()
    assert str(refused.value) == (
        'output "y" (float32 unknown_rank): the graph doesn\'t say its rank, and a column needs a '
        'type; write fetch={"y": tf2spark.output("y", rank=1)} for one value per row, rank=2 for a '
        "list"
    )
    udf = model.udf(fetch={"y": tf2spark.output("y", rank=2)})
    df = spark.createDataFrame([([1.0, 2.0],)], "x array<float>")
    assert df.select(udf("x")).first() == ([2.0, 4.0],)
