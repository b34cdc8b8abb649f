"""`spark.broadcast.seeding`: when executors are seeded, and what if that fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tf2spark.spark.broadcast import seeding
from tf2spark.spark.jvm.access import jvm
from tf2spark.spark.jvm.blocks import block_manager, broadcast_id, driver_without_blocks

pytestmark = pytest.mark.spark


def locations(spark: SparkSession, chunk: Any) -> int:
    """Return how many hosts Spark knows to have the first piece of a variable."""
    storage = jvm(spark).org.apache.spark.storage
    block = storage.BlockId.apply(f"broadcast_{broadcast_id(chunk)}_piece0")
    return int(block_manager(spark).master().getLocations(block).size())


def test_the_driver_is_listed_again(spark: SparkSession) -> None:
    """While executors fetch from each other it isn't, whether that works or not."""
    chunk = spark.sparkContext.broadcast(bytes(5 << 20))
    assert locations(spark, chunk) == 1
    hidden = []

    def fail() -> None:
        with driver_without_blocks(spark, [broadcast_id(chunk)]):
            hidden.append(locations(spark, chunk))
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        fail()
    assert (hidden, locations(spark, chunk)) == ([0], 1)


@pytest.mark.parametrize("executors", [None, 0, seeding.FEWEST_EXECUTORS - 1])
def test_few_executors_are_not_seeded(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, executors: int | None
) -> None:
    """The driver sends them at most three copies in any case."""
    monkeypatch.setattr(seeding, "executor_count", lambda _: executors)
    assert not seeding.seed(spark, [spark.sparkContext.broadcast(b"x")])


@pytest.mark.parametrize(
    ("executors", "expected"), [(4, [1, 4]), (5, [1, 4, 5]), (1000, [1, 4, 16, 64, 256, 1000])]
)
def test_waves_grow_to_all(executors: int, expected: list[int]) -> None:
    """The first is one executor, and the last is all of them."""
    assert seeding.waves(executors) == expected


def test_one_is_first_and_then_all_are(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's description is the user's again afterwards."""
    tasks = []

    def fetch(spark: SparkSession, chunks: Sequence[Any], count: int) -> None:
        tasks.append(count)

    monkeypatch.setattr(seeding, "executor_count", lambda _: 8)
    monkeypatch.setattr(seeding, "_fetch", fetch)
    assert seeding.seed(spark, [spark.sparkContext.broadcast(b"x")])
    assert tasks == [1, 4, 8]


def test_a_job_that_fails_leaves_it_to_the_first_tasks(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeding saves time, and nothing depends on it."""
    monkeypatch.setattr(seeding, "executor_count", lambda _: 8)
    monkeypatch.setattr(seeding, "_needing", lambda chunks: _fail)
    spark.sparkContext.setJobDescription("the user's")
    assert not seeding.seed(spark, [spark.sparkContext.broadcast(b"x")])
    assert spark.sparkContext.getLocalProperty("spark.job.description") == "the user's"


def _fail(_: Any) -> None:
    raise ValueError("failed on purpose")
