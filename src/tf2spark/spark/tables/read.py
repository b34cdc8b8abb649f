"""Reads a table that the command line names: files, a table of a catalog, or a query."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from tf2spark.errors import ContractError, SetupError, first_line
from tf2spark.spark.jvm.access import JavaError, is_instance, scala_items, session_state
from tf2spark.spark.tables.missing_jars import missing_jar
from tf2spark.spark.tfrecord.register import register_format

_COMMAND = "org.apache.spark.sql.catalyst.plans.logical.Command"
_STATEMENT = "org.apache.spark.sql.catalyst.plans.logical.ParsedStatement"


def read_source(
    spark: SparkSession,
    text: str,
    *,
    path: str | None,
    table: str | None,
    sql: str | None,
    format: str,
    options: Mapping[str, str],
    where: str | None,
    where_option: str,
) -> DataFrame:
    """Return a table as a DataFrame.

    Args:
        spark: The session.
        text: The option that names the table and its value, for messages.
        path: The path of its files, or None.
        table: Its name in a catalog, or None.
        sql: A query whose rows are the table, or None.
        format: The format of the files.
        options: Options of Spark's reader.
        where: A condition in SQL; None for all rows.
        where_option: The option with the condition, for messages.

    Raises:
        ContractError: There is no such table, or the query or the condition is wrong.
        SetupError: The session lacks a jar.
    """
    with explain(spark, text):
        if path is not None:
            register_format(spark, format)
            df = spark.read.format(format).options(**options).load(path)
        elif table is not None:
            df = spark.table(table)
        else:
            df = _query(spark, sql or "", text)
    return df if where is None else _filter(df, where, where_option)


@contextmanager
def explain(spark: SparkSession, text: str) -> Iterator[None]:
    """Turn what Spark says of a table that isn't there, or of a query, into one message."""
    try:
        yield
    except (PySparkException, JavaError) as error:
        missing = missing_jar(spark, str(error))
        if missing is not None:
            raise missing from error
        if re.search(r"SessionHiveMetaStoreClient|Another instance of Derby", str(error)):
            raise SetupError(
                "the Hive metastore can't be opened: it doesn't answer, or another process uses "
                "Derby's folder metastore_db in this working directory",
                "name a metastore (--conf spark.hadoop.hive.metastore.uris=thrift://HOST:9083), or "
                "wait for the other process",
            ) from error
        if "UNABLE_TO_INFER_SCHEMA" in str(error):
            raise ContractError(
                f"{text}: there are no files to read",
                'name a folder of files; those that begin with "_" or "." don\'t count',
            ) from error
        if "TABLE_OR_VIEW_NOT_FOUND" in str(error):
            raise _not_found(spark, text, str(error)) from error
        if "PARSE_SYNTAX_ERROR" in str(error) or type(error).__name__ == "ParseException":
            raise ContractError(f"{text} can't be parsed: {_message(error)}") from error
        if re.match(r"\[(UNRESOLVED|SCHEMA_NOT_FOUND|INVALID_|DATATYPE_|MISSING_)", str(error)):
            raise ContractError(f"{text}: {_message(error)}") from error
        raise


def _message(error: Exception) -> str:
    line = re.sub(r"^\[[A-Z0-9_.]+\]\s*", "", first_line(error))
    return re.sub(r"\.?\s*SQLSTATE: \w+.*$", "", line)


def _not_found(spark: SparkSession, text: str, message: str) -> ContractError:
    match = re.search(r"The table or view (`[^ ]+`|\S+) cannot be found", message)
    parts = re.findall(r"`((?:[^`]|``)+)`", match[1]) if match else []
    name = ".".join(parts)
    known = _tables(spark, ".".join(f"`{part}`" for part in parts[:-1]))
    close = difflib.get_close_matches(parts[-1].lower(), known, n=1) if parts else []
    if close:
        advice = f'did you mean "{".".join([*parts[:-1], close[0]])}"?'
    else:
        few = f"it has {', '.join(known[:10])}" if known else "it has no tables there"
        advice = (
            f"{few}; Spark's catalog is the one that the session is configured for (hive-site.xml, "
            "or --conf spark.sql.catalog.NAME=...)"
        )
    problem = f"{text}: the catalog has no table or view"
    return ContractError(f'{problem} "{name}"' if name else problem, advice)


def _tables(spark: SparkSession, database: str) -> list[str]:
    try:
        return sorted(table.name for table in spark.catalog.listTables(database or None))
    except (PySparkException, JavaError):
        return []


def _query(spark: SparkSession, sql: str, text: str) -> DataFrame:
    """Return the rows of a query; a statement that would change something is refused."""
    sql = sql.strip().rstrip(";").rstrip()
    plan = session_state(spark).sqlParser().parsePlan(sql)
    if any(_changes(spark, node) for node in _nodes(plan)):
        raise ContractError(
            f"{text} takes a query, and this statement does something else: {sql.split()[0]} ...",
            "write SELECT ... or WITH ... SELECT ...",
        )
    return spark.sql(sql)


def _changes(spark: SparkSession, node: Any) -> bool:
    return any(is_instance(spark, node, name) for name in (_COMMAND, _STATEMENT))


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for child in scala_items(plan.children()):
        yield from _nodes(child)


def _filter(df: DataFrame, where: str, option: str) -> DataFrame:
    if not where.strip():
        raise ContractError(f"{option} is empty", "leave it out for all rows")
    try:
        return df.where(where)
    except PySparkException as error:
        raise ContractError(
            f"{option} {where}: {_message(error)}",
            f"the table has {', '.join(df.columns[:20])}"
            if "UNRESOLVED_COLUMN" in str(error)
            else None,
        ) from error
