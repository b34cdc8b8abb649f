"""What `recommend`, and `inspect` of its plan, are told of users, items and what ranks them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tf2spark.cli.jobs import Job
from tf2spark.cli.options import Command, Decorator, feed_option, names
from tf2spark.cli.tables import table_options

if TYPE_CHECKING:
    from tf2spark.recommend.prepare import Prepared


def pair_options(*, required: bool) -> Decorator:
    """Return a decorator that adds the options of users, items and what ranks them."""

    def decorate(command: Command) -> Command:
        for add in (
            click.option(
                "--tolerance",
                type=click.FloatRange(min=0),
                metavar="X",
                help="How far scores may be from those of the whole graph; else it runs whole.  "
                "[default: 1e-4]",
            ),
            click.option(
                "--score",
                metavar="OUTPUT",
                help="The output that ranks, where there are several; probs[1] for one entry of "
                "its rows.",
            ),
            feed_option,
            click.option(
                "--item-id",
                default="item_id",
                show_default=True,
                metavar="COL",
                help="The items' id: integers or strings; none null, none twice.",
            ),
            click.option(
                "--user-id",
                default="user_id",
                show_default=True,
                metavar="COL",
                help="The users' id.",
            ),
            table_options("items", "One row an item: its id and features.", required=required),
            table_options("users", "One row a user: its id and features.", required=required),
        ):
            command = add(command)
        return command

    return decorate


def pair_call(given: Mapping[str, Any]) -> tuple[Any, Any]:
    """Read the options of `pair_options` that need no table: what is asked, and the feeds.

    Raises:
        ContractError: One is wrong.
    """
    from tf2spark.cli.feed_text import parse_feed
    from tf2spark.recommend.arguments import TOLERANCE, make_asked

    tolerance = given["tolerance"]
    asked = make_asked(
        given.get("k", 10),
        given["user_id"],
        given["item_id"],
        given.get("exclude"),
        given.get("candidates"),
        names(given.get("keep")),
        given.get("mode", "failfast"),
        given.get("error_column"),
        given.get("model_column"),
        TOLERANCE if tolerance is None else tolerance,
    )
    return asked, parse_feed(given["feed"])


def prepared_of(running: Job, given: Mapping[str, Any], call: tuple[Any, Any]) -> Prepared:
    """Compile the model and compute the catalog, with a progress bar on a terminal."""
    from tf2spark.compile.quiet import silence
    from tf2spark.spark.progress import shown_progress

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    asked, feed = call
    show = sys.stderr.isatty()
    with shown_progress(running.spark, "preparing", "items", show=show), silence():
        prepared: Prepared = running.model.prepared(
            *running.tables, asked, feed, given["score"], given["signature"]
        )
    return prepared
