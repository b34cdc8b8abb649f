"""`spark.broadcast.files`: large files as broadcast variables."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from pyspark.sql import SparkSession

from tf2spark.errors import ModelError
from tf2spark.package.file_source import ModelFolder
from tf2spark.package.folder import entries_of
from tf2spark.plan.score import ModelRef
from tf2spark.spark.broadcast import files
from tf2spark.worker.model_session import hold_files

pytestmark = pytest.mark.spark


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRef:
    """A model with a file of three variables, one of exactly one, and a small one."""
    monkeypatch.setattr(files, "LEAST_BYTES", 1000)
    monkeypatch.setattr(files, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(files, "expected_executors", lambda _: 8)
    monkeypatch.setattr(files, "_kept", type(files._kept)())
    folder = tmp_path / "model"
    folder.mkdir()
    sizes = {"saved_model.pb": 10, "weights": 2500, "table": 1000}
    for name, size in sizes.items():
        (folder / name).write_bytes(bytes(index * 7 % 251 for index in range(size)))
    return ModelRef(
        str(folder), ("serve",), "d" * 64, files=entries_of(folder), cache=str(tmp_path / "cache")
    )


def sent(spark: SparkSession, model: ModelRef) -> Any:
    return files.broadcast_files(spark, model, ModelFolder(Path(model.path)))


def test_a_file_is_cut_into_variables(spark: SparkSession, model: ModelRef) -> None:
    """Together they are the file; a small file is none."""
    sizes = {
        file.sha256: [len(chunk.value) for chunk in file.chunks] for file in sent(spark, model)
    }
    by_path = {entry.path: sizes.get(entry.sha256) for entry in model.files}
    assert by_path == {"saved_model.pb": None, "table": [1000], "weights": [1000, 1000, 500]}


def test_workers_read_them_as_files(spark: SparkSession, model: ModelRef, tmp_path: Path) -> None:
    """A worker's host cache has the bytes, which aren't kept in the worker's memory."""
    shipped = evolve(model, storage="shipped", broadcast=sent(spark, model))
    small = Path(model.path) / "saved_model.pb"

    def unpack(_: Any) -> Iterator[tuple[bytes, bool]]:
        held = hold_files(shipped, lambda entry: small)
        in_memory = [vars(chunk) for file in shipped.broadcast for chunk in file.chunks]
        is_kept = any("_value" in attributes for attributes in in_memory)
        yield (held.folder / "weights").read_bytes(), is_kept

    ((unpacked, is_kept),) = spark.sparkContext.parallelize([0], 1).mapPartitions(unpack).collect()
    assert unpacked == (Path(model.path) / "weights").read_bytes()
    assert not is_kept


def test_a_file_that_changed_is_not_sent(spark: SparkSession, model: ModelRef) -> None:
    """What is hashed is what is sent."""
    (Path(model.path) / "weights").write_bytes(bytes(2500))
    with pytest.raises(ModelError, match="changed after it was read: weights has other bytes"):
        sent(spark, model)
    assert not files._kept


def test_the_models_that_were_shipped_last_are_kept(spark: SparkSession, model: ModelRef) -> None:
    """The variables of others are left to Spark's cleaner, unless a query has them."""
    first = sent(spark, model)
    assert sent(spark, model) is first
    for number in range(files._KEPT_MODELS):
        sent(spark, evolve(model, digest=str(number) * 64))
    gc.collect()
    assert len(files._kept) == files._KEPT_MODELS
    assert sent(spark, model) is not first


@pytest.mark.parametrize(
    ("settings", "registered", "expected"),
    [
        ({}, None, 0),
        ({}, 5, 5),
        ({"spark.executor.instances": "16"}, 2, 16),
        ({"spark.dynamicAllocation.enabled": "true"}, 0, float("inf")),
        (
            {
                "spark.dynamicAllocation.enabled": "true",
                "spark.dynamicAllocation.maxExecutors": "3",
            },
            1,
            3,
        ),
    ],
)
def test_executors_are_expected(
    spark: SparkSession,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    registered: int | None,
    expected: float,
) -> None:
    """Those that are there, those that were requested, or those that may come."""
    monkeypatch.setattr(files, "executor_count", lambda _: registered)
    monkeypatch.setattr(type(spark.sparkContext), "getConf", lambda self: settings)
    assert files.expected_executors(spark) == expected


def test_few_executors_fetch_files(
    spark: SparkSession, model: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They need less CPU for it, and the driver sends at most three copies."""
    monkeypatch.setattr(files, "expected_executors", lambda _: 3)
    assert sent(spark, model) == ()


def test_nothing_is_broadcast_where_spark_encrypts(
    spark: SparkSession, model: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the JVM has the key, so each worker would hold all of the model in memory."""
    (entry, *_) = (entry for entry in model.files if entry.path == "weights")
    assert files.is_broadcast(spark, entry)

    class Encrypting:
        def get(self, key: str, default: str) -> str:
            return "true" if key == "spark.io.encryption.enabled" else default

    monkeypatch.setattr(type(spark.sparkContext), "getConf", lambda self: Encrypting())
    assert not files.is_broadcast(spark, entry)
