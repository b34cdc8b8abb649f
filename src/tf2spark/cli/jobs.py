"""What the commands that run a Spark job share: its session, its output and its counts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from tf2spark.cli.options import key_values, open_model
from tf2spark.cli.tables import TableLocation, check_exists, read
from tf2spark.shown_text import shown

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tf2spark.runnable_model import RunnableModel


@frozen(eq=False)
class Job:
    """A session, and the model and the tables that the command names."""

    spark: SparkSession
    model: RunnableModel
    tables: tuple[DataFrame, ...]


@contextmanager
def open_job(
    params: Mapping[str, Any],
    sources: Sequence[TableLocation],
    target: TableLocation | None,
    *,
    debug: bool,
    defaults: Mapping[str, str] | None = None,
) -> Iterator[Job]:
    """Open the model and the tables of a command, in a session that ends with the block.

    Everything on this machine is checked before Spark starts, so that mistakes show at once.

    Args:
        params: The command's options: of the model, of Spark, and ``overwrite``.
        sources: The tables to read.
        target: The table to write, which must not exist yet; None if none is written.
        debug: Let Spark's own log through.
        defaults: The command's own Spark settings; ``--conf`` overrides them.
    """
    settings = {**(defaults or {}), **key_values("--conf", params["conf"])}
    from tf2spark.locations import is_uri

    model = None if is_uri(params["model"]) else open_model(params)
    from tf2spark.spark.session import need_pyspark, running

    need_pyspark()
    from tf2spark.package.staging import remove_abandoned
    from tf2spark.spark.output.table_writer import check_local_path, prepare_output

    for note in remove_abandoned():
        click.echo(shown(note), err=True)
    if target is not None:
        check_local_path(target.path, format=target.format, overwrite=params["overwrite"])
    for source in sources:
        check_exists(source)
    with running(params["master"], settings, quiet=not debug) as spark:
        model = model or open_model(params)
        if target is not None:
            prepare_output(spark, target.path, format=target.format, overwrite=params["overwrite"])
        yield Job(spark, model, tuple(read(spark, source) for source in sources))


@frozen
class Counts:
    """How many rows were written, not scored, and read; None for what wasn't counted."""

    written: int
    failed: int | None = None
    read: int | None = None

    def note(self) -> str:
        """Return how many rows have no result, as text; empty if all have one."""
        if self.failed:
            return f", {self.failed:,} of them could not be scored"
        if self.read is not None and self.read > self.written:
            return f", {self.read - self.written:,} dropped"
        return ""


def write_counted(
    rows: DataFrame,
    run: Callable[[DataFrame], DataFrame],
    target: TableLocation,
    params: Mapping[str, Any],
    labels: tuple[str, str],
) -> Counts:
    """Write the result of `run`, counting rows on the way.

    Args:
        rows: The table to run on.
        run: Gives each row its outputs, in the command's `mode`.
        target: Where the result goes; a job that fails leaves it unchanged.
        params: The command's options.
        labels: The activity and the plural of a row, for the progress bar on a terminal.
    """
    from tf2spark.spark.output.table_writer import write
    from tf2spark.spark.progress import show_progress
    from tf2spark.spark.row_counter import RowCounter

    reads = RowCounter.of(rows) if params["mode"] == "dropmalformed" else None
    result = run(rows if reads is None else reads.table)
    permissive = params["mode"] == "permissive"
    writes = RowCounter.of(result, (params["error_column"] or "_error") if permissive else None)
    with show_progress(rows.sparkSession, *labels, show=sys.stderr.isatty()):
        write(
            writes.table,
            target.path,
            format=target.format,
            options=target.options,
            overwrite=params["overwrite"],
        )
    failed = writes.not_null() if permissive else None
    return Counts(writes.rows(), failed, reads.rows() if reads else None)


def per_second(count: int, seconds: float) -> str:
    """Return a rate per second as text."""
    return f"{count / seconds if seconds > 0 else 0.0:,.0f}"
