"""What ``--dry-run`` prints: everything that a job is bound to, and the plan of `recommend`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tf2spark.cli.catalog import pair_request, prepare
from tf2spark.cli.options import Command
from tf2spark.package.digests import digest_text
from tf2spark.shown_text import Lines

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tf2spark.binding.request import Request
    from tf2spark.cli.catalog import PairCall
    from tf2spark.cli.jobs import Job
    from tf2spark.cli.tables import Source
    from tf2spark.spark.output.target import Target

_MODES = {
    "error": "must not exist yet",
    "overwrite": "all rows there are replaced",
    "append": "rows there are kept",
    "overwrite_partitions": "the partitions that are written are replaced",
}
Line = tuple[str, str]


def dry_run_option(help_text: str) -> Callable[[Command], Command]:
    """Return what adds the option that prints what a job would do."""
    return click.option("--dry-run", is_flag=True, help=help_text)


def print_score(
    job: Job,
    request: Request,
    score: Callable[[DataFrame], DataFrame],
    sources: Sequence[Source],
    target: Target,
) -> None:
    """Print what `tf2spark score` would do.

    Raises:
        ContractError: The rows lack a partition column.
        OutputError: The rows don't fit the output.
    """
    from tf2spark.spark.output.write import check

    with _collected("tf2spark.read") as messages:
        result = score(job.tables[0])
    check(result, target)
    lines = [("reader", message) for message in messages] + [("columns", _columns(result))]
    _print(job, [*_tables(job, sources), *_feeds(request), *lines], target)
    click.echo("dry run: no row was read, and nothing was written")


def print_recommend(
    job: Job, params: Mapping[str, Any], call: PairCall, sources: Sequence[Source], target: Target
) -> None:
    """Print what `tf2spark recommend` would do, and its plan, for which it computes the items.

    Raises:
        ContractError: The tables, the model and the options don't fit.
        OutputError: The rows don't fit the output.
        RowError: An item can't be scored.
    """
    from tf2spark.recommend.explanation.plan import explain

    request = pair_request(job, params, call)
    result = check_recommendations(job, call, request, target)
    plan = explain(prepare(job, params, call, request))
    (ranking,) = request.outputs
    best = f"{ranking.output.name}, each user's best {params['k']:,}"
    lines = [("rank by", best), ("columns", _columns(result))]
    _print(job, [*_tables(job, sources), *_feeds(request), *lines], target)
    click.echo(f"\n{plan}\n")
    click.echo("dry run: items and the first users were read, and nothing was written")


def check_recommendations(job: Job, call: PairCall, request: Request, target: Target) -> DataFrame:
    """Check the tables and the output of `tf2spark recommend`; return a result without rows.

    Raises:
        ContractError: The tables, the model and the options don't fit.
        OutputError: The rows don't fit the output.
    """
    from tf2spark.recommend.table_checks import checked_sides
    from tf2spark.spark.output.write import check
    from tf2spark.spark.recommend.job import recommended_schema
    from tf2spark.spark.recommend.tables import SparkTables

    tables = SparkTables(*job.tables)
    checked_sides(request, call.arguments, tables)
    (ranking,) = request.outputs
    schema = recommended_schema(tables, call.arguments, ranking.spec.dtype)
    result = job.spark.createDataFrame([], schema)
    check(result, target)
    return result


@contextmanager
def _collected(name: str) -> Iterator[list[str]]:
    """Collect what is logged under a name, whatever the levels are."""
    logger, messages = logging.getLogger(name), list[str]()
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield messages
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _tables(job: Job, sources: Sequence[Source]) -> Iterator[Line]:
    for source, table in zip(sources, job.tables, strict=True):
        where = f" where {source.where}" if source.where else ""
        yield source.name, f"{source.value}{where}: {_columns(table)}"


def _columns(table: DataFrame) -> str:
    return ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in table.schema)


def _feeds(request: Request) -> Iterator[Line]:
    for fed in request.inputs:
        yield "feed", f"{fed.spec.name} = {fed.feed}"


def _print(job: Job, lines: Iterable[Line], target: Target) -> None:
    model, spark = job.model, job.spark
    shown = [
        ("model", f"{model.contract.path}, digest {digest_text(model.digest)}"),
        *lines,
        ("output", _output(target)),
        ("spark", f"{spark.version}, {spark.sparkContext.master}"),
    ]
    click.echo(Lines.of([f"{name:<8} {text}" for name, text in shown]))


def _output(target: Target) -> str:
    parts = [target.name]
    if target.path is not None or target.format is not None:
        parts.append(target.path_format)
    if target.partition_by:
        parts.append(f"partitioned by {', '.join(target.partition_by)}")
    if target.files is not None:
        parts.append(f"{target.files:,} files")
    return ", ".join([*parts, _MODES[target.mode]])
