"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from tf2spark.errors import ContractError

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


def model_options(command: Command) -> Command:
    """Add the options that choose a MetaGraph of a model."""
    for decorate in (
        click.option(
            "--tags", metavar="TAG,TAG", help="The tags of the MetaGraph.  [default: serve]"
        ),
        click.option(
            "--version", type=int, metavar="N", help="The version folder.  [default: the largest]"
        ),
    ):
        command = decorate(command)
    return command


def call_options(command: Command) -> Command:
    """Add the options that choose what of a model runs, and which ops it may run."""
    for decorate in (
        click.option(
            "--allow-op",
            multiple=True,
            metavar="OP",
            help="An op that you vouch for; can be repeated.",
        ),
        click.option(
            "--signature",
            metavar="NAME",
            help="Which signature.  [default: serving_default, or the only one]",
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
        help="What feeds an input; can be repeated.  [default: the column of its name]",
    )(command)


def row_options(command: Command) -> Command:
    """Add the options that say what comes out for a row, and what where it can't be scored."""
    for decorate in (
        click.option(
            "--model-column", metavar="NAME", help="A new column for the digest of the model."
        ),
        click.option(
            "--error-column",
            metavar="NAME",
            help="Where permissive writes the reason.  [default: _error]",
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


overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace an existing output, once the new one is complete."
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


def opened(given: Mapping[str, Any]) -> Any:
    """Open the model that a command was given, by the options of `model_options`."""
    import tf2spark

    return tf2spark.SavedModel(
        given["model"],
        version=given["version"],
        tags=given["tags"].split(",") if given["tags"] else None,
        allow_ops=given["allow_op"],
    )


@contextmanager
def session_for(given: Mapping[str, Any], *paths: str, debug: bool = False) -> Iterator[None]:
    """Run a Spark session where one of these paths is on a file system that needs it."""
    from tf2spark.locations import is_uri, need_pyspark

    if not any(map(is_uri, paths)):
        yield
        return
    need_pyspark()
    from tf2spark.spark.session import running

    with running(given["master"], pairs("--conf", given["conf"]), quiet=not debug):
        yield


def names(text: str | None) -> list[str] | None:
    """Read COL,COL; None stays None."""
    return None if text is None else [one.strip() for one in text.split(",") if one.strip()]


def pairs(option: str, values: Sequence[str]) -> dict[str, str]:
    """Read repeated KEY=VALUE options.

    Raises:
        ContractError: One of them has no ``=``.
    """
    found: dict[str, str] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not (key and equals):
            raise ContractError(f"{option} {value}: write {option} KEY=VALUE")
        found[key] = rest
    return found
