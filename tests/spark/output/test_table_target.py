from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tf2spark.errors import ContractError, OutputError, SetupError
from tf2spark.spark.output import checks
from tf2spark.spark.output.target import SaveMode, Target
from tf2spark.spark.output.write import check, write


@pytest.fixture
def database(spark: SparkSession, tmp_path: Path) -> Iterator[str]:
    """A database whose folder is the test's, as the session's current one."""
    spark.sql(f"CREATE DATABASE nightly LOCATION '{tmp_path / 'db'}'")
    spark.sql("USE nightly")
    yield "nightly"
    spark.sql("USE default")
    spark.sql("DROP DATABASE nightly CASCADE")


def days(spark: SparkSession, *names: str, start: int = 0) -> DataFrame:
    """Two rows a day, with ids from `start`."""
    rows = [(start + 2 * day + row, name) for day, name in enumerate(names) for row in range(2)]
    return spark.createDataFrame(rows, "id BIGINT, dt STRING")


def put(df: DataFrame, table: str, mode: SaveMode = "error", **arguments: Any) -> None:
    target = Target(None, table, mode=mode, **arguments)
    checks.check_before_spark(target)
    checks.prepare(df.sparkSession, target)
    write(df, target)


def rows_of(spark: SparkSession, table: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in spark.table(table).collect())


def failing(df: DataFrame) -> DataFrame:
    return df.withColumn("id", F.raise_error(F.lit("refused")).cast("long"))


@pytest.mark.usefixtures("database")
class TestNewTable:
    @pytest.mark.parametrize(
        ("kind", "mode"),
        [
            ("parquet", "error"),
            ("orc", "append"),
            ("json", "overwrite"),
            ("csv", "overwrite_partitions"),
        ],
    )
    def test_is_made_with_its_rows(self, spark: SparkSession, kind: str, mode: SaveMode) -> None:
        """In any mode and format, with partitions that the catalog lists."""
        put(days(spark, "a", "b"), "t", mode, format=kind, partition_by=("dt",))
        assert rows_of(spark, "t") == [(0, "a"), (1, "a"), (2, "b"), (3, "b")]
        assert spark.sql("SHOW PARTITIONS t").count() == 2

    def test_a_job_that_fails_leaves_no_table(self, spark: SparkSession, tmp_path: Path) -> None:
        """Neither in the catalog nor in its folder, so that the job can be run again."""
        with pytest.raises(Exception, match="refused"):
            put(failing(days(spark, "a")), "t")
        assert not spark.catalog.tableExists("t")
        assert not (tmp_path / "db").exists() or list((tmp_path / "db").iterdir()) == []
        put(days(spark, "a"), "t")
        assert len(rows_of(spark, "t")) == 2

    def test_files_in_its_folder_are_not_taken_for_its_own(
        self, spark: SparkSession, tmp_path: Path
    ) -> None:
        """What lies where a new table would go is named and stays."""
        spark.range(3).write.parquet(str(tmp_path / "db" / "t"))
        with pytest.raises(OutputError, match=r"there are files in its folder .*/db/t already"):
            put(days(spark, "a"), "t")
        assert spark.read.parquet(str(tmp_path / "db" / "t")).count() == 3


@pytest.mark.usefixtures("database")
class TestExistingTable:
    @pytest.fixture(params=["managed", "external"])
    def table(self, spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest) -> str:
        """A table of two days, written by Spark."""
        writer = days(spark, "a", "b").write.partitionBy("dt")
        if request.param == "external":
            writer = writer.option("path", str(tmp_path / "a place" / "t"))
        writer.saveAsTable("t")
        return "t"

    def test_is_refused_without_a_mode(self, spark: SparkSession, table: str) -> None:
        """Before anything is computed."""
        with pytest.raises(OutputError, match="t already exists; pass --overwrite to replace its"):
            put(failing(days(spark, "c")), table)

    def test_append_adds(self, spark: SparkSession, table: str) -> None:
        """Old rows stay, and new partitions are listed; columns go by their names."""
        put(days(spark, "b", "c", start=10).select("dt", "id"), table, "append")
        expected = [(0, "a"), (1, "a"), (2, "b"), (3, "b"), (10, "b"), (11, "b"), (12, "c")]
        assert rows_of(spark, table) == [*expected, (13, "c")]

    def test_overwrite_replaces_all(self, spark: SparkSession, table: str) -> None:
        """Partitions that are gone aren't listed any more; the table keeps its definition."""
        before = spark.sql(f"DESCRIBE TABLE EXTENDED {table}").where("col_name = 'Location'")
        place = before.collect()[0].data_type
        put(days(spark, "b", "c", start=10), table, "overwrite")
        assert rows_of(spark, table) == [(10, "b"), (11, "b"), (12, "c"), (13, "c")]
        listed = [row[0] for row in spark.sql(f"SHOW PARTITIONS {table}").collect()]
        assert listed == ["dt=b", "dt=c"]
        assert Path(place.removeprefix("file:")).is_dir()

    def test_overwrite_partitions_replaces_those_that_are_written(
        self, spark: SparkSession, table: str
    ) -> None:
        """All other partitions stay."""
        put(days(spark, "b", "c", start=10), table, "overwrite_partitions")
        kept = [(0, "a"), (1, "a")]
        assert rows_of(spark, table) == [*kept, (10, "b"), (11, "b"), (12, "c"), (13, "c")]

    @pytest.mark.parametrize("mode", ["append", "overwrite", "overwrite_partitions"])
    def test_a_job_that_fails_changes_nothing(
        self, spark: SparkSession, table: str, mode: SaveMode
    ) -> None:
        """Whatever the mode."""
        before = rows_of(spark, table)
        with pytest.raises(Exception, match="refused"):
            put(failing(days(spark, "b")), table, mode)
        assert rows_of(spark, table) == before

    def test_values_that_need_escapes_name_their_partitions(
        self, spark: SparkSession, table: str
    ) -> None:
        """Quotes, slashes, percent signs, and null."""
        names = ["it's", "a/b", "50%", 'q"', "back\\slash", "ü"]
        rows = [(number, name) for number, name in enumerate([*names, None])]
        df = spark.createDataFrame(rows, "id BIGINT, dt STRING")
        put(df, table, "overwrite")
        got = {(row.id, row.dt) for row in spark.table(table).collect()}
        assert got == set(rows)
        put(df, table, "overwrite_partitions")
        assert {(row.id, row.dt) for row in spark.table(table).collect()} == set(rows)

    def test_a_partition_elsewhere(self, spark: SparkSession, table: str, tmp_path: Path) -> None:
        """Rows aren't added to it, and replacing it brings it into the table's folder."""
        spark.range(5).write.parquet(str(tmp_path / "other"))
        spark.sql(f"ALTER TABLE {table} ADD PARTITION (dt='x') LOCATION '{tmp_path}/other'")
        with pytest.raises(OutputError, match=r"partition dt=x of .* has a location of its own"):
            put(days(spark, "x", start=20), table, "append")
        put(days(spark, "x", start=20), table, "overwrite_partitions")
        assert rows_of(spark, table)[-2:] == [(20, "x"), (21, "x")]
        assert len(rows_of(spark, table)) == 6
        assert spark.read.parquet(str(tmp_path / "other")).count() == 5

    def test_statistics_of_old_rows_are_forgotten(self, spark: SparkSession, table: str) -> None:
        """No plan and no other engine counts on them."""
        spark.sql(f"ANALYZE TABLE {table} COMPUTE STATISTICS")
        put(days(spark, "a"), table, "overwrite")
        text = spark.sql(f"DESCRIBE TABLE EXTENDED {table}").where("col_name = 'Statistics'")
        assert text.count() == 0

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ("id, dt, 1 AS extra", r'it has no column "extra" \(int\)'),
            ("dt", r'its column "id" is not among the rows'),
            ("CAST(id AS STRING) AS id, dt", r'its column "id" is bigint, .* rows is string'),
        ],
    )
    def test_other_columns_are_refused(
        self, spark: SparkSession, table: str, columns: str, message: str
    ) -> None:
        """The message lists the differences."""
        df = days(spark, "c").selectExpr(*columns.split(", "))
        with pytest.raises(OutputError, match=message):
            check(df, Target(None, table, mode="append"))

    def test_narrower_numbers_fit(self, spark: SparkSession, table: str) -> None:
        """An int is written as the bigint that the table has."""
        put(days(spark, "c", start=20).selectExpr("CAST(id AS INT) AS id", "dt"), table, "append")
        assert rows_of(spark, table)[-2:] == [(20, "c"), (21, "c")]

    def test_other_partitions_or_another_format_are_refused(
        self, spark: SparkSession, table: str
    ) -> None:
        """The table's own are named."""
        with pytest.raises(ContractError, match=r"--partition-by id: .* is partitioned by dt"):
            put(days(spark, "c"), table, "append", partition_by=("id",))
        with pytest.raises(ContractError, match="a table of format parquet"):
            put(days(spark, "c"), table, "append", format="orc")


@pytest.mark.usefixtures("database")
class TestRefused:
    def test_view(self, spark: SparkSession) -> None:
        """Whether it is temporary or not."""
        spark.range(3).createOrReplaceTempView("seen")
        days(spark, "a").write.saveAsTable("t")
        spark.sql("CREATE VIEW kept AS SELECT * FROM t")
        for name in ("seen", "kept"):
            with pytest.raises(OutputError, match=f"{name} is a view"):
                put(days(spark, "a"), name, "overwrite")
        spark.catalog.dropTempView("seen")

    def test_database_that_is_not_there(self, spark: SparkSession) -> None:
        """The message says how to make it."""
        with pytest.raises(OutputError, match=r'no database "nowhere".*CREATE DATABASE nowhere'):
            put(days(spark, "a"), "nowhere.t")

    def test_name_that_no_table_may_have(self, spark: SparkSession) -> None:
        """Spark would refuse it when all rows are written."""
        with pytest.raises(ContractError, match="\"a-b\" can't be a table's name in the c"):
            put(failing(days(spark, "a")), "`a-b`")

    def test_name_that_is_none(self, spark: SparkSession) -> None:
        """A name that Spark can't parse is the caller's mistake."""
        with pytest.raises(ContractError, match='"a-b c" is not the name of a table'):
            put(days(spark, "a"), "a-b c")

    def test_partitions_of_a_table_without(self, spark: SparkSession) -> None:
        """There is nothing that they could replace."""
        days(spark, "a").write.saveAsTable("t")
        with pytest.raises(ContractError, match="has no partitions for --overwrite-partitions"):
            put(days(spark, "a"), "t", "overwrite_partitions")

    @pytest.mark.parametrize(("kind", "group"), [("delta", "io.delta"), ("iceberg", "iceberg")])
    def test_missing_jar_is_named(self, spark: SparkSession, kind: str, group: str) -> None:
        """With a coordinate and the settings that it needs."""
        with pytest.raises(SetupError, match=rf"spark\.jars\.packages=\S*{group}\S*:\d"):
            put(days(spark, "a"), "t", format=kind)


@pytest.mark.usefixtures("database")
class TestOtherWriters:
    def test_buckets_are_sparks(self, spark: SparkSession) -> None:
        """A bucketed table gets its rows from Spark, in any order of columns."""
        days(spark, "a").write.bucketBy(2, "id").saveAsTable("t")
        put(days(spark, "b", start=10).select("dt", "id"), "t", "append")
        assert len(rows_of(spark, "t")) == 4
        put(days(spark, "b", start=10), "t", "overwrite")
        assert rows_of(spark, "t") == [(10, "b"), (11, "b")]


@pytest.fixture(autouse=True)
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    assert [path for path in tmp_path.rglob("*") if ".tf2spark-" in path.name] == []
    shutil.rmtree(tmp_path, ignore_errors=True)
