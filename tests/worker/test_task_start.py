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
_CASE = case("keras_mlp")


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        server_end, _ = server.accept()
        with client, server_end:
            yield client, server_end


@pytest.mark.skipif(_QUICKACK is None, reason="not Linux")
def test_received_data_is_acknowledged_at_once(connected: tuple[socket.socket, ...]) -> None:
    """A connection that delays acknowledgments no longer does."""
    assert _QUICKACK is not None
    for client in connected:
        client.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 0)
        assert client.getsockopt(socket.IPPROTO_TCP, _QUICKACK) == 0
    begin_task()
    for client in connected:
        assert client.getsockopt(socket.IPPROTO_TCP, _QUICKACK) == 1


def test_open_descriptors_stay_open(connected: tuple[socket.socket, ...], tmp_path: Any) -> None:
    """Connections, local sockets and files go on working."""
    client, server_end = connected
    left, right = socket.socketpair()
    with left, right, (tmp_path / "file").open("wb+") as file:
        begin_task()
        client.sendall(b"a")
        left.sendall(b"b")
        file.write(b"c")
        assert (server_end.recv(1), right.recv(1)) == (b"a", b"b")
    assert (tmp_path / "file").read_bytes() == b"c"


def test_a_task_begins_without_a_folder_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, a task begins all the same."""

    def missing(_: str) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", missing)
    begin_task()


def test_the_driver_keeps_its_garbage_collection() -> None:
    """Outside of Spark's tasks nothing is excluded from garbage collection."""
    frozen = gc.get_freeze_count()
    begin_task()
    begin_task()
    assert gc.get_freeze_count() == frozen


@pytest.mark.oldest
@pytest.mark.parametrize("carrier", ["by batches", "by columns", "by files"])
def test_a_worker_excludes_lasting_objects_from_garbage_collection(
    carrier: str, spark: SparkSession, tmp_path: Any
) -> None:
    """A worker's modules are frozen at its second task, and not before."""
    environment = spark.sparkContext.environment
    environment["TF2SPARK_TEST_POOL"] = carrier  # a worker of its own
    try:
        scored = _scored(spark, carrier, str(tmp_path / "table"))
        frozen = _frozen(spark)
        counts = []
        for _ in range(3):
            scored.write.format("noop").mode("overwrite").save()
            counts.append(frozen.collect()[0][0])
    finally:
        environment.pop("TF2SPARK_TEST_POOL")
    assert counts[0] == 0
    assert counts[1] > 10_000
    assert counts[2] <= counts[1]  # only once: later objects are collected as usual


def _scored(spark: SparkSession, carrier: str, folder: str) -> DataFrame:
    model = tf2spark.SavedModel(path_of(_CASE))
    frame(spark, _CASE.table(8)).write.parquet(folder)
    df = spark.read.parquet(folder)
    if carrier == "by files":
        return model.score(df, read="worker")
    if carrier == "by batches":
        return model.score(df, read="spark")
    return df.select(model.udf()("features"))


def _frozen(spark: SparkSession) -> DataFrame:
    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            yield pa.RecordBatch.from_arrays([pa.array([gc.get_freeze_count()])], names=["count"])

    return spark.range(1, numPartitions=1).mapInArrow(count, "count long")
