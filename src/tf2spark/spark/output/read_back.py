"""Reads what a job has written once more, for the statistics of its report.

The alternatives cost more or say less. Spark's `observe` runs within the job, but has no groups, no
samples and no frequent values, and its quantiles take longer than reading a column again. Scoring
twice is out of the question. So the outputs alone are read from the files, in one pass, and each
task sends back a summary of bounded size.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

from attrs import frozen
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    DateType,
    IntegralType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from tf2spark.errors import first_line
from tf2spark.spark.score import column, map_in_arrow
from tf2spark.worker.spark_tasks import column_names
from tf2spark.worker.statistics.task import (
    OutputStatistics,
    StatisticsPlan,
    kind_of_reason,
    merged,
    statistics_of_partition,
)

MAX_OUTPUTS = 40
_SAMPLED, _SAMPLE_ROWS, _SAMPLE_COLUMNS, _SAMPLE_LENGTH = 200, 10, 12, 120
# Names that say that a column of text is a date.
_DATE_NAMES = ("dt", "ds", "date", "day", "event_date", "month")


@frozen(kw_only=True)
class Written:
    """What to read again.

    Attributes:
        path: Where the files are; None for a table of the catalog.
        table: The name of a table; None for files.
        format: The format of the files.
        options: The options that they were written with.
        schema: The columns of the rows that were written.
        outputs: The names of those that the model computed.
        error_column: The column with the reasons why rows have no scores; None if there is none.
        partition_by: The columns whose values are folders.
        older_files: The names of files that were there before; their rows aren't the job's.
    """

    path: str | None
    table: str | None
    format: str
    options: Mapping[str, str]
    schema: StructType
    outputs: Sequence[str]
    error_column: str | None = None
    partition_by: Sequence[str] = ()
    older_files: frozenset[str] = frozenset()


@frozen(kw_only=True)
class ReadBack:
    """What reading again has found.

    Attributes:
        statistics: Those of the outputs; None if they can't be read.
        why_none: Why there are none.
        group_column: The column by which rows are grouped.
        refused_rows: Some rows without scores, as texts by column.
        seconds: How long it took.
    """

    statistics: OutputStatistics | None = None
    why_none: str = ""
    group_column: str | None = None
    refused_rows: Sequence[Mapping[str, str]] = ()
    seconds: float = 0.0


def read_back(spark: SparkSession, written: Written) -> ReadBack:
    """Return the statistics of what a job has written; never raises, as the job has succeeded."""
    started = time.monotonic()
    group = group_column(written)
    try:
        rows = _rows(spark, written)
        statistics = _statistics(rows, written, group)
        samples = _refused_rows(rows, written) if statistics.refused else []
    except Exception as error:
        return ReadBack(why_none=f"No statistics: the output can't be read ({first_line(error)})")
    return ReadBack(
        statistics=statistics,
        group_column=group,
        refused_rows=samples,
        seconds=time.monotonic() - started,
    )


def file_names(table: DataFrame) -> frozenset[str]:
    """Return the names of the files behind a table; Spark gives each write names of its own."""
    return frozenset(PurePosixPath(unquote(path)).name for path in table.inputFiles())


def group_column(written: Written) -> str | None:
    """Choose the column by which rows are grouped: a date, a time, or else a partition."""
    fields = {field.name: field.dataType for field in written.schema}
    kept = [name for name in fields if name not in {*written.outputs, written.error_column}]
    partitions = [name for name in written.partition_by if name in fields]
    dates, times = (DateType,), (TimestampType, TimestampNTZType)
    for names, types in ((partitions, dates + times), (kept, dates), (kept, times)):
        of_type = [name for name in names if isinstance(fields[name], types)]
        if of_type:
            return of_type[0]
    groupable = (StringType, IntegralType)
    named = [name for name in kept if name.lower() in _DATE_NAMES]
    candidates = [name for name in [*partitions, *named] if isinstance(fields[name], groupable)]
    return candidates[0] if candidates else None


def _rows(spark: SparkSession, written: Written) -> DataFrame:
    if written.table is not None:
        rows = spark.table(written.table)
    else:
        # With the schema of what was written, text formats need not guess types.
        reader = spark.read.format(written.format).options(**dict(written.options))
        rows = reader.schema(written.schema).load(written.path)
    if written.older_files:
        new = file_names(rows) - written.older_files
        rows = rows.where(F.col("_metadata.file_name").isin(sorted(new)))
    return rows


def _statistics(rows: DataFrame, written: Written, group: str | None) -> OutputStatistics:
    extra = [name for name in (written.error_column, group) if name is not None]
    names = [*written.outputs, *extra]
    travel_names = column_names(len(names))
    selected = rows.select(
        *(column(name).alias(travel) for name, travel in zip(names, travel_names, strict=True))
    )
    # No more summaries than cores, because the driver gets them all.
    tasks = max(1, rows.sparkSession.sparkContext.defaultParallelism)
    plan = StatisticsPlan(len(written.outputs), written.error_column is not None, group is not None)
    parts = map_in_arrow(
        selected.coalesce(tasks),
        statistics_of_partition(plan),
        [StructField("statistics", BinaryType())],
    ).collect()
    return merged([bytes(part[0]) for part in parts], len(written.outputs))


def _refused_rows(rows: DataFrame, written: Written) -> list[dict[str, str]]:
    """Return some rows without scores, of different reasons if there are several."""
    assert written.error_column is not None
    kept = [name for name in rows.columns if name not in {*written.outputs, written.error_column}]
    names = [*kept[: _SAMPLE_COLUMNS - 1], written.error_column]
    reason = column(written.error_column)
    sampled = rows.where(reason.isNotNull()).select(*map(column, names)).limit(_SAMPLED).collect()
    by_reason: dict[str, list[dict[str, str]]] = {}
    for row in sampled:
        texts = {name: _text(value) for name, value in zip(names, row, strict=True)}
        by_reason.setdefault(kind_of_reason(texts[written.error_column]), []).append(texts)
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*by_reason.values()))
    return [texts for texts in in_turn if texts is not None][:_SAMPLE_ROWS]


def _text(value: object) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= _SAMPLE_LENGTH else f"{text[:_SAMPLE_LENGTH]}…"
