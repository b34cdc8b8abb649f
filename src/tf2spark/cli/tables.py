"""The tables that commands read and write, and their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from tf2spark.cli.options import Command, Decorator, column_list, key_values, whole_number
from tf2spark.errors import ContractError
from tf2spark.spark.output.target import SaveMode, Target

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What a person means by "a CSV file"; --input-option, --output-option and the like override it.
_READ_DEFAULTS = {"csv": {"header": "true", "inferSchema": "true"}}
_WRITE_DEFAULTS = {"csv": {"header": "true"}}
_FORMATS = {
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "orc": "orc",
    "avro": "avro",
    "tfrecord": "tfrecord",
    "tfrecords": "tfrecord",
}
_COMPRESSED = (".gz", ".bz2", ".zst", ".xz")
# The formats of which an output that ends in .gz is compressed.
_GZIPPED = frozenset({"csv", "json", "text", "tfrecord"})
_FORMAT_HELP = "parquet, json, csv, orc, text, tfrecord, or any other format of the Spark session."
_BY_ENDING = "  [default: by the path's ending, or parquet]"

_MEANINGS = {
    "input": "the table to score",
    "users": "the table of users",
    "items": "the table of items",
    "output": "the table to write",
}

MODE_FLAGS: dict[str, SaveMode] = {
    "overwrite": "overwrite",
    "append": "append",
    "overwrite_partitions": "overwrite_partitions",
}
"""The flags that say what happens to rows that are at the output already."""


@frozen
class Source:
    """A table to read: files at a path, a table of the catalog, or the rows of a query.

    Attributes:
        name: The option that names it, without dashes: "input", "users" or "items".
        path: Where the files are; None for a table or a query.
        table: The name of a table or view in the catalog.
        sql: A query.
        where: A condition in SQL that the rows must meet; None for all rows.
        format: The format of files.
        options: Options of Spark's reader.
    """

    name: str
    path: str | None
    table: str | None
    sql: str | None
    where: str | None
    format: str
    options: Mapping[str, str]

    @property
    def value(self) -> str:
        """The path, the name of the table, or the query."""
        return self.path or self.table or self.sql or ""

    @property
    def text(self) -> str:
        """The option and its value, as messages name the table."""
        if self.path is not None:
            return f"--{self.name} {self.path}"
        if self.table is not None:
            return f"--{self.name}-table {self.table}"
        return f"--{self.name}-sql"

    @property
    def where_option(self) -> str:
        return where_option(self.name)


def where_option(name: str) -> str:
    """Return the option with the condition for a table's rows."""
    return "--where" if name == "input" else f"--{name}-where"


def source_options(name: str, text: str) -> Decorator:
    """Return a decorator that adds the options of a table to read."""

    def decorate(command: Command) -> Command:
        for add in (
            click.option(
                f"--{name}-option",
                multiple=True,
                metavar="KEY=VALUE",
                help="An option of Spark's reader; can be repeated.  [default for csv: header=true "
                "and inferSchema=true]",
            ),
            click.option(f"--{name}-format", metavar="FORMAT", help=_FORMAT_HELP + _BY_ENDING),
            click.option(
                where_option(name),
                f"{name}_where",
                metavar="EXPR",
                help="A condition in SQL: only rows that meet it are read.",
            ),
            click.option(f"--{name}-sql", metavar="QUERY", help="Or the rows of a query."),
            click.option(
                f"--{name}-table", metavar="NAME", help="Or a table or view of Spark's catalog."
            ),
            click.option(f"--{name}", f"{name}_path", metavar="PATH", help=f"{text} A path."),
        ):
            command = add(command)
        return command

    return decorate


def target_options(text: str) -> Decorator:
    """Return a decorator that adds the options of the table to write."""

    def decorate(command: Command) -> Command:
        for add in (
            click.option(
                "--output-files",
                type=whole_number(least=1),
                metavar="N",
                help="The number of files to write, for each partition if there are any.  "
                "[default: one per task]",
            ),
            click.option(
                "--partition-by",
                metavar="COL,COL",
                help="Columns whose values become folders (dt=2026-11-28), or partitions of a new "
                "table.",
            ),
            click.option(
                "--overwrite-partitions",
                is_flag=True,
                help="Replace the partitions that are written, and keep all others.",
            ),
            click.option("--append", is_flag=True, help="Add the rows to those that are there."),
            click.option(
                "--overwrite",
                is_flag=True,
                help="Replace an existing output once the new one is complete, all partitions.",
            ),
            click.option(
                "--output-option",
                multiple=True,
                metavar="KEY=VALUE",
                help="An option of Spark's writer; can be repeated.  [default for csv: "
                "header=true]",
            ),
            click.option(
                "--output-format",
                metavar="FORMAT",
                help=f"{_FORMAT_HELP}  [default: by the path's ending, that of the table, or "
                "parquet]",
            ),
            click.option("--output-table", metavar="NAME", help="Or a table of Spark's catalog."),
            click.option("--output", "output_path", metavar="PATH", help=f"{text} A path."),
        ):
            command = add(command)
        return command

    return decorate


def is_named(params: Mapping[str, Any], name: str) -> bool:
    """Say whether a table to read is named, by its path, its name or a query."""
    return any(params[f"{name}_{kind}"] is not None for kind in ("path", "table", "sql"))


def source_of(params: Mapping[str, Any], name: str) -> Source:
    """Return a table to read, from the options of `source_options`.

    Raises:
        ContractError: It is named by none of the options or by several, or an option has no effect.
    """
    options = {f"--{name}": "path", f"--{name}-table": "table", f"--{name}-sql": "sql"}
    _check_named_once(params, name, options, ("PATH", "NAME", "QUERY"))
    path = params[f"{name}_path"]
    if path is None:
        _check_no_format(params, name)
    reader_format = params[f"{name}_format"] or _format_of(path or "")
    reader_options = key_values(f"--{name}-option", params[f"{name}_option"])
    return Source(
        name,
        path,
        params[f"{name}_table"],
        params[f"{name}_sql"],
        params[f"{name}_where"],
        reader_format,
        _READ_DEFAULTS.get(reader_format.lower(), {}) | reader_options,
    )


def _check_no_format(params: Mapping[str, Any], name: str) -> None:
    for option in ("format", "option"):
        if params[f"{name}_{option}"]:
            raise ContractError(
                f"--{name}-{option} is for files, and has no effect on a table or a query",
                f"leave it out, or write --{name} PATH",
            )


def target_of(params: Mapping[str, Any]) -> Target:
    """Return the table to write, from the options of `target_options`.

    Raises:
        ContractError: It is named by none of the options or by both, or an option has no effect.
    """
    options = {"--output": "path", "--output-table": "table"}
    _check_named_once(params, "output", options, ("PATH", "NAME"))
    path, table = params["output_path"], params["output_table"]
    chosen = [flag for flag in MODE_FLAGS if params[flag]]
    if len(chosen) > 1:
        flags = " and ".join(f"--{flag.replace('_', '-')}" for flag in chosen)
        raise ContractError(f"{flags} exclude each other", "write one of them")
    writer_options = key_values("--output-option", params["output_option"])
    writer_format = params["output_format"] or (None if path is None else _format_of(path))
    lowered = (writer_format or "").lower()
    defaults = _WRITE_DEFAULTS.get(lowered, {})
    if lowered in _GZIPPED and path and path.rstrip("/").endswith(".gz"):
        has_option = any(key.lower() in ("compression", "codec") for key in writer_options)
        defaults = defaults if has_option else defaults | {"compression": "gzip"}
    return Target(
        path,
        table,
        writer_format,
        defaults | writer_options,
        MODE_FLAGS[chosen[0]] if chosen else "error",
        tuple(column_list(params["partition_by"]) or ()),
        params["output_files"],
    )


def _check_named_once(
    params: Mapping[str, Any], name: str, options: Mapping[str, str], values: tuple[str, ...]
) -> None:
    for option, kind in options.items():
        if params[f"{name}_{kind}"] == "":
            raise ContractError(f"{option} is empty")
        if "\0" in (params[f"{name}_{kind}"] or ""):
            raise ContractError(f"{option} has a NUL character, which no name may have")
    named = [option for option, kind in options.items() if params[f"{name}_{kind}"] is not None]
    if len(named) > 1:
        raise ContractError(f"{' and '.join(named)} exclude each other", "write one of them")
    if not named:
        ways = [f"{option} {value}" for option, value in zip(options, values, strict=True)]
        raise ContractError(
            f"{_MEANINGS[name]} is missing", f"write {', '.join(ways[:-1])} or {ways[-1]}"
        )


def _format_of(path: str) -> str:
    """Return the format that the ending of a path names, or "parquet"."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return _FORMATS.get(name.rpartition(".")[2] if "." in name else "", "parquet")


def check_exists(source: Source) -> None:
    """Refuse a local path at which there is nothing; this needs no session.

    Raises:
        ContractError: There is nothing at the path.
    """
    from tf2spark.spark.output.table_writer import local_path

    path = source.path
    local = None if path is None else local_path(path)
    if (
        path is not None
        and local is not None
        and not any(wildcard in path for wildcard in "*?[{")
        and not local.exists()
    ):
        raise ContractError(f"{source.text}: there is no such file or folder")


def existing_source(params: Mapping[str, Any], name: str) -> Source:
    """Return a table to read, as `source_of` does, if there is something at a local path.

    Raises:
        ContractError: There isn't, or its options are wrong.
    """
    source = source_of(params, name)
    check_exists(source)
    return source


def read(spark: SparkSession, source: Source) -> DataFrame:
    """Return a table as a DataFrame.

    Raises:
        ContractError: The table, the query or the condition is wrong.
    """
    from tf2spark.spark.tables.read import read_source

    return read_source(
        spark,
        source.text,
        path=source.path,
        table=source.table,
        sql=source.sql,
        format=source.format,
        options=source.options,
        where=source.where,
        where_option=source.where_option,
    )
