"""Spark jobs of a call that run while the driver does something else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from inspect import signature
from typing import Any, TypeVar, cast

import pyarrow as pa
import pyspark
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from tf2spark.errors import SetupError, Tf2SparkError, from_spark
from tf2spark.spark.jvm.access import JOB_ERRORS, JavaError
from tf2spark.spark.jvm.queries import collect_arrow, first_rows
from tf2spark.spark.recommend.columns import with_nullable_fields
from tf2spark.spark.scan.driver_read import read_on_driver
from tf2spark.spark.types import arrow_schema

T = TypeVar("T")


def in_background(spark: SparkSession, call: Callable[[], T]) -> Callable[[], T]:
    """Start a call in a thread of its own, and return the function that waits for its result.

    The call's jobs belong to the group, the pool and the tags of this thread, and its messages
    speak to the same audience.
    """
    future: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:
            future.set_exception(error)

    # PySpark's annotations leave out what it has for this; 3.5 doesn't take the session.
    inheritable = cast(Any, pyspark).InheritableThread
    takes_session = "session" in signature(inheritable.__init__).parameters
    thread = inheritable(target=run, **({"session": spark} if takes_session else {}))
    thread.daemon = True  # an interrupted call doesn't keep the process from ending
    thread.start()

    def wait() -> T:
        thread.join()
        if not future.done():  # it ended before the call began
            raise SetupError("Spark was stopped while tables were being read")
        return future.result()

    return wait


def collect(table: DataFrame) -> pa.Table:
    """Return a DataFrame's rows as an Arrow table.

    Raises:
        Tf2SparkError: A worker raised it; Spark's exception about it is only its text.
    """
    with from_spark():
        return _collected(table)


def collect_first(table: DataFrame, rows: int) -> pa.Table:
    """Return the first rows of a DataFrame as an Arrow table; no row of a stream.

    Where the driver can read them from files itself, no job runs.

    Raises:
        Tf2SparkError: A worker raised it.
    """
    if table.isStreaming:
        return arrow_schema(table.schema).empty_table()
    if (read := read_on_driver(table, rows)) is not None:
        return read
    taken = if_possible(lambda: _taken(table, rows))
    return collect(table.limit(rows)) if taken is None else taken


def _taken(table: DataFrame, rows: int) -> pa.Table:
    with from_spark():
        return _collected(first_rows(table, rows))


def _collected(table: DataFrame) -> pa.Table:
    return collect_arrow(with_nullable_fields(table)).rename_columns(table.columns)


def if_possible(read: Callable[[], pa.Table]) -> pa.Table | None:
    """Return what is read; None where it can't be read in this way."""
    try:
        return read()
    except (Tf2SparkError, *JOB_ERRORS, TypeError) as error:
        if not is_about_the_way(error):
            raise
        return None


def is_about_the_way(error: Exception) -> bool:
    """Say whether rows that couldn't be read might be read in another way.

    This Spark lacks a class, is one of Connect, or can't take rows back; or too much would come
    back. All other errors are the query's own, which isn't to be run again; nor is it where
    somebody cancelled it.
    """
    if isinstance(error, (SetupError, TypeError, AnalysisException)):
        return True
    if isinstance(error, JavaError) and not hasattr(error, "java_exception"):
        return True
    return any(reason in str(error) for reason in ("maxResultSize", "UNSUPPORTED"))
