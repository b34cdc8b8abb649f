"""Workers read tables on remote storage, and the rows are those that Spark reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.parquet_tables import assert_same_rows, reader_of
from tf2spark.errors import ContractError
from tf2spark.spark.scan.parquet_scan import plan_scan

_ROWS = 3_000


def write_table(spark: SparkSession, path: str) -> DataFrame:
    """Write rows with columns of many types, by days and by names with odd characters."""
    df = spark.range(0, _ROWS, 1, 2).select(
        F.transform(
            F.sequence(F.lit(1), F.lit(8)), lambda n: (F.col("id") % n).cast("float")
        ).alias("features"),
        "id",
        F.expr("CASE WHEN id % 7 = 0 THEN double('NaN') ELSE id / 10 END").alias("x"),
        F.expr("CAST(id AS DECIMAL(12, 2)) / 4").alias("price"),
        F.expr("TIMESTAMP'2026-03-29 01:30:00' + make_interval(0, 0, 0, 0, id)").alias("at"),
        F.expr("map('a', id, concat('k', id), NULL)").alias("map"),
        F.expr("DATE'2026-01-01' + CAST(id % 2 AS INT)").alias("day"),
        F.expr("CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN 'a b/%=' ELSE 'ü' END").alias("name"),
    )
    df.write.partitionBy("day", "name").parquet(path)
    return spark.read.parquet(path)


def is_same(model: Any, df: DataFrame, **options: Any) -> bool:
    """Score with both readers; say whether the rows are the same."""
    try:
        assert_same_rows(model, df, **options)
    except AssertionError as error:
        print(error)
        return False
    return True


def reason_of(model: Any, df: DataFrame) -> str:
    """Return why workers can't read a table."""
    try:
        model.score(df, read="worker")
    except ContractError as error:
        return str(error)
    return ""


def scan(spark: SparkSession, model_path: str, base: str, conf: Mapping[str, str]) -> Any:
    """Write a table below BASE, and compare what workers read of it; return the results by name."""
    model = tf2spark.SavedModel(model_path)
    df = write_table(spark, f"{base}/scan table")
    day = df.where("day = DATE'2026-01-02'")
    few = df.where("x > 200 AND price < 700.5 AND at >= '2026-06-01' OR name = 'a b/%='")
    tasks = plan_scan(df, 64, verify=True).tasks
    shown = repr(tasks) + model.score(df)._jdf.queryExecution().toString()
    return {
        "reader": reader_of(model.score(df)),
        "reason": reason_of(model, df),
        "rows": is_same(model, df),
        "few_columns": is_same(model, df, keep=["name", "id"]),
        "partition": is_same(model, day),
        "filter": is_same(model, few),
        "rows_of_filter": few.count(),
        "shown_secrets": [
            name for name, value in conf.items() if "secret" in name and value in shown
        ],
    }
