"""`tf2spark score`: a table in, the same table with the model's outputs out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from tf2spark.cli.jobs import job, per_second, write_counted
from tf2spark.cli.options import (
    call_options,
    feed_option,
    model_options,
    names,
    overwrite_option,
    row_options,
    spark_options,
)
from tf2spark.cli.tables import source_of, table_options, target_of


@click.command(short_help="Score a table: it comes out with the model's outputs as columns.")
@click.argument("model", metavar="MODEL")
@table_options("input", "The table to score.")
@table_options("output", "Where it goes.", writes=True)
@overwrite_option
@feed_option
@click.option(
    "--fetch",
    multiple=True,
    metavar="COLUMN=OUTPUT",
    help="Which outputs become which columns; can be repeated.  [default: all]",
)
@click.option("--keep", metavar="COL,COL", help="The columns that stay.  [default: all]")
@row_options
@click.option(
    "--batch-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="The most rows of one run of the model.",
)
@click.option(
    "--read",
    type=click.Choice(["auto", "spark", "worker"]),
    default="auto",
    show_default=True,
    help="Who opens the input's files; the workers, for plain local Parquet, are faster.",
)
@call_options
@model_options
@spark_options
@click.pass_context
def score(context: click.Context, /, **given: Any) -> None:
    """Score a table with MODEL: the same table comes out, with the model's outputs as columns.

    \b
    Examples:
      tf2spark score models/ctr --input impressions --output scored
      tf2spark score models/ctr --input in.csv --input-format csv --output out --keep id,ts
      tf2spark score models/ctr --input in --output out --overwrite --mode permissive \\
        --feed 'ids=padded(features.indices, 0)' --feed 'vals=padded(features.values, 0.0)' \\
        --feed keep_prob:=1.0 --fetch score=output_0
      tf2spark score /shared/ctr --input hdfs:///in --output hdfs:///out --master yarn \\
        --conf spark.executor.instances=8

    \b
    What can feed an input:
      --feed x=features            a column, or a field of one (user.address.zip)
      --feed x=a,b                 columns side by side
      --feed 'x=padded(ids, 0)'    rows of different lengths, filled up with a value
      --feed 'x=assembled(a, b)'   columns joined as MLlib's VectorAssembler does
      --feed keep_prob:=1.0        one value for all rows (JSON after :=)
    """
    source, target = source_of(given, "input"), target_of(given)
    arguments = _score_arguments(given)
    with job(given, [source], target, debug=bool((context.obj or {}).get("debug"))) as running:
        started = time.monotonic()
        counts = write_counted(
            running.tables[0],
            lambda rows: running.model.score(rows, **arguments),
            target,
            given,
            ("scoring", "rows"),
        )
        seconds = time.monotonic() - started
        rate = per_second(counts.written, seconds)
        click.echo(
            f"{counts.written:,} rows{counts.note()}, {seconds:.1f} s, {rate} rows/s: {target.path}"
        )
        model = running.model
        click.echo(f"model {model.contract.path}, digest {model.reference().digest}")


def _score_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    from tf2spark.cli.feed_text import parse_feed, parse_fetch

    return {
        "feed": parse_feed(given["feed"]),
        "fetch": parse_fetch(given["fetch"]),
        "signature": given["signature"],
        "keep": names(given["keep"]),
        "batch_rows": given["batch_rows"],
        "read": given["read"],
        "mode": given["mode"],
        "error_column": given["error_column"],
        "model_column": given["model_column"],
    }
