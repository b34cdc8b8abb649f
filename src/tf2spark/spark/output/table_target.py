"""Writes to tables of a catalog.

Of a table in the session catalog whose rows are files, the files are written as those at a path
are (`table_writer`): the old rows or the new ones are there, never a part. Other tables (Delta,
Iceberg, those of any other catalog) commit in their own way.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from tf2spark.errors import ContractError, OutputError
from tf2spark.spark.hadoop import exists, files
from tf2spark.spark.output import partitions, table_writer
from tf2spark.spark.output.checks import check_columns
from tf2spark.spark.output.same_columns import fitted
from tf2spark.spark.output.target import Target
from tf2spark.spark.tables import catalog
from tf2spark.spark.tables.catalog import FileTable, TableName
from tf2spark.spark.tables.read import explain

_ADVICE = "pass --overwrite to replace its rows, --append to add to them, or choose another table"
_DYNAMIC = "hive.exec.dynamic.partition.mode"


def prepare_table(spark: SparkSession, target: Target, *, ends: bool = False) -> None:
    """Check that the table may be written in this mode, and finish what killed runs left.

    Raises:
        ContractError: Its name is none, or it has other partitions or another format.
        OutputError: It exists and the mode is "error"; it is a view; there is no such database; or
            its folder can't be written.
        SetupError: The session lacks a jar.
    """
    text = f"--output-table {target.name}"
    with explain(spark, text):
        name = catalog.table_name(spark, target.name)
        if ends and name.catalog == catalog.SESSION_CATALOG and catalog.is_in_memory(spark):
            raise OutputError(
                f"{text}: the session's catalog is in memory, and is gone when the job ends",
                "use a metastore (--conf spark.sql.catalogImplementation=hive), or --output PATH",
            )
        if catalog.is_view(spark, target.name, name):
            raise OutputError(f"{text} is a view, and rows are written to tables only")
        if not catalog.database_exists(spark, name):
            raise OutputError(
                f'{text}: there is no database "{name.database}" in the catalog {name.catalog}',
                f"create it first (CREATE DATABASE {name.database}), or choose another table",
            )
        if not catalog.exists(spark, name):
            _check_new(spark, target, name, text)
            return
        if target.mode == "error":
            raise OutputError(f"{text} already exists", _ADVICE)
        known = catalog.file_table(spark, name)
        _check_format(spark, target, name, known, text)
        if known is not None:
            _check_partitions(target, known, text)
            table_writer.prepare_output(spark, known.location, format=known.format, mode="append")


def _check_new(spark: SparkSession, target: Target, name: TableName, text: str) -> None:
    if not _is_new_file_table(target, name):
        return
    # Spark would say so once the rows are written.
    if not re.fullmatch(r"\w+", name.table, re.ASCII):
        raise ContractError(
            f"{text}: \"{name.table}\" can't be a table's name in the catalog {name.catalog}",
            "it may have letters from a to z, digits and _",
        )
    location = catalog.default_location(spark, name)
    table_writer.prepare_output(spark, location, format=target.path_format, mode="append")
    if exists(spark, location) and files(spark, location, limit=None):
        raise OutputError(
            f"{text} is a new table, and there are files in its folder {location} already",
            "remove them, or choose another table",
        )


def _is_new_file_table(target: Target, name: TableName) -> bool:
    return name.catalog == catalog.SESSION_CATALOG and table_writer.is_files(target.path_format)


def _check_format(
    spark: SparkSession, target: Target, name: TableName, known: FileTable | None, text: str
) -> None:
    has = known.format if known is not None else catalog.provider(spark, name)
    if target.format is not None and has is not None and target.format.lower() != has:
        raise ContractError(
            f"--output-format {target.format} has no effect: {text} is a table of format {has}",
            "leave it out",
        )


def _check_partitions(target: Target, known: FileTable, text: str) -> None:
    if target.partition_by and [each.lower() for each in target.partition_by] != [
        each.lower() for each in known.partition_by
    ]:
        has = ",".join(known.partition_by)
        raise ContractError(
            f"--partition-by {','.join(target.partition_by)}: {text} "
            + (f"is partitioned by {has}" if has else "has no partitions"),
            "leave --partition-by out",
        )
    if target.mode == "overwrite_partitions" and not known.partition_by:
        raise ContractError(
            f"{text} has no partitions for --overwrite-partitions to replace",
            "write --overwrite to replace all rows",
        )


def check_table(df: DataFrame, target: Target) -> None:
    """Check that the rows of a job fit the table.

    Raises:
        ContractError: They lack a partition column of a new table.
        OutputError: The table has other columns.
    """
    spark = df.sparkSession
    name = catalog.table_name(spark, target.name)
    if not catalog.exists(spark, name):
        check_columns(target, df.schema)
        if _is_new_file_table(target, name):
            table_writer.check_rows(df, target.at("", target.path_format))
        return
    if not _changes_schema(target):
        fitted(df, spark.table(name.sql).schema, f"--output-table {target.name}")


def _changes_schema(target: Target) -> bool:
    """Say whether an option of the writer lets the table take the columns of the rows."""
    return any(
        key.lower() in ("mergeschema", "overwriteschema", "merge-schema")
        and value.lower() == "true"
        for key, value in target.options.items()
    )


def write_table(df: DataFrame, target: Target) -> None:
    """Write rows to a table that `prepare_table` and `check_table` have checked.

    Raises:
        OutputError: Another writer made the table meanwhile.
    """
    spark = df.sparkSession
    text = f"--output-table {target.name}"
    with explain(spark, text):
        name = catalog.table_name(spark, target.name)
        if not catalog.exists(spark, name):
            _create(df, target, name)
            return
        if target.mode == "error":
            raise OutputError(f"{text} appeared while this run was working", _ADVICE)
        if not _changes_schema(target):
            df = fitted(df, spark.table(name.sql).schema, text)
        known = catalog.file_table(spark, name)
        if known is not None:
            _write_files(df, target, known)
        elif name.catalog == catalog.SESSION_CATALOG and not _has_own_writer(spark, name):
            _insert(df, target, name)
        else:
            _commit(df, target, name)


def _has_own_writer(spark: SparkSession, name: TableName) -> bool:
    return catalog.provider(spark, name) in (None, "delta", "iceberg", "hudi", "paimon")


def _create(df: DataFrame, target: Target, name: TableName) -> None:
    spark = df.sparkSession
    if _is_new_file_table(target, name):
        _create_files(df, target, name)
    elif name.catalog == catalog.SESSION_CATALOG:
        writer = df.write.format(target.path_format).options(**target.options)
        if target.partition_by:
            writer = writer.partitionBy(*target.partition_by)
        writer.mode("errorifexists").saveAsTable(name.sql)
    else:
        new = df.writeTo(name.sql).options(**target.options)
        if target.format is not None:
            new = new.using(target.format)
        if target.partition_by:
            first, *others = [F.col(f"`{each}`") for each in target.partition_by]
            new = new.partitionedBy(first, *others)
        new.create()
    spark.catalog.refreshTable(name.sql)


def _create_files(df: DataFrame, target: Target, name: TableName) -> None:
    """Write the files of a new table, and make the table when they are all there."""
    spark, made = df.sparkSession, False

    def make(written: list[str]) -> None:
        nonlocal made
        _make_empty(spark, df.schema, target, name)
        made = True
        known = catalog.file_table(spark, name)
        if known is not None:
            partitions.add(spark, known, written)

    try:
        table_writer.write(
            df,
            catalog.default_location(spark, name),
            format=target.path_format,
            options=target.options,
            mode="overwrite",
            partition_by=target.partition_by,
            before_publish=make,
        )
    except BaseException:
        if made:
            spark.sql(f"DROP TABLE IF EXISTS {name.sql}")
        raise


def _make_empty(spark: SparkSession, schema: StructType, target: Target, name: TableName) -> None:
    empty = spark.createDataFrame([], schema)
    writer = empty.write.format(target.path_format).options(**target.options)
    if target.partition_by:
        writer = writer.partitionBy(*target.partition_by)
    try:
        writer.mode("errorifexists").saveAsTable(name.sql)
    except PySparkException as error:
        if not catalog.exists(spark, name):
            raise
        raise OutputError(
            f"--output-table {target.name} appeared while this run was working: it stays, and the "
            "rows of this run were removed",
            _ADVICE,
        ) from error


def _write_files(df: DataFrame, target: Target, known: FileTable) -> None:
    spark, name = df.sparkSession, known.name
    replaces_all = target.mode == "overwrite"
    before = partitions.Registered.of(spark, known)
    table_writer.write(
        df,
        known.location,
        format=known.format,
        options={**known.options, **target.options},
        mode=target.mode,
        partition_by=known.partition_by,
        before_publish=functools.partial(before.prepare, appends=target.mode == "append"),
    )
    before.finish(replaces_all=replaces_all)
    catalog.forget_statistics(spark, name)
    spark.catalog.refreshTable(name.sql)


def _insert(df: DataFrame, target: Target, name: TableName) -> None:
    """Insert into a table that only Spark can write: buckets, Hive's text files, JDBC."""
    spark = df.sparkSession
    columns: Sequence[str] = spark.table(name.sql).columns
    before = spark.conf.get(_DYNAMIC, "strict")
    mode = "dynamic" if target.mode == "overwrite_partitions" else "static"
    spark.conf.set(_DYNAMIC, "nonstrict")
    try:
        writer = df.select(*(f"`{column}`" for column in columns)).write
        writer.options(**target.options).option("partitionOverwriteMode", mode).insertInto(
            name.sql, overwrite=target.mode != "append"
        )
    finally:
        spark.conf.set(_DYNAMIC, str(before))


def _commit(df: DataFrame, target: Target, name: TableName) -> None:
    """Write to a table that commits in its own way; its definition stays."""
    writer = df.writeTo(name.sql).options(**target.options)
    if target.mode == "append":
        writer.append()
    elif target.mode == "overwrite_partitions":
        writer.overwritePartitions()
    else:
        writer.overwrite(F.lit(True))
