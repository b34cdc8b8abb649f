"""Which catalogs the driver reads for itself, and by how many jobs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tf2spark.spark.input_size import input_bytes
from tf2spark.spark.recommend import small_catalog
from tf2spark.spark.recommend.small_catalog import BegunItems, begin_reading


@pytest.fixture(scope="module")
def items(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    """300 items in three files."""
    folder = str(tmp_path_factory.mktemp("items") / "items")
    spark.range(300, numPartitions=3).write.parquet(folder)
    return spark.read.parquet(folder)


@pytest.fixture
def group(spark: SparkSession) -> Iterator[str]:
    """A group for the test's jobs."""
    name = uuid.uuid4().hex
    spark.sparkContext.setJobGroup(name, "")
    yield name
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]


def facts(begun: BegunItems) -> tuple[int, int, int | None]:
    """Return how many first items there are, how many items in all, and how many were read."""
    table = begun.all()
    return begun.first().num_rows, begun.count(), None if table is None else table.num_rows


def jobs(spark: SparkSession, group: str) -> int:
    return len(spark.sparkContext.statusTracker().getJobIdsForGroup(group))


class TestReading:
    def test_a_small_input_takes_one_job(
        self, spark: SparkSession, items: DataFrame, group: str
    ) -> None:
        """Which is the sample, the count and the catalog."""
        assert facts(begin_reading(items.selectExpr("id + 1 as id"))) == (64, 300, 300)
        assert jobs(spark, group) == 1

    def test_small_files_take_no_job(
        self, spark: SparkSession, items: DataFrame, group: str
    ) -> None:
        """The driver opens them itself."""
        assert facts(begin_reading(items)) == (64, 300, 300)
        assert jobs(spark, group) == 0

    def test_an_input_of_unknown_size_is_counted_first(self, spark: SparkSession) -> None:
        """An RDD has no size before it is computed."""
        rows = spark.createDataFrame(spark.sparkContext.parallelize([(n,) for n in range(300)], 3))
        assert input_bytes(rows) is None
        assert facts(begin_reading(rows)) == (64, 300, 300)
        assert facts(begin_reading(rows.limit(40))) == (40, 40, 40)

    @pytest.mark.parametrize("input_bytes", [0, 1 << 20])
    def test_many_items_are_left_to_workers(
        self, items: DataFrame, monkeypatch: pytest.MonkeyPatch, input_bytes: int
    ) -> None:
        """Whether the size of their files is known to be small or not."""
        monkeypatch.setattr(small_catalog, "_MAX_INPUT_BYTES", input_bytes)
        monkeypatch.setattr(small_catalog, "MAX_ITEMS", 299)
        assert facts(begin_reading(items)) == (64, 300, None)
        monkeypatch.setattr(small_catalog, "MAX_ITEMS", 300)
        assert facts(begin_reading(items)) == (64, 300, 300)

    def test_large_items_are_left_to_workers(
        self, items: DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the size of the first."""
        monkeypatch.setattr(small_catalog, "_MAX_INPUT_BYTES", 0)
        monkeypatch.setattr(small_catalog, "_MAX_BYTES", 300 * 8 - 1)
        assert facts(begin_reading(items)) == (64, 300, None)

    def test_a_small_input_may_make_many_items(self, items: DataFrame) -> None:
        """Each task stops at the limit."""
        many = items.select(F.explode(F.sequence(F.lit(1), F.lit(1_000))).alias("id"))
        assert facts(begin_reading(many)) == (64, 300_000, None)

    def test_no_items_are_none(self, items: DataFrame) -> None:
        """As in an empty table."""
        assert facts(begin_reading(items.where("id < 0"))) == (0, 0, 0)

    @pytest.mark.parametrize(("input_bytes", "most_jobs"), [(1 << 20, 1), (0, 3)])
    def test_a_query_that_fails_is_not_run_again(
        self,
        spark: SparkSession,
        items: DataFrame,
        monkeypatch: pytest.MonkeyPatch,
        group: str,
        input_bytes: int,
        most_jobs: int,
    ) -> None:
        """Its own error comes from whatever waits for it."""
        monkeypatch.setattr(small_catalog, "_MAX_INPUT_BYTES", input_bytes)
        begun = begin_reading(items.select(F.raise_error(F.lit("no")).alias("id")))
        for wait in (begun.first, begun.all):
            with pytest.raises(Exception, match="no"):
                wait()
        assert 0 < jobs(spark, group) <= most_jobs

    def test_an_item_that_fails_later_fails_the_reading(
        self, items: DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first items are there all the same."""
        monkeypatch.setattr(small_catalog, "_MAX_INPUT_BYTES", 0)
        is_last = F.col("id") == 299
        failing = items.select(F.when(is_last, F.raise_error(F.lit("no"))).otherwise(F.col("id")))
        begun = begin_reading(failing.coalesce(1))
        assert begun.first().num_rows == 64
        with pytest.raises(Exception, match="no"):
            begun.all()
