"""Writes the rows of a job to its output: files at a path, or a table of a catalog."""

from __future__ import annotations

from pyspark.sql import DataFrame

from tf2spark.spark.output import table_writer
from tf2spark.spark.output.checks import check_columns
from tf2spark.spark.output.target import Target


def check(df: DataFrame, target: Target) -> None:
    """Check that the rows of a job fit its output, before one is read.

    Raises:
        ContractError: They lack a partition column.
        OutputError: The rows that are there have other columns, or the format can't hold them.
    """
    if target.table is not None:
        from tf2spark.spark.output.table_target import check_table

        check_table(df, target)
        return
    check_columns(target, df.schema)
    table_writer.check_rows(df, target)


def write(df: DataFrame, target: Target) -> None:
    """Write the rows of a job; if it fails, what was there stays.

    Raises:
        ContractError: They lack a partition column.
        OutputError: See `check`; or the output appeared meanwhile.
    """
    check(df, target)
    if target.files is not None:
        # Not coalesce, with which so few tasks would score as well.
        df = df.repartition(target.files)
    if target.table is not None:
        from tf2spark.spark.output.table_target import write_table

        write_table(df, target)
        return
    table_writer.write(
        df,
        target.name,
        format=target.path_format,
        options=target.options,
        mode=target.mode,
        partition_by=target.partition_by,
    )
