"""A driver program that writes Delta and Iceberg tables in every mode.

Run as ``python lake_job.py FOLDER JARS`` with the jars of both. The last line on stdout is JSON: by
table, the rows after each step and the messages of what was refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tf2spark.errors import Tf2SparkError
from tf2spark.spark.output import checks
from tf2spark.spark.output.target import Target
from tf2spark.spark.output.write import write

_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension,"
    "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.ice.type": "hadoop",
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
