"""`tf2spark score`: a table in, the same table with the model's outputs out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from tf2spark.cli.options import call_options, model_options, opened, pairs, spark_options
from tf2spark.errors import ContractError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What a person means by "a CSV file"; --input-option and --output-option win.
_READ_DEFAULTS = {"csv": {"header": "true", "inferSchema": "true"}}
_WRITE_DEFAULTS = {"csv": {"header": "true"}}


@frozen
class Table:
    """A table on disk: where it is, its format and its options."""

    path: str
    format: str
    options: dict[str, str]


@frozen
class Counts:
    """What became of the rows; None where it wasn't counted."""

    written: int
    failed: int | None = None
    read: int | None = None


@click.command(short_help="Score a table: it comes out with the model's outputs as columns.")
@click.argument("model", metavar="MODEL")
@click.option("--input", "input_path", required=True, metavar="PATH", help="The table to score.")
@click.option("--output", "output_path", required=True, metavar="PATH", help="Where it goes.")
@click.option(
    "--input-format",
    default="parquet",
    show_default=True,
    metavar="FORMAT",
    help="parquet, json, csv, orc, or any that the Spark session knows.",
)
@click.option(
    "--output-format", default="parquet", show_default=True, metavar="FORMAT", help="Likewise."
)
@click.option(
    "--input-option",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of Spark's reader; can be repeated.",
)
@click.option(
    "--output-option",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of Spark's writer; can be repeated.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace an existing output, once the new one is complete."
)
@click.option(
    "--feed",
    multiple=True,
    metavar="INPUT=COLUMN",
    help="What feeds an input; can be repeated.  [default: the column of its name]",
)
@click.option(
    "--fetch",
    multiple=True,
    metavar="COLUMN=OUTPUT",
    help="Which outputs become which columns; can be repeated.  [default: all]",
)
@click.option("--keep", metavar="COL,COL", help="The columns that stay.  [default: all]")
@click.option(
    "--mode",
    type=click.Choice(["failfast", "permissive", "dropmalformed"]),
    default="failfast",
    show_default=True,
    help="What happens to rows that can't be scored.",
)
@click.option(
    "--error-column", metavar="NAME", help="Where permissive writes the reason.  [default: _error]"
)
@click.option("--model-column", metavar="NAME", help="A new column for the digest of the model.")
@click.option(
    "--batch-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="The most rows of one run of the model.",
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
    source = Table(
        given["input_path"],
        given["input_format"],
        _READ_DEFAULTS.get(given["input_format"], {})
        | pairs("--input-option", given["input_option"]),
    )
    target = Table(
        given["output_path"],
        given["output_format"],
        _WRITE_DEFAULTS.get(given["output_format"], {})
        | pairs("--output-option", given["output_option"]),
    )
    settings = pairs("--conf", given["conf"])
    arguments = _score_arguments(given)
    from tf2spark.places import is_uri

    # What lies on this machine is opened before Spark is: its faults are known at once.
    model = None if is_uri(given["model"]) else opened(given)
    debug = bool((context.obj or {}).get("debug"))
    _run(given, model, source, target, arguments, settings, debug)


def _score_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    from tf2spark.columns_text import parse_feed, parse_fetch

    keep = given["keep"]
    return {
        "feed": parse_feed(given["feed"]),
        "fetch": parse_fetch(given["fetch"]),
        "signature": given["signature"],
        "keep": None if keep is None else [one.strip() for one in keep.split(",") if one.strip()],
        "batch_rows": given["batch_rows"],
        "mode": given["mode"],
        "error_column": given["error_column"],
        "model_column": given["model_column"],
    }


def _run(
    given: Mapping[str, Any],
    model: Any,
    source: Table,
    target: Table,
    arguments: Mapping[str, Any],
    settings: Mapping[str, str],
    debug: bool,
) -> None:
    from tf2spark.spark.session import need_pyspark, running

    need_pyspark()
    from tf2spark.spark.storage import check_free, check_local_path

    overwrite = given["overwrite"]
    check_local_path(target.path, overwrite=overwrite)
    _check_input(source.path)
    with running(given["master"], settings, quiet=not debug) as spark:
        model = model or opened(given)
        check_free(spark, target.path, overwrite=overwrite)
        table = spark.read.format(source.format).options(**source.options).load(source.path)
        started = time.monotonic()
        counts = _score_and_write(spark, model, table, target, arguments, overwrite)
        click.echo(_closing_line(counts, time.monotonic() - started, target.path))
        click.echo(f"model {model.contract.path}, digest {model.reference().digest}")


def _check_input(path: str) -> None:
    from tf2spark.spark.storage import local_path

    local = local_path(path)
    if local is not None and not any(one in path for one in "*?[{") and not local.exists():
        raise ContractError(f"--input {path}: there is no such file or folder")


def _score_and_write(
    spark: SparkSession,
    model: Any,
    table: DataFrame,
    target: Table,
    arguments: Mapping[str, Any],
    overwrite: bool,
) -> Counts:
    import sys

    from tf2spark.spark.counting import Counter
    from tf2spark.spark.progress import shown_progress
    from tf2spark.spark.storage import write

    drops = arguments["mode"] == "dropmalformed"
    reads = Counter.of(table) if drops else None
    scored = model.score(table if reads is None else reads.table, **arguments)
    reason = arguments["error_column"] or "_error"
    writes = Counter.of(scored, reason if arguments["mode"] == "permissive" else None)
    with shown_progress(spark, "scoring", show=sys.stderr.isatty()):
        write(
            writes.table,
            target.path,
            format=target.format,
            options=target.options,
            overwrite=overwrite,
        )
    failed = writes.not_null() if arguments["mode"] == "permissive" else None
    return Counts(writes.rows(), failed, reads.rows() if reads else None)


def _closing_line(counts: Counts, seconds: float, path: str) -> str:
    rate = counts.written / seconds if seconds > 0 else 0.0
    notes = ""
    if counts.failed:
        notes = f", {counts.failed:,} of them could not be scored"
    elif counts.read is not None and counts.read > counts.written:
        notes = f", {counts.read - counts.written:,} dropped"
    return f"{counts.written:,} rows{notes}, {seconds:.1f} s, {rate:,.0f} rows/s: {path}"
