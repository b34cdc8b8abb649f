"""The options about users, items and scores that `recommend` and `inspect` share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from tf2spark.cli.job_log import log_of
from tf2spark.cli.jobs import Job
from tf2spark.cli.options import Command, column_list, feed_option, number
from tf2spark.cli.tables import source_options

if TYPE_CHECKING:
    from tf2spark.binding.request import Request
    from tf2spark.recommend.arguments import RecommendArguments
    from tf2spark.recommend.prepare import Prepared


@frozen
class PairCall:
    """The arguments of a call of `recommend`, except for the tables.

    Attributes:
        arguments: What `recommend` returns, and for whom.
        feed: What feeds which input.
    """

    arguments: RecommendArguments
    feed: Mapping[str, Any] | None


def pair_options(command: Command) -> Command:
    """Add the options about users, items and the score."""
    for add in (
        click.option(
            "--tolerance",
            type=number(least=0),
            metavar="X",
            help="How far scores may differ from those of the whole graph; if they differ "
            "more, it runs unsplit.  [default: 1e-4]",
        ),
        click.option(
            "--score",
            metavar="OUTPUT",
            help="The output to rank by, if there are several; probs[1] for one entry of each row.",
        ),
        feed_option,
        click.option(
            "--item-id",
            default="item_id",
            show_default=True,
            metavar="COL",
            help="The items' id column: integers or strings, without nulls or duplicates.",
        ),
        click.option(
            "--user-id",
            default="user_id",
            show_default=True,
            metavar="COL",
            help="The users' id column.",
        ),
        source_options("items", "One row per item: its id and features."),
        source_options("users", "One row per user: its id and features."),
    ):
        command = add(command)
    return command


def pair_call(params: Mapping[str, Any]) -> PairCall:
    """Parse the options of `pair_options` that can be checked without a table.

    Raises:
        ContractError: An option is wrong.
    """
    from tf2spark.cli.feed_text import parse_feed

    return PairCall(pair_arguments(params), parse_feed(params["feed"]))


def pair_arguments(params: Mapping[str, Any]) -> RecommendArguments:
    """Check the options of `pair_options` about what is returned, and for whom.

    Raises:
        ContractError: An option is wrong.
    """
    from tf2spark.recommend.arguments import make_arguments

    return make_arguments(*_given(params))


def pair_request(job: Job, params: Mapping[str, Any], call: PairCall) -> Request:
    """Return the request of a call of `recommend`.

    Raises:
        ContractError: The names of inputs and outputs are wrong; it lists the mistakes in the
            tables as well.
    """
    from tf2spark.recommend.table_checks import check_call
    from tf2spark.runnable.recommend import ranking_request
    from tf2spark.spark.recommend.tables import SparkTables

    score, signature = params["score"], params["signature"]
    make_request = partial(ranking_request, job.model, call.feed, score, signature)
    request, _ = check_call(_given(params), make_request, lambda *_: SparkTables(*job.tables))
    return request


def _given(params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments of `make_arguments`."""
    from tf2spark.recommend.arguments import TOLERANCE

    tolerance = params["tolerance"]
    return (
        params.get("k", 10),
        params["user_id"],
        params["item_id"],
        params.get("exclude"),
        params.get("candidates"),
        column_list(params.get("keep")),
        params.get("mode", "failfast"),
        params.get("error_column"),
        params.get("model_column"),
        TOLERANCE if tolerance is None else tolerance,
        "command_line",
        params.get("task_timeout"),
    )


def prepare(job: Job, params: Mapping[str, Any], call: PairCall, request: Request) -> Prepared:
    """Compile the model and compute the catalog, while the log shows how far that is."""
    from tf2spark.compile.quiet import silence
    from tf2spark.runnable.recommend import prepare as prepare_call

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    users, items = job.tables
    score, signature = params["score"], params["signature"]
    with log_of(params).progress(job.spark, "preparing", "items"), silence():
        return prepare_call(job.model, users, items, request, call.arguments, score, signature)
