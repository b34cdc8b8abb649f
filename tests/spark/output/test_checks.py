from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tf2spark.errors import ContractError, OutputError
from tf2spark.spark.output.checks import check_before_spark, check_columns, check_separate
from tf2spark.spark.output.target import Target
from tf2spark.spark.output.write import check
from tf2spark.spark.tables.option_names import check_options


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files `data`, a link to it, and a table, a view and a temporary view."""
    folder = tmp_path_factory.mktemp("tables")
    spark.range(3).write.parquet(str(folder / "data"))
    (folder / "link").symlink_to(folder / "data")
    spark.sql(f"CREATE DATABASE lake LOCATION '{folder / 'lake'}'")
    spark.range(3).write.saveAsTable("lake.houses")
    spark.sql("CREATE VIEW lake.seen AS SELECT * FROM lake.houses")
    spark.read.parquet(str(folder / "data")).createOrReplaceTempView("recent")
    yield folder
    spark.catalog.dropTempView("recent")
    spark.sql("DROP DATABASE lake CASCADE")


class TestSeparate:
    @pytest.mark.parametrize(
        ("query", "output", "relation"),
        [
            ("parquet.`{}/data`", "data", "the same as"),
            ("parquet.`{}/data`", "link", "the same as"),
            ("parquet.`{}/link`", "data/scored", "inside"),
            ("parquet.`{}/data`", "", "around"),
            ("recent", "link/out", "inside"),
            ("lake.houses", "lake/houses/out", "inside"),
            ("lake.seen", "lake/houses", "the same as"),
            ("(SELECT * FROM recent WHERE id IN (SELECT id FROM lake.houses))", "lake", "around"),
        ],
    )
    def test_a_path_that_overlaps_is_refused(
        self, query: str, output: str, relation: str, folder: Path, spark: SparkSession
    ) -> None:
        """However the input is named: by a path, a link, a table, a view or a subquery."""
        table = spark.sql(f"SELECT * FROM {query.format(folder)}")
        target = Target(f"{folder}/{output}".rstrip("/"), mode="overwrite")
        with pytest.raises(OutputError, match=rf"^--output \S+ is {relation} the input \(in\); "):
            check_separate(spark, target, table, "in")

    @pytest.mark.parametrize("name", ["lake.houses", "spark_catalog.lake.HOUSES", "lake.`houses`"])
    @pytest.mark.parametrize("query", ["lake.houses", "lake.seen"])
    def test_the_table_itself_is_refused(
        self, query: str, name: str, folder: Path, spark: SparkSession
    ) -> None:
        """However it is written, and through a view too."""
        with pytest.raises(OutputError, match=r"^--output-table \S+ is .*the input"):
            check_separate(spark, Target(table=name), spark.table(query), "in")

    def test_others_pass(self, folder: Path, spark: SparkSession) -> None:
        """A name that only begins alike, a sibling, another table."""
        table = spark.read.parquet(str(folder / "data"))
        for output in ("data2", "dat", "other/data"):
            check_separate(spark, Target(str(folder / output)), table, "in")
        check_separate(spark, Target(table="lake.other"), spark.table("lake.houses"), "in")
        check_separate(spark, Target(str(folder / "out")), spark.range(3), "in")


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "advice"),
        [
            ("partitionBy", "--partition-by COL,COL"),
            ("PARTITIONBY", "--partition-by COL,COL"),
            ("mode", "--overwrite, --append or --overwrite-partitions"),
            ("partitionOverwriteMode", "--overwrite-partitions"),
            ("numPartitions", "--output-files N"),
            ("path", "--output PATH"),
        ],
    )
    def test_what_has_an_option_of_its_own(self, option: str, advice: str) -> None:
        """The message says what to write."""
        with pytest.raises(ContractError) as raised:
            check_before_spark(Target("/tmp/out", options={option: "x"}))
        assert str(raised.value) == f"--output-option {option} has no effect; write {advice}"

    @pytest.mark.parametrize(
        ("kind", "option", "message"),
        [
            ("csv", "heder", 'csv has no such option; did you mean "header"?'),
            ("json", "header", "json has no such option"),
            ("parquet", "mergeSchemas", 'did you mean "mergeSchema"?'),
            ("text", "linesep ", 'did you mean "lineSep"?'),
            ("orc", "sep", "orc has no such option"),
        ],
    )
    def test_what_a_format_lacks(
        self, kind: str, option: str, message: str, spark: SparkSession
    ) -> None:
        """Spark itself ignores it without a word."""
        with pytest.raises(ContractError, match=r"--input-option .* has no effect") as raised:
            check_options(spark, "--input-option", kind, {option: "x"})
        assert message in str(raised.value)

    def test_what_a_format_has(self, spark: SparkSession) -> None:
        """In any case of letters; Hadoop's settings, and options of formats that aren't known."""
        known = {"SEP": ";", "inferSchema": "true", "pathGlobFilter": "*.csv", "delimiter": ","}
        check_options(spark, "--input-option", "csv", known)
        check_options(spark, "--output-option", "csv", {"compression": "gzip", "header": "true"})
        parquet = {"parquet.block.size": "1", "parquet.bloom.filter.enabled#id": "true"}
        check_options(spark, "--output-option", "parquet", parquet)
        check_options(spark, "--input-option", "jdbc", {"anything": "x"})

    def test_what_only_reading_heeds(self, spark: SparkSession) -> None:
        """A writer ignores it."""
        with pytest.raises(ContractError, match="inferSchema has no effect: csv heeds it when"):
            check_before_spark(Target("/tmp/out", format="csv", options={"inferSchema": "true"}))


class TestColumns:
    @pytest.mark.parametrize(
        ("columns", "by", "message"),
        [
            ("id", "dt", 'have no column "dt"; they have id'),
            ("id, 1 AS dte", "dt", 'did you mean "dte"?'),
            ("id, array(1) AS dt", "dt", 'column "dt" is array<int>'),
            ("id", "id", "names every column"),
        ],
    )
    def test_partition_columns(
        self, columns: str, by: str, message: str, spark: SparkSession
    ) -> None:
        """They must be among the rows, name a folder, and leave a column."""
        df = spark.range(1).selectExpr(*columns.split(", "))
        with pytest.raises(ContractError) as raised:
            check_columns(Target("/tmp/out", partition_by=(by,)), df.schema)
        assert message in str(raised.value)

    def test_rows_are_added_to_files_with_the_same_columns(
        self, spark: SparkSession, tmp_path: Path
    ) -> None:
        """Another type, a column more, or other folders are refused before a row is read."""
        out = str(tmp_path / "out")
        df = spark.range(3).selectExpr("id", "CAST(1 AS FLOAT) AS x", "'2026-11-28' AS dt")
        df.write.partitionBy("dt").parquet(out)
        target = Target(out, mode="append", partition_by=("dt",))
        check(df, target)
        with pytest.raises(OutputError, match=r'its column "x" is float, and .* is double'):
            check(df.withColumn("x", df.x.cast("double")), target)
        with pytest.raises(OutputError, match=r'it has no column "y" \(bigint\)'):
            check(df.withColumn("y", df.id), target)
        with pytest.raises(OutputError, match=r"partitioned by dt, .* write --partition-by dt"):
            check(df, Target(out, mode="append"))

    @pytest.mark.parametrize(("there", "added"), [("json", "parquet"), ("parquet", "text")])
    def test_rows_are_added_to_files_of_the_same_format(
        self, spark: SparkSession, tmp_path: Path, there: str, added: str
    ) -> None:
        """A folder of both would be one that nothing can read."""
        out, df = str(tmp_path / "out"), spark.range(3).selectExpr("CAST(id AS STRING) AS id")
        df.write.format(there).save(out)
        check(df, Target(out, format=there, mode="append"))
        with pytest.raises(OutputError, match=f"format {there}, .*; write --output-format {there}"):
            check(df, Target(out, format=added, mode="append"))
