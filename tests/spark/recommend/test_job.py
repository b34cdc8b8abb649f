"""`recommend` on Spark gives the same recommendations as in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases import recommenders
from cases.frames import frame
from cases.recommenders.calls import pairs_of, recommended
from cases.recommenders.case import Case
from tf2spark.errors import ContractError, from_text
from tf2spark.spark.recommend import small_catalog

_CASES = [
    "dot_ties",
    "deepfm_keras",
    "keras_lookups",
    "din_keras",
    "softmax_over_batch",
    "titles",
    "history_gru",
]
K = 6


def by_user(table: DataFrame) -> dict[Any, list[tuple[Any, float]]]:
    """Return the recommendations by user id."""
    return {row["user_id"]: [tuple(best) for best in row["recommendations"]]
            for row in table.collect()}  # fmt: skip


def local(case: Case, users: pa.Table, items: pa.Table) -> dict[Any, list[tuple[Any, float]]]:
    """Return what the same call gives in this process."""
    return dict(
        zip(users["user_id"].to_pylist(), pairs_of(recommended(case, users, items, K)), strict=True)
    )


@pytest.fixture
def on_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every catalog is too large for the driver."""
    monkeypatch.setattr(small_catalog, "_MAX_INPUT_BYTES", -1)
    monkeypatch.setattr(small_catalog, "MAX_ITEMS", -1)


def check_equals_local(spark: SparkSession, name: str, partitions: tuple[int, int]) -> None:
    """Compare a call on DataFrames of these numbers of partitions with one in this process."""
    case = recommenders.case(name)
    users, items = case.users(29), case.items(50)
    got = recommended(
        case, frame(spark, users, partitions[0]), frame(spark, items, partitions[1]), K
    )
    best, expected = by_user(got), local(case, users, items)
    assert best.keys() == expected.keys()
    for user, pairs in expected.items():
        assert [item for item, _ in best[user]] == [item for item, _ in pairs]
        scores = [score for _, score in best[user]]
        assert scores == pytest.approx([score for _, score in pairs], 1e-5, 1e-6)


def check_bad_item(spark: SparkSession) -> None:
    """Check that a call whose items lack a value names the item."""
    case = recommenders.case("dot_ties")
    (name,) = [column for column in case.items(1).column_names if column != "item_id"][:1]
    bad = case.items(9)["item_id"][4].as_py()
    items = frame(spark, case.items(9)).withColumn(
        name, F.when(F.col("item_id") != bad, F.col(name))
    )
    with pytest.raises(tf2spark.errors.RowError, match=f"item_id={bad}"):
        recommended(case, frame(spark, case.users(3)), items)


class TestOnSpark:
    @pytest.mark.parametrize("name", _CASES)
    def test_gives_what_one_process_gives(self, spark: SparkSession, name: str) -> None:
        """With the items computed by the driver."""
        check_equals_local(spark, name, (1, 1))

    @pytest.mark.usefixtures("on_workers")
    @pytest.mark.parametrize("name", _CASES)
    def test_gives_the_same_if_workers_compute_the_items(
        self, spark: SparkSession, name: str
    ) -> None:
        """However users and items are partitioned."""
        check_equals_local(spark, name, (5, 3))

    @pytest.mark.oldest
    def test_has_the_schema_of_als(self, spark: SparkSession) -> None:
        """One row a user, a list of structs of item id and score."""
        case = recommenders.case("dot_ties")
        got = recommended(case, frame(spark, case.users(3)), frame(spark, case.items(4)))
        assert got.schema.simpleString() == (
            "struct<user_id:bigint,recommendations:array<struct<item_id:bigint,score:float>>>"
        )

    @pytest.mark.oldest
    def test_subsets_are_filtered_tables(self, spark: SparkSession) -> None:
        """Some users or some items are the same call on a filtered DataFrame."""
        case = recommenders.case("dot_ties")
        users, items = case.users(20), case.items(30)
        some = users["user_id"].to_pylist()[3:5]
        got = by_user(
            recommended(
                case,
                frame(spark, users, 2).where(F.col("user_id").isin(some)),
                frame(spark, items, 2),
                K,
            )
        )
        want = local(case, users, items)
        assert got == {user: want[user] for user in some}

    def test_restrictions_and_kept_columns(self, spark: SparkSession) -> None:
        """Exclude, candidates and keep are columns of users."""
        case = recommenders.case("dot_ties")
        users, items = case.users(20), case.items(30)
        ids = items["item_id"].to_pylist()
        seen = pa.array([ids[n : n + 5] for n in range(20)], pa.list_(pa.int64()))
        users = users.append_column("seen", seen).append_column("a.b", pa.array(range(20)))
        more = {"exclude": "seen", "keep": ["a.b"]}
        got = recommended(case, frame(spark, users, 3), frame(spark, items), K, **more)
        assert got.columns == ["user_id", "a.b", "recommendations"]
        want = recommended(case, users, items, K, **more)
        assert by_user(got) == dict(zip(users["user_id"].to_pylist(), pairs_of(want), strict=True))

    def test_columns_that_nothing_reads_may_be_of_any_type(self, spark: SparkSession) -> None:
        """Calendar intervals don't reach Python, and its dates end before Spark's."""
        case = recommenders.case("dot_ties")
        users, items = case.users(20), case.items(30)
        more = {"i": F.expr("make_interval(1, 2)"), "far": F.expr("timestamp_micros(1L << 62)")}
        got = recommended(
            case, frame(spark, users, 2).withColumns(more), frame(spark, items).withColumns(more), K
        )
        assert by_user(got) == local(case, users, items)

    def test_user_that_cannot_be_scored_follows_the_mode(self, spark: SparkSession) -> None:
        """A null feature: the job stops and names the user, or the user has a reason."""
        case = recommenders.case("dot_ties")
        (name,) = [column for column in case.users(1).column_names if column != "user_id"][:1]
        users = frame(spark, case.users(9), 2).withColumn(
            name, F.when(F.col("user_id") != case.users(9)["user_id"][4].as_py(), F.col(name))
        )
        items = frame(spark, case.items(5))
        with pytest.raises(Exception, match="can't be scored") as caught:
            recommended(case, users, items).collect()
        assert from_text(str(caught.value)) is not None
        rows = recommended(case, users, items, mode="permissive").collect()
        assert [row["recommendations"] is None for row in rows].count(True) == 1
        assert len(recommended(case, users, items, mode="dropmalformed").collect()) == 8

    def test_bad_item_is_named_before_users_start(self, spark: SparkSession) -> None:
        """The call itself raises our own error, with the item's id."""
        check_bad_item(spark)

    @pytest.mark.usefixtures("on_workers")
    def test_bad_item_of_a_worker_is_named_too(self, spark: SparkSession) -> None:
        """With the same id."""
        check_bad_item(spark)

    def test_tables_of_two_kinds_are_refused(self, spark: SparkSession) -> None:
        """Both are DataFrames, or neither is."""
        case = recommenders.case("dot_ties")
        with pytest.raises(ContractError, match="the items are pyarrow"):
            recommended(case, frame(spark, case.users(3)), case.items(3))
        with pytest.raises(ContractError, match="the users are pyarrow"):
            recommended(case, case.users(3), frame(spark, case.items(3)))

    def test_swapped_tables_are_named(self, spark: SparkSession) -> None:
        """Tables that lack each other's columns are named before any job."""
        case = recommenders.case("dot")
        with pytest.raises(
            ContractError, match=r"^the tables look swapped: .*items=\.\.\., users="
        ):
            recommended(case, frame(spark, case.items(3)), frame(spark, case.users(3)))

    def test_users_may_be_a_stream(self, spark: SparkSession, tmp_path: Path) -> None:
        """Each micro-batch of users gets its recommendations."""
        case = recommenders.case("dot_ties")
        users, items = case.users(12), case.items(20)
        frame(spark, users, 2).write.parquet(str(tmp_path / "users"))
        schema = spark.read.parquet(str(tmp_path / "users")).schema
        stream = spark.readStream.schema(schema).parquet(str(tmp_path / "users"))
        query = (
            recommended(case, stream, frame(spark, items), K)
            .writeStream.format("memory")
            .queryName("recommended")
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
        assert by_user(spark.table("recommended")) == local(case, users, items)
