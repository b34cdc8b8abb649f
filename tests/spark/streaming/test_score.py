"""`score` and `recommend` on streaming DataFrames."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases import recommenders
from cases.frames import frame
from cases.models import case, path_of
from cases.recommenders.calls import recommended
from cases.streams import SCHEMA, finish, start, stream_of, write_files
from tf2spark.errors import ContractError, RowError, from_text
from tf2spark.recommend import job_folder


def rows_by_id(table: DataFrame, key: str = "id") -> dict[Any, Any]:
    """Return the rows of a table by their ids, each of which occurs once."""
    rows = table.collect()
    by_id = {row[key]: row for row in rows}
    assert len(by_id) == len(rows)
    return by_id


def in_memory(spark: SparkSession, scored: DataFrame, folder: Path, name: str) -> DataFrame:
    """Return all rows that a query over the files that are there gives."""
    finish(start(scored, folder / name, "memory", queryName=name))
    return spark.table(name)


@pytest.mark.parametrize("keep", [["id"], None], ids=["map_in_arrow", "arrow_udf"])
def test_stream_is_scored_as_a_table(
    spark: SparkSession, tmp_path: Path, mlp: tf2spark.SavedModel, keep: list[str] | None
) -> None:
    """Each file is a micro-batch, one of them empty; rows are those of the same files at once."""
    files = write_files(tmp_path / "files", 2)
    write_files(files, 1, rows=0, first=2)
    got = in_memory(spark, mlp.score(stream_of(spark, files), keep=keep), tmp_path, "scored")
    want = mlp.score(spark.read.schema(SCHEMA).parquet(str(files)), keep=keep)
    assert got.columns == want.columns
    assert rows_by_id(got) == rows_by_id(want)
    assert got.count() == 40


def test_workers_leave_the_files_of_a_stream_to_spark(
    spark: SparkSession, tmp_path: Path, mlp: tf2spark.SavedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """By default, and the log says why; where the call insists, it is refused before it starts."""
    stream = stream_of(spark, write_files(tmp_path / "files", 1))
    with caplog.at_level("INFO", "tf2spark.read"):
        mlp.score(stream)
    assert "Spark reads the table: it is a stream" in caplog.text
    with pytest.raises(ContractError, match=r'it is a stream.*read="auto"'):
        mlp.score(stream, read="worker")


@pytest.mark.parametrize("keep", [["at"], None], ids=["map_in_arrow", "arrow_udf"])
def test_watermark_outlives_scoring(
    spark: SparkSession, tmp_path: Path, mlp: tf2spark.SavedModel, keep: list[str] | None
) -> None:
    """Windows over scores are closed by a watermark that was set before."""
    files = write_files(tmp_path / "files", 3)
    stream = stream_of(spark, files).withColumn("at", F.timestamp_seconds("id"))
    scored = mlp.score(stream.withWatermark("at", "5 seconds"), keep=keep)
    windows = scored.groupBy(F.window("at", "20 seconds")).agg(
        F.count("*").alias("rows"), F.avg("output_0")
    )
    closed = in_memory(spark, windows, tmp_path, "windows").collect()
    assert [row["rows"] for row in closed] == [20, 20]


def test_query_ends_with_the_message_about_the_row(
    spark: SparkSession, tmp_path: Path, mlp: tf2spark.SavedModel
) -> None:
    """In "failfast" mode, the query's exception has the text that a table's would have."""
    files = write_files(tmp_path / "files", 2, null_id=27)
    query = start(mlp.score(stream_of(spark, files), keep=["id"]), tmp_path)
    with pytest.raises(StreamingQueryException):
        finish(query)
    error = from_text(str(query.exception()))
    assert isinstance(error, RowError)
    assert '(id=27) can\'t be scored: column "features" is null' in str(error)
    # The micro-batches before are there, and nothing of the one that failed.
    assert spark.read.parquet(f"{tmp_path}/scored").count() == 20


def test_query_keeps_the_model_that_it_was_given(spark: SparkSession, tmp_path: Path) -> None:
    """Its folder is removed before a worker of this host has seen it."""
    shutil.copytree(path_of(case("keras_mlp")), tmp_path / "model")
    (tmp_path / "model" / "assets.extra").mkdir()
    (tmp_path / "model" / "assets.extra" / "note").write_text("in no other model")
    model = tf2spark.SavedModel(tmp_path / "model")
    stream = stream_of(spark, write_files(tmp_path / "files", 1))
    scored = model.score(stream, keep=["id"], model_column="model")
    shutil.rmtree(tmp_path / "model")
    got = in_memory(spark, scored, tmp_path, "pinned").select("model").distinct().collect()
    assert [row["model"] for row in got] == [model.digest.removeprefix("sha256:")]


class TestRecommend:
    def test_users_may_be_a_stream(
        self, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also after later calls of `recommend`, whose files replace those of the first."""
        monkeypatch.setattr(job_folder, "KEPT_JOBS", 1)
        monkeypatch.setattr(job_folder, "_kept", deque())
        model = recommenders.case("dot_ties")
        users, items = frame(spark, model.users(30)), frame(spark, model.items(20))
        users.coalesce(1).write.parquet(f"{tmp_path}/users")
        stream = spark.readStream.schema(users.schema).parquet(f"{tmp_path}/users")
        best = recommended(model, stream, items)
        want = recommended(model, users, items)
        got = in_memory(spark, best, tmp_path, "best")
        assert rows_by_id(got, "user_id") == rows_by_id(want, "user_id")

    def test_items_may_not(self, spark: SparkSession, tmp_path: Path) -> None:
        """One sentence says what to pass instead."""
        model = recommenders.case("dot_ties")
        items = frame(spark, model.items(20))
        stream = spark.readStream.schema(items.schema).parquet(str(tmp_path))
        with pytest.raises(ContractError, match=r"the items are a stream.*users may be a stream"):
            recommended(model, frame(spark, model.users(3)), stream)
