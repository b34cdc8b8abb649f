"""What is checked of an output before a row is read."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, UserDefinedType

from tf2spark.errors import ContractError, OutputError, SetupError
from tf2spark.spark.hadoop import explain_java_errors, resolve
from tf2spark.spark.jvm.access import JavaError, scala_items
from tf2spark.spark.jvm.queries import query_execution
from tf2spark.spark.output.table_writer import check_local_path, is_files, prepare_output
from tf2spark.spark.output.target import Target
from tf2spark.spark.tables import catalog
from tf2spark.spark.tables.missing_jars import check_format
from tf2spark.spark.tables.option_names import check_options, check_writer_options
from tf2spark.tfrecord import FORMAT


def check_before_spark(target: Target) -> None:
    """Check what needs no session: options without effect, and a path on this machine.

    Raises:
        ContractError: An option has no effect.
        OutputError: The output exists, or can't be written.
    """
    writes_files = is_files(target.path_format)
    check_writer_options(target.path_format, target.options, is_files=writes_files)
    replaces_folders = target.mode == "overwrite_partitions" and target.path is not None
    if replaces_folders and writes_files and not target.partition_by:
        raise ContractError(
            "--overwrite-partitions replaces partitions, and none are named",
            "write --partition-by COL,COL as well, or --overwrite to replace all rows",
        )
    if target.partition_by and target.path_format.lower() == FORMAT:
        raise ContractError(
            "--partition-by has no effect on TFRecord files, which aren't in partitions",
            "leave it out, or write --output-format parquet",
        )
    repeated = [name for name in target.partition_by if target.partition_by.count(name) > 1]
    if repeated:
        raise ContractError(f'--partition-by names "{repeated[0]}" twice')
    if target.path is not None:
        check_local_path(target.path, format=target.path_format, mode=target.mode)


def prepare(spark: SparkSession, target: Target, *, ends: bool = False) -> None:
    """Check an output in a session, and finish or remove what killed runs left there.

    Args:
        spark: The session.
        target: The output.
        ends: Whether the session ends with the job, so that a catalog in memory is of no use.

    Raises:
        ContractError: An option has no effect, or a name is none.
        OutputError: The output exists and the mode is "error", or it can't be written.
        SetupError: The session lacks a jar.
    """
    check_options(spark, "--output-option", target.path_format, target.options)
    check_format(spark, target.path_format)
    if target.path is not None:
        prepare_output(spark, target.path, format=target.path_format, mode=target.mode)
        return
    from tf2spark.spark.output.table_target import prepare_table

    prepare_table(spark, target, ends=ends)


def check_columns(target: Target, schema: StructType) -> None:
    """Check that the rows of a job have the partition columns.

    Raises:
        ContractError: They lack one, or it is of a type that names no folder, or no other column
            is left.
    """
    types: dict[str, DataType] = {field.name: field.dataType for field in schema}
    for name in target.partition_by:
        if name not in types:
            close = difflib.get_close_matches(name, types, n=1)
            hint = f'did you mean "{close[0]}"?' if close else "a column of --keep must have it"
            raise ContractError(
                f'--partition-by: the rows to write have no column "{name}"; they have '
                f"{', '.join(types)}",
                hint,
            )
        if isinstance(types[name], ArrayType | MapType | StructType | UserDefinedType):
            raise ContractError(
                f'--partition-by: column "{name}" is {types[name].simpleString()}, and a partition '
                "is named by a number, a string, a date or a timestamp"
            )
    if len(types) == len(target.partition_by):
        raise ContractError("--partition-by names every column, so that no column is left to write")


def check_separate(
    spark: SparkSession, target: Target, table: DataFrame, text: str, path: str | None = None
) -> None:
    """Refuse an output that is inside an input, or has it inside.

    Args:
        spark: The session.
        target: The output.
        table: An input.
        text: The option that names the input.
        path: Its path, for formats of which Spark doesn't know the files; None for a table.

    Raises:
        OutputError: They overlap.
    """
    output = _place(spark, target)
    # Of a glob, the folder that it is in.
    named = [] if path is None else [re.sub(r"(^|/)[^/]*[*?\[{].*", "", path) or "/"]
    for root in list(_roots(table)) or named:
        if output is None:
            break
        relation = _relation(output, _resolved(spark, root))
        if relation is not None:
            raise OutputError(
                f"{target.option} {target.name} is {relation} the input ({text})",
                "write to another place, so that the job can be run again",
            )
    if target.table is not None:
        name = catalog.table_name(spark, target.table).sql.lower()
        if name in _table_names(table):
            raise OutputError(
                f"{target.option} {target.name} is the input ({text})",
                "write to another table, so that the job can be run again",
            )


def check_apart_from_model(spark: SparkSession, target: Target, uri: str) -> None:
    """Refuse an output that is inside the model's folder, or has it inside.

    Args:
        spark: The session.
        target: The output.
        uri: Where the model is.

    Raises:
        OutputError: They overlap.
    """
    output = _place(spark, target)
    if output is None:
        return
    relation = _relation(output, _resolved(spark, uri))
    if relation is not None:
        raise OutputError(
            f"{target.option} {target.name} is {relation} the model ({uri})",
            "write to another place, so that the model stays as it is",
        )


def _place(spark: SparkSession, target: Target) -> str | None:
    """Return where the rows will lie; None where only a catalog knows."""
    if target.path is not None:
        return _resolved(spark, target.path)
    name = catalog.table_name(spark, target.name)
    known = catalog.file_table(spark, name)
    if known is not None:
        return _resolved(spark, known.location)
    if name.catalog == catalog.SESSION_CATALOG and catalog.database_exists(spark, name):
        return _resolved(spark, catalog.default_location(spark, name))
    return None


def _resolved(spark: SparkSession, path: str) -> str:
    """Return a URI that two names of one folder share, with links followed on this machine."""
    with explain_java_errors(spark, path):
        _, resolved = resolve(spark, path)
        uri = resolved.toUri()
        folder = str(uri.getPath())
        if str(uri.getScheme()) == "file":
            return "file:" + os.path.realpath(folder)
        return f"{uri.getScheme()}://{uri.getAuthority() or ''}{folder.rstrip('/')}"


def _relation(output: str, root: str) -> str | None:
    if output == root:
        return "the same as"
    if output.startswith(root.rstrip("/") + "/"):
        return "inside"
    return "around" if root.startswith(output.rstrip("/") + "/") else None


def _leaves(table: DataFrame) -> Iterator[Any]:
    """Yield the relations that a table reads, also those in subqueries."""
    try:
        plan = query_execution(table).analyzed()
        for part in (plan, *scala_items(plan.subqueriesAll())):
            yield from scala_items(part.collectLeaves())
    except (JavaError, PySparkException, SetupError, TypeError):  # plans are no interface
        return


def _roots(table: DataFrame) -> Iterator[str]:
    """Yield the folders and files that a table is read from."""
    for leaf in _leaves(table):
        try:
            name = leaf.getClass().getSimpleName()
            if name == "LogicalRelation":
                # Any relation of files has a location, also Delta's; others raise an error here.
                for path in scala_items(leaf.relation().location().rootPaths()):
                    yield str(path.toString())
            elif name == "HiveTableRelation":
                yield str(leaf.tableMeta().location().getPath())
        except (JavaError, PySparkException, TypeError):
            continue


def _table_names(table: DataFrame) -> set[str]:
    """Return the quoted names of the tables that a table is read from."""
    names: set[str] = set()
    for leaf in _leaves(table):
        try:
            kind = leaf.getClass().getSimpleName()
            if kind == "LogicalRelation" and leaf.catalogTable().isDefined():
                parts = [str(leaf.catalogTable().get().identifier().unquotedString())]
                qualified = parts[0]
                if not qualified.startswith(catalog.SESSION_CATALOG):
                    qualified = f"{catalog.SESSION_CATALOG}.{qualified}"
                names.add(_quoted(qualified.split(".")))
            elif kind == "DataSourceV2Relation" and leaf.identifier().isDefined():
                known = leaf.identifier().get()
                owner = leaf.catalog()
                first = str(owner.get().name()) if owner.isDefined() else catalog.SESSION_CATALOG
                names.add(_quoted([first, *map(str, known.namespace()), str(known.name())]))
        except (JavaError, PySparkException, TypeError):
            continue
    return names


def _quoted(parts: list[str]) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts).lower()
