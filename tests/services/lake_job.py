"""A driver program that writes Delta and Iceberg tables in every mode, and has workers read them.

Run as ``python lake_job.py FOLDER JARS`` with the jars of both. The last line on stdout is JSON: by
table, the rows after each step and the messages of what was refused; and what workers read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tf2spark.errors import Tf2SparkError
from tf2spark.spark.output import checks
from tf2spark.spark.output.target import Target
from tf2spark.spark.output.write import write
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.parquet_scan import plan_scan
from tf2spark.worker.reading.parquet_reader import read_batches

_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension,"
    "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.ice.type": "hadoop",
    "spark.sql.catalogImplementation": "hive",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:hive;create=true",
    "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
    "spark.hadoop.hive.metastore.schema.verification": "false",
}


def main(folder: str, jars: str) -> None:
    builder = SparkSession.builder.master("local[2]").config("spark.jars", jars)
    for key, value in _SETTINGS.items():
        builder = builder.config(key, value)
    builder = builder.config("spark.sql.warehouse.dir", f"{folder}/delta")
    spark = builder.config("spark.sql.catalog.ice.warehouse", f"{folder}/ice").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    spark.sql("CREATE NAMESPACE ice.db")
    report = {
        "delta": steps(spark, Target(table="scored", format="delta", partition_by=("dt",))),
        "iceberg": steps(spark, Target(table="ice.db.scored", partition_by=("dt",))),
        "path": steps(spark, Target(f"{folder}/path", format="delta", partition_by=("dt",))),
        "read_delta": read_delta(spark),
        "read_iceberg": read_iceberg(spark),
        "read_hive": read_hive(spark),
    }
    spark.stop()
    print(json.dumps(report))


def steps(spark: SparkSession, new: Target) -> dict[str, Any]:
    """Write a table in every mode, and read it after each."""

    def rows() -> list[int]:
        table = spark.table(new.name) if new.table else spark.read.format("delta").load(new.name)
        return sorted(row.id for row in table.collect())

    def put(start: int, days: str, mode: Any, table: DataFrame | None = None) -> list[int]:
        values = [(start + number, day) for number, day in enumerate(days)]
        df = spark.createDataFrame(values, "id BIGINT, dt STRING") if table is None else table
        target = Target(new.path, new.table, new.format, mode=mode, partition_by=new.partition_by)
        checks.check_before_spark(target)
        checks.prepare(spark, target)
        if table is not None:
            checks.check_separate(spark, target, table, "the input")
        write(df, target)
        return rows()

    refused = F.raise_error(F.lit("refused")).cast("long").alias("id")
    broken = spark.range(2).select(refused, F.lit("b").alias("dt"))
    return {
        "new": put(0, "ab", "error"),
        "again": error_of(lambda: put(0, "ab", "error")),
        "appended": put(10, "bc", "append"),
        "partitions": put(20, "b", "overwrite_partitions"),
        "failed": [error_of(lambda: put(0, "", "overwrite", broken)), rows()],
        "other": error_of(lambda: put(0, "", "append", spark.range(2).withColumn("x", F.lit(1)))),
        "overwritten": put(30, "z", "overwrite"),
        "itself": error_of(lambda: put(0, "", "append", table_of(spark, new))),
    }


def read_delta(spark: SparkSession) -> dict[str, Any]:
    """Read a Delta table as it gets more versions: how workers' rows compare with Spark's."""
    table = spark.range(0, 60, 1, 3).selectExpr(
        "id", "id / 7 AS x", "concat('d', id % 3) AS dt", "array(id, NULL) AS list"
    )
    table.write.format("delta").partitionBy("dt").saveAsTable("readable")
    df = spark.table("readable")
    report: dict[str, Any] = {
        "rows": reading(df),
        "some": reading(df.where("dt <> 'd1' AND id > 20").select("list", "dt")),
        "path": reading(spark.read.format("delta").load(f"{df.inputFiles()[0]}/../..")),
    }
    condition = condition_of(df)
    report["unchanged"] = holds(spark, condition)
    # A transaction takes note of what it reads of its own table.
    same = (
        spark.range(1)
        .where(condition)
        .selectExpr("100L AS id", "0D AS x", "'d0' AS dt", "array(1L) AS list")
    )
    same.write.format("delta").saveAsTable("other")
    same.write.format("delta").mode("append").saveAsTable("readable")
    report["written_elsewhere"] = spark.table("other").count()
    report["written_to_itself"] = spark.table("readable").where("id = 100").count()
    spark.sql("DELETE FROM readable WHERE id < 5")
    report["after_delete"] = [holds(spark, condition), *reading(df)]
    report["time_travel"] = reading(spark.read.option("versionAsOf", 0).table("readable"))
    spark.sql("ALTER TABLE readable SET TBLPROPERTIES ('delta.enableDeletionVectors' = true)")
    report["no_vectors_yet"] = reading(df)
    spark.sql("DELETE FROM readable WHERE id = 7")
    report["vectors"] = reading(df)
    report["vectors_elsewhere"] = reading(df.where("dt = 'd0'"))
    spark.sql(
        "CREATE TABLE mapped (a BIGINT) USING delta TBLPROPERTIES ("
        "'delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = 2, "
        "'delta.minWriterVersion' = 5)"
    )
    spark.sql("INSERT INTO mapped VALUES (1)")
    report["mapped"] = reading(spark.table("mapped"))
    return report


def read_iceberg(spark: SparkSession) -> dict[str, Any]:
    """Read an Iceberg table as its rows and columns change: how workers' rows compare."""
    rows = spark.range(0, 60, 1, 3).selectExpr(
        "id", "id / 7 AS x", "concat('d', id % 3) AS dt", "array(id, NULL) AS list", "1 AS n",
        "struct(id AS a) AS fields", "DATE'2026-01-01' + CAST(id AS INT) AS day",
    )  # fmt: skip
    name = "ice.db.readable"
    rows.writeTo(name).partitionedBy(F.col("dt")).create()
    table = spark.table(name)
    df = table.drop("fields")
    report: dict[str, Any] = {
        "rows": reading(df),
        "some": reading(df.where("dt <> 'd1' AND id > 20").select("list", "dt")),
        "partition": reading(df.where("dt = 'd1'").select("id")),
        "fields": reading(table),
        "floats": reading(df.where("x > 3")),
        "numbers": reading(table.select("id", "_pos")),
    }
    condition = condition_of(df)
    report["unchanged"] = holds(spark, condition)
    rows.where("id = 3").writeTo(name).append()
    report["after_append"] = [holds(spark, condition), *reading(df, in_order=False)]
    first = spark.sql(f"SELECT snapshot_id FROM {name}.snapshots ORDER BY committed_at").first()
    assert first is not None
    report["time_travel"] = reading(
        spark.read.option("snapshot-id", first[0]).table(name).select("id")
    )
    spark.sql(f"DELETE FROM {name} WHERE id = 7")
    report["after_delete"] = reading(df, in_order=False)
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN id TO number")
    spark.sql(f"ALTER TABLE {name} DROP COLUMN n")
    spark.sql(f"ALTER TABLE {name} ADD COLUMNS (n INT, more INT)")
    changed = spark.table(name)
    report["renamed"] = reading(changed.select("number", "dt"))
    report["added_again"] = reading(changed.select("n", "dt"))
    report["added"] = reading(changed.select("more", "dt"))
    report["others"] = reading(changed.select("list", "dt", "x"), in_order=False)
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')")
    spark.sql(f"DELETE FROM {name} WHERE number = 8")
    report["deleted"] = reading(spark.table(name).select("list"))
    return report


def read_hive(spark: SparkSession) -> dict[str, Any]:
    """Read tables of Hive, by Spark's own reader of Parquet or by Hive's."""
    spark.sql(
        "CREATE TABLE hive (id BIGINT, List ARRAY<FLOAT>) PARTITIONED BY (dt STRING) "
        "STORED AS PARQUET"
    )
    spark.sql("CREATE TABLE hive_text (id BIGINT) STORED AS TEXTFILE")
    insert = "INSERT INTO hive PARTITION (dt = '{}') SELECT id, array(id / 2) FROM range(5)"
    spark.sql(insert.format("a"))
    df = spark.table("hive")
    report: dict[str, Any] = {"rows": reading(df), "text": reading(spark.table("hive_text"))}
    condition = condition_of(df)
    spark.sql(insert.format("b"))
    report["after_insert"] = [holds(spark, condition), *reading(df)]
    report["partition"] = reading(df.where("dt = 'b'"))
    spark.conf.set("spark.sql.hive.convertMetastoreParquet", "false")
    report["by_hive"] = reading(spark.table("hive"))
    return report


def condition_of(df: DataFrame) -> Column:
    condition = plan_scan(df.select("*"), 64, verify=True).unchanged
    assert condition is not None
    return condition


def reading(df: DataFrame, *, in_order: bool = True) -> list[Any]:
    """Return how many rows workers read, and whether they are Spark's, or why they don't."""
    try:
        scan = plan_scan(df.select("*"), 64, verify=True)
    except NotReadable as reason:
        return [str(reason)]
    batches = [batch for task in scan.tasks for batch in read_batches(task)]
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    by_spark = [tuple(row) for row in df.select("*").collect()]
    # Iceberg reads its lists of files in parallel, so that they are in another order each time.
    same = rows == by_spark if in_order else sorted(map(repr, rows)) == sorted(map(repr, by_spark))
    return [len(rows), same]


def holds(spark: SparkSession, condition: Column) -> bool:
    """Say whether a condition is true for a query that is planned now."""
    plan = spark.range(1).where(condition)._jdf.queryExecution().optimizedPlan().toString()
    assert "Filter" not in plan, plan
    return "Range" in plan


def table_of(spark: SparkSession, target: Target) -> DataFrame:
    if target.table is not None:
        return spark.table(target.table)
    return spark.read.format("delta").load(target.name)


def error_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except Tf2SparkError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        return "refused" if "refused" in str(error) else f"{type(error).__name__}: {error}"[:300]
    return "no error"


if __name__ == "__main__":
    main(*sys.argv[1:])
