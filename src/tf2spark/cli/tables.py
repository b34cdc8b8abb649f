"""The tables that commands read and write, and their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from tf2spark.cli.options import Command, Decorator, key_values
from tf2spark.errors import ContractError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What a person means by "a CSV file"; --input-option, --output-option and the like override it.
_READ_DEFAULTS = {"csv": {"header": "true", "inferSchema": "true"}}
_WRITE_DEFAULTS = {"csv": {"header": "true"}}


@frozen
class TableLocation:
    """A table on disk: the option that names it, its path, its format and its options."""

    name: str
    path: str
    format: str
    options: dict[str, str]


def table_options(
    name: str, text: str, *, required: bool = True, writes: bool = False
) -> Decorator:
    """Return a decorator that adds the options of a table: its path, its format and options."""

    def decorate(command: Command) -> Command:
        for add in (
            click.option(
                f"--{name}-option",
                multiple=True,
                metavar="KEY=VALUE",
                help=f"An option of Spark's {'writer' if writes else 'reader'}; can be repeated.",
            ),
            click.option(
                f"--{name}-format",
                default="parquet",
                show_default=True,
                metavar="FORMAT",
                help="parquet, json, csv, orc, or any other format of the Spark session.",
            ),
            click.option(f"--{name}", f"{name}_path", required=required, metavar="PATH", help=text),
        ):
            command = add(command)
        return command

    return decorate


def source_of(params: Mapping[str, Any], name: str) -> TableLocation:
    """Return a table to read, from the options of `table_options`."""
    return _table(params, name, _READ_DEFAULTS)


def target_of(params: Mapping[str, Any]) -> TableLocation:
    """Return the table to write, from ``--output``."""
    return _table(params, "output", _WRITE_DEFAULTS)


def _table(
    params: Mapping[str, Any], name: str, defaults: dict[str, dict[str, str]]
) -> TableLocation:
    table_format = params[f"{name}_format"]
    options = key_values(f"--{name}-option", params[f"{name}_option"])
    options = defaults.get(table_format, {}) | options
    return TableLocation(name, params[f"{name}_path"], table_format, options)


def check_exists(source: TableLocation) -> None:
    """Refuse a local table that doesn't exist; this needs no session.

    Raises:
        ContractError: There is nothing at its path.
    """
    from tf2spark.spark.output.table_writer import local_path

    path = source.path
    local = local_path(path)
    if (
        local is not None
        and not any(wildcard in path for wildcard in "*?[{")
        and not local.exists()
    ):
        raise ContractError(f"--{source.name} {path}: there is no such file or folder")


def read(spark: SparkSession, source: TableLocation) -> DataFrame:
    """Return a table as a DataFrame."""
    return spark.read.format(source.format).options(**source.options).load(source.path)
