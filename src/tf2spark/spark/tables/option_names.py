"""Options of Spark's readers and writers that Spark would ignore without a word."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from tf2spark.errors import ContractError, Mistakes, SetupError
from tf2spark.spark.jvm.access import JavaError, jvm, scala_items

# Spark's own lists of the options of a format.
_CLASSES = {
    "csv": "catalyst.csv.CSVOptions",
    "json": "catalyst.json.JSONOptions",
    "xml": "catalyst.xml.XmlOptions",
    "parquet": "execution.datasources.parquet.ParquetOptions",
    "orc": "execution.datasources.orc.OrcOptions",
    "text": "execution.datasources.text.TextOptions",
}
# The options of all files, which are in no list.
_READER_NAMES = (
    "basePath",
    "ignoreCorruptFiles",
    "ignoreMissingFiles",
    "mergeSchema",
    "modifiedAfter",
    "modifiedBefore",
    "pathGlobFilter",
    "recursiveFileLookup",
    "timeZone",
)
_WRITER_NAMES = ("compression", "maxRecordsPerFile", "timeZone")
# What people write as an option of the writer, and Spark has elsewhere.
_ELSEWHERE = {
    "partitionby": "--partition-by COL,COL",
    "partitioncolumns": "--partition-by COL,COL",
    "mode": "--overwrite, --append or --overwrite-partitions",
    "savemode": "--overwrite, --append or --overwrite-partitions",
    "overwrite": "--overwrite",
    "partitionoverwritemode": "--overwrite-partitions",
    "numfiles": "--output-files N",
    "numpartitions": "--output-files N",
    "repartition": "--output-files N",
    "coalesce": "--output-files N",
    "format": "--output-format FORMAT",
    "path": "--output PATH",
}
# What only reading heeds, though it is in the list of the format.
_ONLY_READS = frozenset(
    {
        "columnnameofcorruptrecord",
        "enforceschema",
        "inferschema",
        "mergeschema",
        "multiline",
        "preferdate",
        "samplingratio",
        "singlevariantcolumn",
        "wholetext",
    }
)


def check_writer_options(format: str, options: Mapping[str, str], *, is_files: bool) -> None:
    """Refuse options of a writer that have an option of the command; this needs no session.

    Raises:
        ContractError: There is one.
    """
    mistakes = Mistakes()
    for name in options:
        with mistakes.collected():
            _check_writer_option(format, name, is_files=is_files)
    mistakes.raise_all()


def _check_writer_option(format: str, name: str, *, is_files: bool) -> None:
    instead = _ELSEWHERE.get(name.lower())
    if instead is not None and (is_files or name.lower() != "partitionoverwritemode"):
        raise ContractError(f"--output-option {name} has no effect", f"write {instead}")
    if is_files and name.lower() in ("bucketby", "sortby"):
        raise ContractError(f"--output-option {name} has no effect: no buckets are written")
    if is_files and name.lower() in _ONLY_READS:
        raise ContractError(
            f"--output-option {name} has no effect: {format} heeds it when it is read",
            "leave it out",
        )


def check_options(
    spark: SparkSession, option: str, format: str, options: Mapping[str, str]
) -> None:
    """Refuse options that a format of Spark's doesn't have; those of other formats aren't known.

    Args:
        spark: The session.
        option: The option of the command line: "--input-option".
        format: The format, "csv" for example.
        options: The options of the reader or writer.

    Raises:
        ContractError: There is one.
    """
    known = _known(spark, format)
    if known is None:
        return
    writes = option == "--output-option"
    known += _WRITER_NAMES if writes else _READER_NAMES
    if writes:
        known = [name for name in known if name.lower() not in _ONLY_READS]
    by_lower, mistakes = {name.lower(): name for name in known}, Mistakes()
    for name in options:
        # Hadoop's own settings have dots, and those of a column a "#" or "::".
        if name.lower() in by_lower or any(sign in name for sign in ".#:"):
            continue
        close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
        advice = f'did you mean "{by_lower[close[0]]}"?' if close else None
        problem = f"{option} {name} has no effect: {format} has no such option"
        with mistakes.collected():
            raise ContractError(problem, advice)
    mistakes.raise_all()


def _known(spark: SparkSession, format: str) -> list[str] | None:
    """Return Spark's own list; None where this Spark has none."""
    path = _CLASSES.get(format.lower())
    if path is None:
        return None
    try:
        java_class: Any = jvm(spark)
        for part in f"org.apache.spark.sql.{path}".split("."):
            java_class = getattr(java_class, part)
        return [str(name) for name in scala_items(java_class.getAllOptions().toSeq())]
    except (JavaError, PySparkException, SetupError, TypeError):
        return None
