from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases.frames import frame
from cases.models import case, path_of
from tf2spark.worker.task_start import begin_task

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_ONE = case("keras_mlp")


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        with one, other:
            yield one, other


@pytest.mark.skipif(_QUICKACK is None, reason="not Linux")
def test_what_came_is_acknowledged_at_once(connected: tuple[socket.socket, ...]) -> None:
    """A connection that holds acknowledgements back doesn't any more."""
    assert _QUICKACK is not None
    for one in connected:
        one.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 0)
        assert one.getsockopt(socket.IPPROTO_TCP, _QUICKACK) == 0
    begin_task()
    for one in connected:
        assert one.getsockopt(socket.IPPROTO_TCP, _QUICKACK) == 1


def test_what_is_open_stays_open(connected: tuple[socket.socket, ...], tmp_path: Any) -> None:
    """Connections, local sockets, and files are as they were."""
    one, other = connected
    left, right = socket.socketpair()
    with left, right, (tmp_path / "file").open("wb+") as file:
        begin_task()
        one.sendall(b"a")
        left.sendall(b"b")
        file.write(b"c")
        assert (other.recv(1), right.recv(1)) == (b"a", b"b")
    assert (tmp_path / "file").read_bytes() == b"c"


def test_a_task_begins_without_a_folder_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc, a task begins all the same."""

    def missing(_: str) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", missing)
    begin_task()


def test_the_driver_keeps_its_garbage_collection() -> None:
    """Outside of Spark's tasks nothing is left out of garbage collection."""
    frozen = gc.get_freeze_count()
    begin_task()
    begin_task()
    assert gc.get_freeze_count() == frozen


@pytest.mark.oldest
@pytest.mark.parametrize("way", ["by batches", "by columns", "by files"])
def test_a_worker_leaves_what_lasts_out_of_garbage_collection(
    way: str, spark: SparkSession, tmp_path: Any
) -> None:
    """From a worker's second task on its modules are frozen, and not before."""
    environment = spark.sparkContext.environment
    environment["TF2SPARK_TEST_POOL"] = way  # a worker of its own
    try:
        scored = _scored(spark, way, str(tmp_path / "table"))
        frozen = _frozen(spark)
        counts = []
        for _ in range(3):
            scored.write.format("noop").mode("overwrite").save()
            counts.append(frozen.collect()[0][0])
    finally:
        environment.pop("TF2SPARK_TEST_POOL")
    assert counts[0] == 0
    assert counts[1] > 10_000
    assert counts[2] <= counts[1]  # once: what comes later is collected as ever


def _scored(spark: SparkSession, way: str, folder: str) -> DataFrame:
    model = tf2spark.SavedModel(path_of(_ONE))
    frame(spark, _ONE.table(8)).write.parquet(folder)
    df = spark.read.parquet(folder)
    if way == "by files":
        return model.score(df, read="worker")
    if way == "by batches":
        return model.score(df, read="spark")
    return df.select(model.udf()("features"))


def _frozen(spark: SparkSession) -> DataFrame:
    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            yield pa.RecordBatch.from_arrays([pa.array([gc.get_freeze_count()])], names=["count"])

    return spark.range(1, numPartitions=1).mapInArrow(count, "count long")
