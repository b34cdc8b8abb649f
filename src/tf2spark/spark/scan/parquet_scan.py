"""Tables whose Parquet files the workers read themselves: which tables, and what each task reads.

Spark decodes Parquet to rows, turns the rows into Arrow and sends them to Python, which takes two
thirds of a job with a small model. A worker that opens the files has Arrow directly. It must give
the same rows, so this is for tables where everything that the rows depend on is known: the plan
(`scan_plan`), the types, the session's settings and, unless the user vouches for them, the files.
Partitions and the order of rows are what they would be with Spark reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from attrs import frozen
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import types as t

from tf2spark.errors import StorageError, first_line
from tf2spark.spark.jvm.access import hadoop_configuration
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.scan_plan import arrow_columns, scan_of
from tf2spark.worker.reading.filters import Filter
from tf2spark.worker.reading.parquet_reader import FileRange, ParquetTask, problem_of
from tf2spark.worker.reading.parquet_types import Calendars

# Settings under which Spark's reader skips files, or sends Python other Arrow types.
_NEEDED_SETTINGS = {
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}
# Delta sets it, also for tables whose columns have none.
_BY_FIELD_ID = "spark.sql.parquet.fieldId.read.enabled"
_FIELD_ID = "parquet.field.id"
_PUSHDOWN = "spark.sql.parquet.filterPushdown"
_ENCRYPTION = "parquet.crypto.factory.class"
# The types that the tests show Spark's reader and pyarrow's to decode alike.
_SAME_TYPES = (
    t.BooleanType, t.ByteType, t.ShortType, t.IntegerType, t.LongType, t.FloatType, t.DoubleType,
    t.StringType, t.BinaryType, t.DateType, t.TimestampType, t.TimestampNTZType, t.DecimalType,
)  # fmt: skip
_DATES_SETTING = "spark.sql.parquet.datetimeRebaseModeInRead"
_INT96_SETTING = "spark.sql.parquet.int96RebaseModeInRead"
_INT96_CONVERSION = "spark.sql.parquet.int96TimestampConversion"
# A worker holds a page of each leaf, about 1 MB: 420 MB for 200 in the benchmark `growth-columns`.
_MAX_LEAVES = 200
# The driver opens this many footers at most: a millisecond each on a disk, more far away, where so
# many are opened at once.
_MAX_FILES = 256
_OPENED_AT_ONCE = 16
# Batches of twice as many rows take 20 MB more in a worker, and no less time.
_BATCH_ROWS = 4096
_SPARK_BATCH_ROWS = 10_000
_BATCH_ROWS_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"


@frozen
class WorkerScan:
    """A table that workers read.

    Attributes:
        tasks: What each task reads, one for each of Spark's own partitions.
        unchanged: The condition that a query would read the very files that the tasks do, see
            `listing`; None where it always would.
    """

    tasks: list[ParquetTask]
    unchanged: Column | None


def plan_scan(
    df: DataFrame,
    model_rows: int,
    *,
    verify: bool,
    names: Sequence[str] | None = None,
    zone: str | None = None,
) -> WorkerScan:
    """Return what workers have to know to read a table's files.

    Args:
        df: The table, with just the columns that are needed. It must not have been planned before:
            a plan keeps the files that it found.
        model_rows: The most rows of one run of the model; a batch has a multiple of it.
        verify: Trust nothing: open every file's footer and compare its columns with the table's.
        names: The columns' names in messages; those of `df` where None.
        zone: The time zone that timestamps have in Arrow; the session's where None.

    Raises:
        NotReadable: The table is more than a scan, or it isn't known whether rows would be equal.
    """
    check_types(df.schema, names or df.columns)
    if verify:
        _check_width(df.schema)
    if is_connect(df):
        raise NotReadable("a Spark Connect session doesn't show its plans")
    if df.isStreaming:
        raise NotReadable("it is a stream, whose new files only Spark keeps track of")
    spark = df.sparkSession
    try:
        check_settings(spark)
        calendars = calendars_of(spark)
        zone = zone or str(spark.conf.get("spark.sql.session.timeZone"))
        scan = scan_of(df, zone, _MAX_FILES if verify else None)
    except NotReadable:
        raise
    except Exception as error:  # plans are no interface: each release may differ
        raise NotReadable(f"its plan can't be examined ({first_line(error)})") from None
    check_types(scan.columns, scan.columns.names)
    check_field_ids(spark, scan.columns)
    columns = arrow_columns(scan.columns.fields, zone)
    rows = batch_rows_of(spark, model_rows)
    as_read = scan.where is None and scan.output == tuple(range(len(columns)))
    output = None if as_read else scan.output
    tasks = [
        ParquetTask(ranges, columns, rows, scan.where, output, calendars, scan.field_ids)
        for ranges in scan.partitions
    ]
    if verify:
        check_tasks(spark, tasks)
    return WorkerScan(tasks, scan.unchanged)


def check_tasks(spark: SparkSession, tasks: Sequence[ParquetTask]) -> None:
    """Refuse tasks of a table, at least one, whose files aren't known to be read as by Spark.

    Raises:
        NotReadable: A file doesn't fit, or can't be read.
    """
    first = tasks[0]
    skips_rows = spark.conf.get(_PUSHDOWN, "true") == "true"
    partitions = [task.ranges for task in tasks]
    where = first.where if skips_rows else None
    check_files(partitions, first.columns, first.calendars, where, first.field_ids)


def calendars_of(spark: SparkSession) -> Calendars:
    # Spark would move timestamps of other writers to the session's zone.
    if spark.conf.get(_INT96_CONVERSION) != "false":
        raise NotReadable(f"{_INT96_CONVERSION} is true")
    # Asked for without a default, because Spark returns a given default instead of its own.
    dates, int96 = spark.conf.get(_DATES_SETTING), spark.conf.get(_INT96_SETTING)
    return Calendars(dates == "CORRECTED", int96 == "CORRECTED")


def check_types(schema: t.StructType, names: Sequence[str]) -> None:
    if not schema.fields:
        raise NotReadable("no column of it is needed")
    for name, field in zip(names, schema.fields, strict=True):
        if not _decodes_alike(field.dataType):
            raise NotReadable(
                f'its column "{name}" is {field.dataType.simpleString()}; only numbers, bools, '
                "strings, binary, dates, timestamps, MLlib's vectors, and arrays, maps and structs "
                "of these are known to be decoded as Spark does"
            )
        # Spark fills a column's default into rows of files that are older than the column.
        if any("DEFAULT" in key for key in field.metadata):
            raise NotReadable(f'its column "{name}" has a default, which is not in the files')


def _decodes_alike(data_type: t.DataType) -> bool:
    if isinstance(data_type, t.ArrayType):
        return _decodes_alike(data_type.elementType)
    if isinstance(data_type, t.MapType):
        return _decodes_alike(data_type.keyType) and _decodes_alike(data_type.valueType)
    if isinstance(data_type, t.StructType):
        fields = data_type.fields
        return bool(fields) and all(_decodes_alike(field.dataType) for field in fields)
    if isinstance(data_type, t.UserDefinedType):
        return _decodes_alike(data_type.sqlType())
    return type(data_type) in _SAME_TYPES


def _check_width(schema: t.StructType) -> None:
    leaves = sum(_count_leaves(field.dataType) for field in schema.fields)
    if leaves > _MAX_LEAVES:
        raise NotReadable(
            f"{leaves:,} columns of it are needed, and more than {_MAX_LEAVES} would take much "
            "memory in a worker"
        )


def _count_leaves(data_type: t.DataType) -> int:
    if isinstance(data_type, t.ArrayType):
        return _count_leaves(data_type.elementType)
    if isinstance(data_type, t.MapType):
        return _count_leaves(data_type.keyType) + _count_leaves(data_type.valueType)
    if isinstance(data_type, t.StructType):
        return sum(_count_leaves(field.dataType) for field in data_type.fields)
    if isinstance(data_type, t.UserDefinedType):
        return _count_leaves(data_type.sqlType())
    return 1


def check_settings(spark: SparkSession) -> None:
    for name, needed in _NEEDED_SETTINGS.items():
        if (value := spark.conf.get(name, needed)) != needed:
            raise NotReadable(f"{name} is {value}")
    if hadoop_configuration(spark).get(_ENCRYPTION):
        raise NotReadable(f"{_ENCRYPTION} is set, so files may be encrypted")


def check_field_ids(spark: SparkSession, columns: t.StructType) -> None:
    """Refuse columns that Spark finds in the files by their ids."""
    if spark.conf.get(_BY_FIELD_ID, "false") == "true" and _FIELD_ID in columns.json():
        raise NotReadable(f"{_BY_FIELD_ID} is true, and its columns have ids")


def check_files(
    partitions: Sequence[tuple[FileRange, ...]],
    columns: pa.Schema,
    calendars: Calendars,
    where: Filter | None = None,
    field_ids: Sequence[int] = (),
) -> None:
    """Refuse files whose own columns aren't the table's: Spark converts some types, we don't."""
    files = {(file.files, file.path): file for ranges in partitions for file in ranges}
    if len(files) > _MAX_FILES:
        raise NotReadable(
            f"it has {len(files):,} files, and the footers of at most {_MAX_FILES} are checked"
        )

    def check(file: FileRange) -> str | None:
        try:
            problem = problem_of(file, columns, calendars, where, field_ids)
        except StorageError as error:
            return f"the driver can't read its files ({error})"
        return f'its file "{file.path}" doesn\'t fit: {problem}' if problem else None

    with ThreadPoolExecutor(min(len(files), _OPENED_AT_ONCE)) as threads:
        problems = list(threads.map(check, files.values()))
    for problem in filter(None, problems):
        raise NotReadable(problem)


def batch_rows_of(spark: SparkSession, model_rows: int) -> int:
    """Return how many rows a batch has: full runs of the model, but no more than Spark's limit."""
    limit = int(spark.conf.get(_BATCH_ROWS_SETTING, str(_SPARK_BATCH_ROWS)) or 0)
    runs = max(1, _BATCH_ROWS // model_rows)
    return min(runs * model_rows, limit if limit > 0 else _SPARK_BATCH_ROWS)
