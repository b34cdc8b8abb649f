"""Rows for a table that has its columns already."""

from __future__ import annotations

import re

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from tf2spark.errors import OutputError, SetupError
from tf2spark.spark.hadoop import explain_java_errors, resolve
from tf2spark.spark.jvm.access import JavaError, scala_items
from tf2spark.spark.jvm.queries import query_execution
from tf2spark.spark.output.target import Target

# How the names of files end that Spark writes, with their compression.
_FILE_NAME = re.compile(r"\.(parquet|orc|json|csv|txt|avro|xml|tfrecord)(?:\.\w+)?$")
_LOOKED_AT = 100
# Each type holds every value of those before it.
_WIDER = (("tinyint", "smallint", "int", "bigint"), ("float", "double"))


def fitted(df: DataFrame, schema: StructType, text: str, *, widen: bool = True) -> DataFrame:
    """Return rows with the columns of a table: its order and its names, wider numbers as it has.

    Args:
        df: The rows.
        schema: The columns of the table.
        text: The option that names the table, for messages.
        widen: Whether numbers become those of the table where it has wider ones.

    Raises:
        OutputError: They have other columns, or one is of another type.
    """
    own = {field.name.lower(): field for field in df.schema}
    differences = [
        f'it has no column "{field.name}" ({field.dataType.simpleString()})'
        for name, field in own.items()
        if name not in {each.name.lower() for each in schema}
    ]
    columns = []
    for field in schema:
        source = own.get(field.name.lower())
        wanted = field.dataType
        if source is None:
            differences.append(f'its column "{field.name}" is not among the rows')
            continue
        column = F.col("`" + source.name.replace("`", "``") + "`")
        if not _same(source.dataType, wanted):
            if not (widen and _widens(source.dataType, wanted)):
                differences.append(
                    f'its column "{field.name}" is {wanted.simpleString()}, and that of the rows '
                    f"is {source.dataType.simpleString()}"
                )
            column = column.cast(wanted)
        columns.append(column.alias(field.name))
    if differences:
        raise OutputError(
            f"{text} has other columns than the rows to write: {'; '.join(differences)}",
            "choose columns with --keep and --fetch, alter the table, or write to a new one",
        )
    return df.select(*columns)


def check_same_format(spark: SparkSession, target: Target) -> None:
    """Refuse to add files to a folder that has files of another format, by their names.

    Raises:
        OutputError: It has.
    """
    own, there = target.path_format.lower(), _format_of_files(spark, target.name)
    if there is not None and there != own:
        raise OutputError(
            f"--output {target.name} has files of the format {there}, and the rows would be added "
            f"as {own}, so that nothing could read both",
            f"write --output-format {there}, or choose another --output",
        )


def _format_of_files(spark: SparkSession, path: str) -> str | None:
    """Return the format that the first few names of files in a folder tell; None if they don't."""
    with explain_java_errors(spark, path):
        file_system, folder = resolve(spark, path)
        statuses = file_system.listFiles(folder, True)
        for _ in range(_LOOKED_AT):
            if not statuses.hasNext():
                break
            name = str(statuses.next().getPath().getName())
            match = None if name.startswith((".", "_")) else _FILE_NAME.search(name)
            if match is not None:
                return "text" if match[1] == "txt" else match[1]
    return None


def check_same_files(df: DataFrame, target: Target) -> None:
    """Refuse to add rows to files that have other columns, or other folders of partitions.

    Raises:
        OutputError: They have.
    """
    reader = df.sparkSession.read.format(target.path_format).options(**target.options)
    # Partition columns are read from the folders' names, where a date looks like a string.
    reader = reader.option("basePath", target.name)
    try:
        old = reader.load(target.name)
    except PySparkException:  # an empty folder has no schema
        return
    folders = _partition_columns(old)
    if folders is not None and folders != list(target.partition_by):
        has = f"by {','.join(folders)}" if folders else "not at all"
        raise OutputError(
            f"--output {target.name} is partitioned {has}, and the new rows "
            + (f"by {','.join(target.partition_by)}" if target.partition_by else "not at all"),
            f"write --partition-by {','.join(folders)}" if folders else "leave --partition-by out",
        )
    names = set(target.partition_by)
    if target.path_format.lower() == "csv":
        _check_header(df, old, target)
        return
    fitted(
        df.drop(*names),
        StructType([field for field in old.schema if field.name not in names]),
        f"--output {target.name}",
        widen=False,
    )


def _check_header(df: DataFrame, old: DataFrame, target: Target) -> None:
    """Refuse to add lines to CSV files whose columns are others, or in another order."""
    has, gets = (
        [name for name in each.columns if name not in target.partition_by] for each in (old, df)
    )
    header = str(target.options.get("header", "false")).lower() == "true"
    if len(has) != len(gets) or (header and has != gets):
        raise OutputError(
            f"--output {target.name} has the columns {', '.join(has)}, and the rows to write have "
            f"{', '.join(gets)}",
            "choose columns and their order with --keep and --fetch, or write to a new output",
        )


def _partition_columns(df: DataFrame) -> list[str] | None:
    """Return the partition columns of files; None where Spark doesn't say."""
    try:
        for leaf in scala_items(query_execution(df).analyzed().collectLeaves()):
            fields = leaf.relation().partitionSchema().fields()
            return [str(each.name()) for each in fields]
    except (JavaError, PySparkException, SetupError, TypeError):
        pass
    return None


def _same(first: DataType, second: DataType) -> bool:
    return first == second or first.simpleString().lower() == second.simpleString().lower()


def _widens(narrow: DataType, wide: DataType) -> bool:
    for names in _WIDER:
        if narrow.simpleString() in names and wide.simpleString() in names:
            return names.index(narrow.simpleString()) <= names.index(wide.simpleString())
    return False
