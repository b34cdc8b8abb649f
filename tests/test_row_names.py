"""Rows that can't be scored are named by the table's own ids, through the public interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.models.saving import save_function
from tf2spark import errors
from tf2spark.errors import ContractError, RowError

REFUSED = 'TensorFlow refused input "item": indices[0] = 99 is not in [0, 5)'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    """Two gathers, of users and of items; both tables have five rows."""

    def serve(user: Any, item: Any, x: Any) -> Any:
        users = tf.gather(tf.constant([1.0, 2.0, 3.0, 4.0, 5.0]), user)
        items = tf.gather(tf.constant([1.0, 2.0, 3.0, 4.0, 5.0]), item)
        return {"y": users * items + tf.reduce_sum(x, 1)}

    folder = tmp_path_factory.mktemp("gathers") / "model"
    ids = [tf.TensorSpec([None], tf.int64, name) for name in ("user", "item")]
    save_function(folder, serve, *ids, tf.TensorSpec([None, 2], tf.float32, "x"))
    return tf2spark.SavedModel(folder)


def columns(rows: int = 12, bad: int = 8, **rest: Any) -> dict[str, Any]:
    """Return the columns of a table whose row `bad` has an item that the model doesn't know."""
    items = [99 if row == bad else row % 5 for row in range(rows)]
    return {
        "x": [[1.0, 2.0]] * rows,
        "user": [row % 5 for row in range(rows)],
        "item": items,
        "score_id": [f"s{row}" for row in range(rows)],
        **rest,
    }


def message(model: tf2spark.SavedModel, table: Any, **arguments: Any) -> str:
    with pytest.raises(RowError) as caught:
        model.score(table, **arguments)
    return str(caught.value)


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table])
@pytest.mark.parametrize("keep", [None, [], ["user"]])
def test_pandas_and_arrow_name_the_id_and_the_input(
    model: tf2spark.SavedModel, make: Any, keep: Any
) -> None:
    """Whether the id is kept or not: all columns are at hand in one process."""
    table = make(columns())
    named = f"row 8 of the table (score_id='s8') can't be scored: {REFUSED}; mode="
    assert message(model, table, keep=keep).startswith(named)
    scored = model.score(table, keep=keep, mode="permissive")
    reasons = scored["_error"].tolist() if make is pd.DataFrame else scored["_error"].to_pylist()
    assert [reason for reason in reasons if reason] == [f"score_id='s8': {REFUSED}"]
    assert reasons[8]


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table])
def test_the_user_may_choose_what_names_a_row(model: tf2spark.SavedModel, make: Any) -> None:
    """Any column of the table; one that isn't there is an error before anything runs."""
    table = make(columns(city=[f"c{row}" for row in range(12)]))
    assert "(city='c8', user=3)" in message(model, table, id_columns=["city", "user"])
    with pytest.raises(ContractError, match='id_columns: the table has no column "town"'):
        model.score(table, id_columns=["town"])


def test_the_index_of_a_frame_names_its_rows(model: tf2spark.SavedModel) -> None:
    """If it is more than a count, and the frame has no column of ids."""
    frame = pd.DataFrame(columns()).drop(columns="score_id")
    assert message(model, frame).startswith(
        "row 8 of the table (counted from 0; user=3, item=99) can't be scored"
    )
    frame.index = pd.Index([f"k{row}" for row in range(12)])
    assert "row 8 of the table (index='k8') can't" in message(model, frame)
    assert "row 8 of the table (sku='k8') can't" in message(model, frame.rename_axis("sku"))


def test_long_and_strange_ids_are_cut_and_escaped(model: tf2spark.SavedModel) -> None:
    """A message stays short, on one line, and without what a terminal acts on."""
    ids = ["x"] * 8 + ["\x1b[31m\n" + "w" * 500] + ["x"] * 3
    text = message(model, pa.table(columns(score_id=ids)))
    assert "\x1b" not in text
    assert "\n" not in text
    assert len(text) < 300


def test_a_null_id_is_null(model: tf2spark.SavedModel) -> None:
    """It is shown like any value."""
    table = pa.table(columns(id=pa.array([1] * 8 + [None] * 4, pa.int64())))
    assert "(score_id='s8', id=null)" in message(model, table)


def test_names_cost_rows_that_are_scored_nothing(model: tf2spark.SavedModel) -> None:
    """Scores are the same with any ids and without."""
    table = pa.table(columns(bad=-1))
    plain = model.score(table.drop_columns("score_id"), fetch=["y"], keep=[])
    assert model.score(table, fetch=["y"], keep=[]).equals(plain)
    assert model.score(table, fetch=["y"], keep=[], id_columns=["user"]).equals(plain)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows")
    table = pa.table(columns(note=["n"] * 12, tags=[["t"]] * 12))
    pq.write_table(table, path / "rows.parquet")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        {"read": "worker", "keep": ["score_id"]},
        {"read": "spark"},  # through an Arrow UDF where Spark has them: lists are kept
        {"read": "spark", "keep": ["score_id"]},
        {"read": "spark", "keep": [], "id_columns": ["score_id"]},
        {"read": "worker", "keep": [], "id_columns": ["score_id"]},
    ],
)
def test_the_id_and_the_input_are_named(
    model: tf2spark.SavedModel, spark: SparkSession, path: Path, arguments: Any
) -> None:
    """In the exception, and in the error column."""
    df = spark.read.parquet(str(path)).coalesce(1)
    if arguments["read"] == "worker":
        df = spark.read.parquet(str(path))
    with pytest.raises(Exception, match="RowError") as caught:
        model.score(df, **arguments).collect()
    text = str(errors.from_text(str(caught.value)))
    assert text.startswith(f"row 8 of partition 0 (score_id='s8') can't be scored: {REFUSED}")
    scored = model.score(df, mode="permissive", **arguments)
    assert [row._error for row in scored.where("_error is not null").collect()] == [
        f"score_id='s8': {REFUSED}"
    ]
    assert model.score(df, mode="dropmalformed", **arguments).count() == 11


def test_a_function_names_what_it_is_passed(
    model: tf2spark.SavedModel, spark: SparkSession, path: Path
) -> None:
    """Only the columns that feed the model, so these help to find the row."""
    score = model.udf(mode="permissive")
    df = spark.read.parquet(str(path)).select(
        score(F.col("item"), F.col("user"), F.col("x")).alias("s")
    )
    assert [row[0] for row in df.where("s._error is not null").select("s._error").collect()] == [
        REFUSED
    ]
