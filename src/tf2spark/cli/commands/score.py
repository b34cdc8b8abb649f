"""`tf2spark score`: write a table with the model's outputs as new columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from tf2spark.cli.dry_run import dry_run_option, print_score
from tf2spark.cli.failures import warnings_on_stderr
from tf2spark.cli.job_log import log_of, log_option
from tf2spark.cli.jobs import Job, checked_options, open_job, per_second, write_counted
from tf2spark.cli.options import (
    call_options,
    column_list,
    feed_option,
    model_options,
    row_options,
    spark_options,
    task_timeout_option,
    whole_number,
)
from tf2spark.cli.report_option import JobReport, feed_pairs, report_option, table_pairs
from tf2spark.cli.tables import (
    Source,
    existing_source,
    source_options,
    target_of,
    target_options,
)
from tf2spark.package.digests import digest_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tf2spark.binding.request import Request
    from tf2spark.spark.output.target import Target


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
    type=whole_number(least=1),
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
@dry_run_option(
    "Check everything and print what the job would do, without reading or writing a row."
)
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
    call, source, target = _checked(params)
    log, report = log_of(params), JobReport(params, target)
    with open_job(params, [source], target, debug=bool((context.obj or {}).get("debug"))) as job:
        request, run = _bound(job, params, *call)
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


def _checked(params: Mapping[str, Any]) -> tuple[tuple[Any, Any, dict[str, Any]], Source, Target]:
    """Check the options that need no table.

    Returns:
        The feed, the fetch and the other arguments of the call; what is read, and what is written.

    Raises:
        ContractError: There are mistakes, all of which it lists.
    """
    from tf2spark.binding.options import make_options
    from tf2spark.cli.feed_text import parse_feed, parse_fetch

    given = {
        "keep": column_list(params["keep"]), "id_columns": column_list(params["id_columns"]),
        "batch_rows": params["batch_rows"], "mode": params["mode"], "read": params["read"],
        "error_column": params["error_column"], "model_column": params["model_column"],
        "rows": params["rows"], "task_timeout": params["task_timeout"],
        "audience": "command_line",
    }  # fmt: skip
    feed, fetch, _, source, target = checked_options(
        params,
        [lambda: parse_feed(params["feed"]), lambda: parse_fetch(params["fetch"])],
        [
            lambda: make_options(**given),
            lambda: existing_source(params, "input"),
            lambda: target_of(params),
        ],
        lambda model, feed, fetch: model.request(params["signature"], feed, fetch),
    )
    return (feed, fetch, given), source, target


def _bound(
    job: Job, params: Mapping[str, Any], feed: Any, fetch: Any, given: Mapping[str, Any]
) -> tuple[Request, Callable[[DataFrame], DataFrame]]:
    """Check the call against the model and the table; return the request, and what scores rows.

    Raises:
        ContractError: There are mistakes, all of which it lists.
    """
    with warnings_on_stderr():
        request, options = job.model.call(job.tables[0], params["signature"], feed, fetch, **given)

    from tf2spark.runnable.score import score as score_table

    def score_rows(rows: DataFrame) -> DataFrame:
        with warnings_on_stderr():
            return score_table(job.model, rows, request, options)

    return request, score_rows
