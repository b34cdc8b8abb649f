"""`tf2spark recommend`: score every user against every item, and write each user's best items."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tf2spark.cli.catalog import (
    PairCall,
    pair_arguments,
    pair_options,
    pair_request,
    prepare,
)
from tf2spark.cli.dry_run import check_recommendations, dry_run_option, print_recommend
from tf2spark.cli.job_log import log_of, log_option
from tf2spark.cli.jobs import Job, checked_options, open_job, per_second, write_counted
from tf2spark.cli.options import (
    call_options,
    key_values,
    model_options,
    row_options,
    spark_options,
    task_timeout_option,
    whole_number,
)
from tf2spark.cli.report_option import JobReport, feed_pairs, report_option, table_pairs
from tf2spark.cli.tables import existing_source, target_of, target_options
from tf2spark.package.digests import digest_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tf2spark.cli.jobs import Counts
    from tf2spark.recommend.explanation.plan import RecommendPlan
    from tf2spark.recommend.prepare import Prepared
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.spark.output.target import Target

_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
_BATCH_PAIRS = 1 << 23


@click.command(short_help="Find each user's best items: every user against every item.")
@click.argument("model", metavar="MODEL")
@pair_options
@target_options("Where to write the recommendations.")
@click.option(
    "--k",
    type=whole_number(least=1),
    default=10,
    show_default=True,
    metavar="K",
    help="The maximum number of items per user.",
)
@click.option(
    "--exclude", metavar="COL", help="A column of users: lists of item ids never to return."
)
@click.option(
    "--candidates", metavar="COL", help="A column of users: lists of the only item ids to return."
)
@click.option("--keep", metavar="COL,COL", help="Columns of users to keep, besides the id.")
@row_options
@task_timeout_option
@log_option
@report_option
@call_options
@model_options
@spark_options
@dry_run_option(
    "Check everything and print what the job would do and its plan, without scoring or writing a "
    "user."
)
@click.pass_context
def recommend(context: click.Context, /, **params: Any) -> None:
    """Score every user against every item with MODEL, and write each user's best K.

    The output has one row per user: the id, and `recommendations`, a list of (item id, score), best
    first. The result is exact. The graph is split: what depends on the user alone is computed once
    per user, what depends on the item alone once per item. `tf2spark inspect MODEL --users ...
    --items ...` prints the plan.

    \b
    Examples:
      tf2spark recommend models/films --users users --items films --output best
      tf2spark recommend models/films --users users --items films --output best --k 100 \\
        --user-id uid --item-id film --exclude seen --keep country
      tf2spark recommend models/deepfm --users users --items films --output best \\
        --feed feat_ids=user:features.indices,item:features.indices \\
        --feed feat_vals=user:features.values,item:features.values
      tf2spark recommend models/mmoe --users users --items films --output best --score ctr

    \b
    What can feed an input, besides what `score` takes:
      --feed x=user:age            a column of users, if items have one of that name as well
      --feed x=user:a,item:b       columns of both sides, concatenated
    """
    feed, arguments, users, items, target = _checked(params)
    call, log, report = PairCall(arguments, feed), log_of(params), JobReport(params, target)
    debug = bool((context.obj or {}).get("debug"))
    with open_job(params, [users, items], target, debug=debug) as job:
        from tf2spark.recommend.explanation.plan import explain
        from tf2spark.spark.recommend.job import recommend_dataframe

        if params["dry_run"]:
            print_recommend(job, params, call, [users, items], target)
            return
        request = pair_request(job, params, call)
        # Before the catalog is computed, which may take minutes.
        check_recommendations(job, call, request, target)
        started = time.monotonic()
        prepared = prepare(job, params, call, request)
        prepared_seconds = time.monotonic() - started
        plan = explain(prepared, measured=False)
        recommend_users = report.watch(job, lambda rows: recommend_dataframe(rows, prepared))
        counts = _write(job, prepared, recommend_users, target, params)
        seconds = time.monotonic() - started
        report.write(
            job,
            counts,
            log,
            unit="users",
            seconds={"preparing": prepared_seconds, "recommending": seconds - prepared_seconds},
            outputs=["recommendations"],
            tables=table_pairs([users, items], target),
            feed=feed_pairs(request),
            plan=str(plan).splitlines(),
            pairs=(counts.written - (counts.failed or 0)) * prepared.plan.items,
        )
        counts.log_done(log, "users", seconds, target)
        log.summary(
            _closing_line(counts, prepared.plan.items, seconds, target.name),
            *_model_lines(job.model, plan),
        )


def _checked(params: Mapping[str, Any]) -> list[Any]:
    """Return the feed, the arguments, the tables and the output, from options that are right.

    Raises:
        ContractError: There are mistakes, all of which it lists.
    """
    from tf2spark.cli.feed_text import parse_feed
    from tf2spark.runnable.recommend import ranking_request

    score, signature = params["score"], params["signature"]
    return checked_options(
        params,
        [lambda: parse_feed(params["feed"])],
        [
            lambda: pair_arguments(params),
            lambda: existing_source(params, "users"),
            lambda: existing_source(params, "items"),
            lambda: target_of(params),
        ],
        lambda model, feed: ranking_request(model, feed, score, signature),
    )


def _write(
    job: Job,
    prepared: Prepared,
    run: Callable[[DataFrame], DataFrame],
    target: Target,
    params: Mapping[str, Any],
) -> Counts:
    with _small_batches(job.spark, prepared.plan.items, params):
        return write_counted(
            job,
            run,
            target,
            params,
            ("recommending", "users"),
        )


@contextmanager
def _small_batches(spark: SparkSession, items: int, params: Mapping[str, Any]) -> Iterator[None]:
    """Send users in batches that take a few seconds each, so that the progress bar moves."""
    before = str(spark.conf.get(_BATCH))
    if _BATCH not in key_values("--conf", params["conf"]):
        users, limit = max(64, _BATCH_PAIRS // max(1, items)), int(before)
        spark.conf.set(_BATCH, str(min(users, limit) if limit > 0 else users))
    try:
        yield
    finally:
        spark.conf.set(_BATCH, before)


def _closing_line(counts: Counts, items: int, seconds: float, path: str) -> str:
    scored = counts.written - (counts.failed or 0)
    pairs = scored * items
    return (
        f"{counts.written:,} users{counts.note()}, {pairs:,} pairs, {seconds:.1f} s, "
        f"{per_second(pairs, seconds)} pairs/s: {path}"
    )


def _model_lines(model: RunnableModel, plan: RecommendPlan) -> list[str]:
    lines = [
        f"model {model.contract.path}, digest {digest_text(model.digest)}",
        f"with its catalog of {plan.items:,} items, digest {digest_text(plan.digest)}",
    ]
    if plan.why_whole:
        lines.append(f"not split: {plan.why_whole}")
    return lines
