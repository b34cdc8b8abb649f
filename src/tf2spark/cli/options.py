"""Options that several commands share, and how their values are parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tf2spark.errors import ContractError
from tf2spark.shown_text import hide_secrets

if TYPE_CHECKING:
    from tf2spark.runnable.model import RunnableModel

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


def number(least: float) -> click.FloatRange:
    """Return the type of an option that is a number of at least so much."""
    kind = click.FloatRange(min=least)
    kind.name = "number"  # click's own messages have "a valid float range"
    return kind


def whole_number(least: int) -> click.IntRange:
    """Return the type of an option that is a whole number of at least so much."""
    kind = click.IntRange(min=least)
    kind.name = "whole number"
    return kind


def model_options(command: Command) -> Command:
    """Add the options that choose a model's version and MetaGraph, and demand its digest."""
    for decorate in (
        click.option(
            "--digest",
            metavar="SHA256",
            help="The digest that the model must have, as inspect prints it; any other is refused.",
        ),
        click.option(
            "--tags",
            metavar="TAG,TAG",
            help="The tags of the MetaGraph.  [default: serve, or the only ones]",
        ),
        click.option(
            "--version", type=int, metavar="N", help="The version folder.  [default: the largest]"
        ),
    ):
        command = decorate(command)
    return command


allow_op_option = click.option(
    "--allow-op", multiple=True, metavar="OP", help="An op that you vouch for; can be repeated."
)
op_library_option = click.option(
    "--op-library",
    multiple=True,
    metavar="NAME",
    help="A library of custom ops that you vouch for, as its native code runs: a Python module "
    "(tensorflow_text) or the path of a .so file; can be repeated.",
)


def call_options(command: Command) -> Command:
    """Add the options that choose which part of a model runs, and which ops it may run."""
    for decorate in (
        allow_op_option,
        op_library_option,
        click.option(
            "--signature",
            metavar="NAME",
            help="The signature to use.  [default: serving_default, or the only one]",
        ),
    ):
        command = decorate(command)
    return command


def feed_option(command: Command) -> Command:
    """Add the option that says what feeds an input."""
    return click.option(
        "--feed",
        multiple=True,
        metavar="INPUT=COLUMN",
        help="What feeds an input; can be repeated.  [default: the column of the same name]",
    )(command)


def row_options(command: Command) -> Command:
    """Add the options about the output columns and about rows that can't be scored."""
    for decorate in (
        click.option(
            "--model-column", metavar="NAME", help="A new column for the digest of the model."
        ),
        click.option(
            "--error-column",
            metavar="NAME",
            help="The column where permissive mode writes the reason.  [default: _error]",
        ),
        click.option(
            "--mode",
            type=click.Choice(["failfast", "permissive", "dropmalformed"]),
            default="failfast",
            show_default=True,
            help="What happens to rows that can't be scored.",
        ),
    ):
        command = decorate(command)
    return command


task_timeout_option = click.option(
    "--task-timeout",
    type=number(least=1),
    metavar="SECONDS",
    help="How long a run of the model may take, or loading it, before Spark tries the task again.  "
    "[default: no limit]",
)


def spark_options(command: Command) -> Command:
    """Add the options that choose where Spark runs and how."""
    for decorate in (
        click.option(
            "--conf", multiple=True, metavar="KEY=VALUE", help="A Spark setting; can be repeated."
        ),
        click.option(
            "--master",
            metavar="URL",
            help="Spark's master.  [default: Spark's own configuration, or local[*]]",
        ),
    ):
        command = decorate(command)
    return command


def open_model(params: Mapping[str, Any]) -> RunnableModel:
    """Open the model of a command with the options of `model_options`."""
    from tf2spark.runnable.model import RunnableModel

    return RunnableModel(
        params["model"],
        version=params["version"],
        tags=params["tags"].split(",") if params["tags"] else None,
        allow_ops=params["allow_op"],
        digest=params["digest"],
        op_libraries=params["op_library"],
    )


@contextmanager
def session_if_needed(
    params: Mapping[str, Any], *paths: str, debug: bool = False
) -> Iterator[None]:
    """Run a Spark session if one of these paths is on a file system that needs one."""
    from tf2spark.locations.optional_imports import need_pyspark
    from tf2spark.locations.paths import needs_spark

    if not any(map(needs_spark, paths)):
        yield
        return
    need_pyspark()
    from tf2spark.spark.session import running

    with running(params["master"], key_values("--conf", params["conf"]), quiet=not debug):
        yield


def column_list(text: str | None) -> list[str] | None:
    """Parse COL,COL; None stays None."""
    if text is None:
        return None
    return [name for name in map(str.strip, text.split(",")) if name]


def key_values(option: str, values: Sequence[str]) -> dict[str, str]:
    """Parse repeated KEY=VALUE options.

    Raises:
        ContractError: One of them has no ``=``, or a name that no setting of Spark has.
    """
    by_key: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not (key and equals):
            # Only the first word: others may be the value, and that a password.
            name = re.split(r"[\s=:]", text, maxsplit=1)[0]
            raise ContractError(f"{option} {name} has no value", f"write {option} KEY=VALUE")
        if option == "--conf" and "." not in key:
            raise ContractError(
                f"--conf {key} has no effect: the names of Spark's settings have dots",
                f"write --conf spark.{key}=VALUE",
            )
        by_key[key] = value
    hide_secrets(by_key)
    return by_key
