"""Columns of Spark packed into serialized ``tf.Example``, compared with TensorFlow's parsing."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases.models.saving import save_function
from tf2spark.errors import ContractError

FEATURES = {
    "age": tf.io.FixedLenFeature([], tf.float32),
    "city": tf.io.FixedLenFeature([], tf.string, "nowhere"),
    "tags": tf.io.VarLenFeature(tf.string),
    "visits": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
}
SCHEMA = "id int, age int, city string, tags array<string>, visits array<bigint>"
ROWS: list[tuple[Any, ...]] = [
    (0, 30, "oslo", ["a", "bc"], [1, 2]),
    (1, None, "rome", ["d"], [3]),
    (2, 41, None, None, None),
    (3, 52, "", [], [4, 5, 6]),
    (4, 63, "bern", ["e", "f", "g"], []),
]
WITHOUT_AGE = 1
OUTPUTS = ("age", "city", "joined", "total")


def parse(examples: Any) -> dict[str, Any]:
    parsed = tf.io.parse_example(examples, FEATURES)
    tags = tf.RaggedTensor.from_sparse(parsed["tags"])
    return {
        "age": parsed["age"],
        "city": parsed["city"],
        "joined": tf.strings.reduce_join(tags, 1, separator="|"),
        "total": tf.reduce_sum(parsed["visits"], 1),
    }


def message(row: tuple[Any, ...], keys: tuple[str, ...]) -> bytes:
    """Serialize the features of a row that aren't null with TensorFlow's classes."""
    values = {key: value for key, value in zip(FEATURES, row[1:], strict=True) if key in keys}
    example = tf.train.Example()
    for key, value in values.items():
        if value is None:
            continue
        feature = example.features.feature[key]
        if key == "age":
            feature.float_list.value.append(value)
        elif key == "visits":
            feature.int64_list.value.extend(value)
        else:
            texts = value if isinstance(value, list) else [value]
            feature.bytes_list.value.extend(text.encode() for text in texts)
    return bytes(example.SerializeToString())


def expected(*keys: str) -> dict[int, tuple[Any, ...]]:
    """Return the outputs that TensorFlow computes for each row that has the required feature."""
    rows = [row for row in ROWS if row[0] != WITHOUT_AGE]
    parsed = parse(tf.constant([message(row, keys or tuple(FEATURES)) for row in rows]))
    ages, cities, joined, totals = (parsed[name].numpy().tolist() for name in OUTPUTS)
    texts = ([text.decode() for text in column] for column in (cities, joined))
    return dict(zip([row[0] for row in rows], zip(ages, *texts, totals, strict=True), strict=True))


def by_id(rows: list[Any], *, column: str | None = None) -> dict[int, tuple[Any, ...]]:
    """Return the outputs of each row: its columns, or the fields of one."""
    return {
        row.id: tuple((row[column] if column else row)[name] for name in OUTPUTS) for row in rows
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    path = tmp_path_factory.mktemp("examples") / "model"
    save_function(path, parse, tf.TensorSpec([None], tf.string, "examples"))
    return tf2spark.SavedModel(path)


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """All rows in one partition, and an empty partition beside it."""
    context = spark.sparkContext
    rows = context.parallelize(ROWS, 1).union(context.parallelize(ROWS[:0], 1))
    table = spark.createDataFrame(rows, SCHEMA)
    assert table.rdd.getNumPartitions() == 2
    return table.withColumnsRenamed({"age": "years", "city": "town"})


FEED = {"examples": tf2spark.example("tags", "visits", age="years", city="town")}


def test_a_null_is_the_default_or_the_reason_why_a_row_has_no_outputs(
    model: tf2spark.SavedModel, people: DataFrame
) -> None:
    """Only the row without the required feature is left without outputs, and says why."""
    rows = model.score(people, feed=FEED, mode="permissive", keep=["id"]).collect()
    (bad,) = (row for row in rows if row._error is not None)
    assert bad.id == WITHOUT_AGE
    assert bad._error.startswith('id=1: column "years" is null')
    assert 'feature "age" of input "examples" has no default' in bad._error
    assert [bad[name] for name in OUTPUTS] == [None] * 4
    assert by_id([row for row in rows if row is not bad]) == expected()


def test_features_without_a_column_take_the_default(
    model: tf2spark.SavedModel, people: DataFrame
) -> None:
    """`example()` feeds the features that the table has; without one it needs, no job starts."""
    table = people.selectExpr("id", "years age", "visits")
    feed = {"examples": tf2spark.example()}
    rows = model.score(table, feed=feed, mode="dropmalformed", keep=["id"]).collect()
    assert by_id(rows) == expected("age", "visits")
    with pytest.raises(ContractError, match='no column for the feature "age", which has no def'):
        model.score(table.drop("age"), feed=feed)


def test_column_and_sql_functions_take_the_columns_of_the_example(
    spark: SparkSession, model: tf2spark.SavedModel, people: DataFrame
) -> None:
    """One argument for each column, in the order of the feed."""
    good = people.where("years is not null")
    columns = ("tags", "visits", "years", "town")
    rows = good.select("id", model.udf(feed=FEED)(*columns).alias("out")).collect()
    assert by_id(rows, column="out") == expected()
    feed = {"examples": tf2spark.example("city", age="years")}
    model.register(spark, "parse_people", feed=feed)
    good.createOrReplaceTempView("example_people")
    sql = "SELECT id, parse_people(town, years) out FROM example_people"
    assert by_id(spark.sql(sql).collect(), column="out") == expected("age", "city")
