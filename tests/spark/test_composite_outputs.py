"""Ragged and sparse outputs as columns of Spark: by batches, by column functions, and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, Row, SparkSession

import tf2spark
from cases.models.saving import save_function
from tf2spark.cli.main import run

TEXTS = ["1 2", "x", "", None, "30"]
"""Of these, the model refuses the second, and the fourth is null."""
NUMBERS = {0: [1.0, 2.0], 2: [], 4: [30.0]}
WORDS = {0: ["1", "2"], 2: [], 4: ["30"]}
SPARSE = {0: ([0, 1], [1.0, 2.0]), 2: ([], []), 4: ([0], [30.0])}
LETTERS = {0: ([[0, 0], [1, 0]], ["1", "2"]), 2: ([], []), 4: ([[0, 0], [0, 1]], ["3", "0"])}
GOOD = list(NUMBERS)


def split(text: Any) -> dict[str, Any]:
    words = tf.strings.split(text)
    numbers = words.with_flat_values(tf.strings.to_number(words.flat_values))
    letters = tf.strings.unicode_split(words, "UTF-8").to_sparse()
    return {"words": words, "numbers": numbers, "sparse": numbers.to_sparse(), "letters": letters}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    path = tmp_path_factory.mktemp("composite") / "model"
    save_function(path, split, tf.TensorSpec([None], tf.string, "text"))
    return tf2spark.SavedModel(path)


@pytest.fixture(scope="module")
def texts(spark: SparkSession) -> DataFrame:
    """The texts with their numbers, in one partition, with an empty one beside it."""
    return spark.createDataFrame(list(enumerate(TEXTS)), "id int, text string").coalesce(1)


def check(row: Any, number: int) -> None:
    """Compare the four outputs of a row."""
    assert row.numbers == NUMBERS[number]
    assert row.words == WORDS[number]
    assert (row.sparse.indices, row.sparse["values"]) == SPARSE[number]
    assert (row.letters.indices, row.letters["values"]) == LETTERS[number]


def test_a_bad_row_in_the_middle_is_the_only_one_without_outputs(
    model: tf2spark.SavedModel, texts: DataFrame
) -> None:
    """Lists and structs of the rows around it stay theirs."""
    scored = model.score(texts, mode="permissive", keep=["id"]).orderBy("id").collect()
    assert [row.id for row in scored if row._error is None] == GOOD
    for row in scored:
        if row.id in GOOD:
            check(row, row.id)
        else:
            assert (row.numbers, row.words, row.sparse, row.letters) == (None,) * 4


def test_malformed_rows_are_dropped_from_maps(model: tf2spark.SavedModel, texts: DataFrame) -> None:
    """A map of each row that is left."""
    fetch = {"m": tf2spark.output("sparse", as_map=True)}
    scored = model.score(texts, mode="dropmalformed", keep=["id"], fetch=fetch)
    assert {row.id: row.m for row in scored.collect()} == {
        0: {0: 1.0, 1: 2.0}, 2: {}, 4: {0: 30.0},
    }  # fmt: skip


def test_runs_of_a_fixed_size_have_the_same_lists(
    model: tf2spark.SavedModel, texts: DataFrame
) -> None:
    """The rows that fill up a run don't show."""
    good = texts.where("id in (0, 2, 4)")
    scored = model.score(good, reproducible=True, batch_rows=4, keep=["id"]).collect()
    assert sorted(row.id for row in scored) == GOOD
    for row in scored:
        check(row, row.id)


def test_column_and_sql_functions_return_them(
    spark: SparkSession, model: tf2spark.SavedModel, texts: DataFrame
) -> None:
    """Of all outputs, of one ragged output, and in SQL."""
    good = texts.where("id in (0, 2, 4)")
    for row in good.select("id", model.udf()("text").alias("all")).collect():
        check(row["all"], row.id)
    one = good.select("id", model.udf(fetch=["numbers"])("text").alias("n")).collect()
    assert {row.id: row.n for row in one} == NUMBERS
    model.register(spark, "split_text", fetch=["sparse"])
    good.createOrReplaceTempView("composite_texts")
    rows = spark.sql("SELECT id, split_text(text) s FROM composite_texts").collect()
    assert {row.id: (row.s.indices, row.s["values"]) for row in rows} == SPARSE


def test_files_hold_them_or_the_error_says_which_do(
    spark: SparkSession,
    model: tf2spark.SavedModel,
    texts: DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Parquet and JSON hold lists and structs; CSV doesn't, which is said before the job starts."""
    texts.where("id in (0, 2, 4)").write.parquet(str(tmp_path / "in"))
    command = ["score", model.contract.path, "--input", str(tmp_path / "in"), "--output"]
    for kind in ("parquet", "json"):
        assert run([*command, str(tmp_path / kind), "--output-format", kind]) == 0
        rows: list[Row] = spark.read.format(kind).load(str(tmp_path / kind)).collect()
        for row in rows:
            check(row, row.id)
    capsys.readouterr()
    assert run([*command, str(tmp_path / "csv"), "--output-format", "csv"]) == 2
    message = capsys.readouterr().err
    assert 'CSV has no lists, structs or maps, and the table has "letters" (struct<' in message
    assert '"numbers" (array<float>)' in message
    assert "write --output-format parquet or json, or leave" in message
    assert not (tmp_path / "csv").exists()
