"""`tf2spark score`: write a table with the model's outputs as new columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from tf2spark.cli.dry_run import dry_run_option, print_score
from tf2spark.cli.failures import warnings_on_stderr
from tf2spark.cli.job_log import log_of, log_option
from tf2spark.cli.jobs import open_job, per_second, write_counted
from tf2spark.cli.options import (
    call_options,
    column_list,
    feed_option,
    model_options,
    row_options,
    spark_options,
    task_timeout_option,
)
from tf2spark.cli.report_option import JobReport, feed_pairs, report_option, table_pairs
from tf2spark.cli.tables import source_of, source_options, target_of, target_options
from tf2spark.package.digests import digest_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tf2spark.binding.request import Request
    from tf2spark.runnable_model import RunnableModel


@click.command(short_help="Score a table: add the model's outputs as columns.")
@click.argument("model", metavar="MODEL")
@source_options("input", "The table to score.")
@target_options("Where to write the scored table.")
@feed_option
@click.option(
    "--fetch",
    multiple=True,
    metavar="COLUMN=OUTPUT",
    help="Which outputs become which columns; can be repeated.  [default: all]",
)
@click.option("--keep", metavar="COL,COL", help="The columns to keep.  [default: all]")
@click.option(
    "--id-columns",
    metavar="COL,COL",
    help="The columns that name a row in messages.  [default: id, user_id and the like]",
)
@row_options
@click.option(
    "--batch-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="The maximum number of rows in one run of the model.",
)
@click.option(
    "--read",
    type=click.Choice(["auto", "spark", "worker"]),
    default="auto",
    show_default=True,
    help="Who reads the input's files; the workers are faster for plain local Parquet.",
)
@click.option(
    "--rows",
    type=click.Choice(["auto", "independent", "batch"]),
    default="auto",
    show_default=True,
    help="Whether a row's outputs depend on its batch, which is then scored whole or not at all.",
)
@task_timeout_option
@log_option
@report_option
@call_options
@model_options
@spark_options
@dry_run_option
@click.pass_context
def score(context: click.Context, /, **params: Any) -> None:
    """Score a table with MODEL and write it with the model's outputs as new columns.

    \b
    Examples:
      tf2spark score models/ctr --input impressions --output scored
      tf2spark score models/ctr --input in.csv --output out --keep id,ts
      tf2spark score models:/ctr@champion --input impressions --output scored
      tf2spark score models/ctr --input-table impressions --where "dt = '2026-11-28'" \\
        --output-table scored --append
      tf2spark score models/ctr --input hdfs:///in --output hdfs:///out --partition-by dt \\
        --overwrite-partitions
      tf2spark score models/ctr --input in --output out --overwrite --mode permissive \\
        --feed 'ids=padded(features.indices, 0)' --feed 'vals=padded(features.values, 0.0)' \\
        --feed keep_prob:=1.0 --fetch score=output_0
      tf2spark score /shared/ctr --input hdfs:///in --output hdfs:///out --master yarn \\
        --conf spark.executor.instances=8

    \b
    What can feed an input:
      --feed x=features            a column, or a field of one (user.address.zip)
      --feed x=a,b                 columns, concatenated
      --feed 'x=padded(ids, 0)'    rows of different lengths, padded with a value
      --feed 'x=assembled(a, b)'   columns joined as MLlib's VectorAssembler does
      --feed 'x=example(a, key=b)' columns packed into serialized tf.Example; example() for all
      --feed keep_prob:=1.0        one value for all rows (JSON after :=)
    """
    source, target = source_of(params, "input"), target_of(params)
    bind, log, report = _scorer(params), log_of(params), JobReport(params, target)
    with open_job(params, [source], target, debug=bool((context.obj or {}).get("debug"))) as job:
        request, run = bind(job.model)
        if params["dry_run"]:
            print_score(job, request, run, [source], target)
            return
        started = time.monotonic()
        counts = write_counted(
            job,
            report.watch(job, run),
            target,
            params,
            ("scoring", "rows"),
        )
        seconds = time.monotonic() - started
        rate = per_second(counts.written, seconds)
        report.write(
            job,
            counts,
            log,
            unit="rows",
            seconds={"scoring": seconds},
            outputs=[output.column for output in request.outputs],
            tables=table_pairs([source], target),
            feed=feed_pairs(request),
        )
        counts.log_done(log, "rows", seconds, target)
        log.summary(
            f"{counts.written:,} rows{counts.note()}, {seconds:.1f} s, {rate} rows/s: "
            f"{target.name}",
            f"model {job.model.contract.path}, digest {digest_text(job.model.digest)}",
        )


def _scorer(
    params: Mapping[str, Any],
) -> Callable[[RunnableModel], tuple[Request, Callable[[DataFrame], DataFrame]]]:
    """Check the options that need neither model nor table, and return a function that binds them.

    Raises:
        ContractError: One is wrong.
    """
    from tf2spark.binding.options import make_options
    from tf2spark.cli.feed_text import parse_feed, parse_fetch

    feed, fetch = parse_feed(params["feed"]), parse_fetch(params["fetch"])
    options = make_options(
        keep=column_list(params["keep"]),
        batch_rows=params["batch_rows"],
        mode=params["mode"],
        error_column=params["error_column"],
        model_column=params["model_column"],
        read=params["read"],
        rows=params["rows"],
        id_columns=column_list(params["id_columns"]),
        task_timeout=params["task_timeout"],
        audience="command_line",
    )

    def bind(model: RunnableModel) -> tuple[Request, Callable[[DataFrame], DataFrame]]:
        with warnings_on_stderr():
            request = model.request(params["signature"], feed, fetch, params["batch_rows"])

        def score_rows(rows: DataFrame) -> DataFrame:
            with warnings_on_stderr():
                return model.score(rows, request, options)

        return request, score_rows

    return bind
