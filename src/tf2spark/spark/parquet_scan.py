"""Whether a DataFrame is nothing but Parquet files that a worker can read by itself; which ones.

Spark decodes Parquet to rows, turns the rows into Arrow and sends them to Python, which takes two
thirds of a job with a small model. A worker that opens the files has Arrow at once. It must give
the same rows, so this is for tables of which everything that decides over their rows is known.
Spark's own plan says which parts of which files are one task: partitions and the order of rows
stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t

from tf2spark.errors import StorageError, first_line
from tf2spark.spark.types import arrow_schema
from tf2spark.worker.parquet_reader import FileRange, ParquetTask, file_schema, misfit

_EXECUTION = "org.apache.spark.sql.execution."
_LOGICAL = {"Project", "Filter", "SubqueryAlias", "View", "LogicalRelation"}
# What a reader may be told without changing how files are decoded: where they are.
_OPTIONS = {
    "path", "paths", "basepath", "pathglobfilter", "recursivefilelookup", "modifiedbefore",
    "modifiedafter", "mergeschema", "inferschema", "header", "compression", "serialization.format",
}  # fmt: skip
_SETTINGS = {
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.parquet.fieldId.read.enabled": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}
_ENCRYPTION = "parquet.crypto.factory.class"
_PLAIN = (
    t.BooleanType, t.ByteType, t.ShortType, t.IntegerType, t.LongType, t.FloatType, t.DoubleType,
    t.StringType, t.BinaryType,
)  # fmt: skip
_MOST_RANGES = 4096
# Each holds a page of its own, of about 1 MB: the benchmark `growth-columns` has 420 MB for 200.
_MOST_LEAVES = 200
# Footers that the driver looks at: about a millisecond each.
_MOST_FILES = 256
# Twice as many take 20 MB more of a worker, and no less time.
_FEW_ROWS = 4096
_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"


class NotReadable(Exception):
    """The worker can't read this table by itself; the text says why, as a clause."""


def tasks_of(df: DataFrame, batch_rows: int, *, look: bool) -> list[ParquetTask]:
    """Return what each task of a scan reads, one for each of Spark's own partitions.

    Args:
        df: The table, of just the columns that are needed.
        batch_rows: The most rows of one run of the model, of which a batch has a multiple.
        look: Take nothing on trust: open every file's footer and see that its columns are what the
            table says, and refuse a catalog's table, which may have other files when the job runs.

    Raises:
        NotReadable: The table is more than a scan, or of a kind that isn't known to come out equal.
    """
    _check_types(df.schema)
    if look:
        _check_width(df.schema)
    if type(df).__module__.startswith("pyspark.sql.connect"):
        raise NotReadable("a Spark Connect session doesn't show its plans")
    _check_settings(df.sparkSession)
    try:
        names, partitions = _scanned(df, look=look)
    except NotReadable:
        raise
    except Exception as error:  # Spark's classes aren't an interface: each release may differ
        raise NotReadable(f"its plan can't be looked at ({first_line(error)})") from None
    kinds = [one.type for one in arrow_schema(df.schema)]
    columns = pa.schema(list(zip(names, kinds, strict=True)))
    if look:
        _check_files(partitions, columns)
    rows = _batch_rows(df.sparkSession, batch_rows)
    return [ParquetTask(ranges, columns, rows) for ranges in partitions]


def _check_types(schema: t.StructType) -> None:
    if not schema.fields:
        raise NotReadable("no column of it is needed")
    for one in schema.fields:
        if not _is_plain(one.dataType):
            raise NotReadable(
                f'its column "{one.name}" is {one.dataType.simpleString()}, and numbers, bools, '
                "strings, binary, MLlib's vectors, arrays and structs of them are known to come "
                "out as Spark reads them"
            )
        if any("DEFAULT" in key for key in one.metadata):
            raise NotReadable(f'its column "{one.name}" has a default, which files don\'t have')


def _check_width(schema: t.StructType) -> None:
    leaves = sum(_leaves(one.dataType) for one in schema.fields)
    if leaves > _MOST_LEAVES:
        raise NotReadable(
            f"{leaves:,} columns of it are needed, and for more than {_MOST_LEAVES} a worker would "
            "take much memory"
        )


def _leaves(kind: t.DataType) -> int:
    if isinstance(kind, t.ArrayType):
        return _leaves(kind.elementType)
    if isinstance(kind, t.StructType):
        return sum(_leaves(one.dataType) for one in kind.fields)
    return _leaves(kind.sqlType()) if isinstance(kind, t.UserDefinedType) else 1


def _is_plain(kind: t.DataType) -> bool:
    if isinstance(kind, t.ArrayType):
        return _is_plain(kind.elementType)
    if isinstance(kind, t.StructType):
        return bool(kind.fields) and all(_is_plain(one.dataType) for one in kind.fields)
    if isinstance(kind, t.UserDefinedType):
        return _is_plain(kind.sqlType())
    return type(kind) in _PLAIN


def _check_settings(spark: SparkSession) -> None:
    for name, needed in _SETTINGS.items():
        if (value := spark.conf.get(name, needed)) != needed:
            raise NotReadable(f"{name} is {value}")
    hadoop: Any = spark._jsparkSession.sessionState().newHadoopConf()
    if hadoop.get(_ENCRYPTION):
        raise NotReadable(f"{_ENCRYPTION} is set, so files may be encrypted")


def _scanned(df: DataFrame, *, look: bool) -> tuple[list[str], list[tuple[FileRange, ...]]]:
    """Return the columns' names in the files and, for each task, what it reads."""
    query: Any = df._jdf.queryExecution()
    # First what is there already: making a physical plan for a large query takes a while.
    _check_logical(query.analyzed())
    plan = query.sparkPlan()
    scan = _scan_below(plan)
    relation = scan.relation()
    _check_relation(relation)
    if look and scan.tableIdentifier().isDefined():
        raise NotReadable(
            "it is a table of the catalog, and may have other files when the job runs"
        )
    if scan.bucketedScan():
        raise NotReadable("it is read by buckets")
    if not scan.fileConstantMetadataColumns().isEmpty():
        raise NotReadable("it has columns of files' metadata")
    names = _file_names(plan, set(relation.partitionSchema().fieldNames()))
    return names, _partitions(scan.inputRDD())


def _check_logical(plan: Any) -> None:
    name = plan.getClass().getSimpleName()
    if name not in _LOGICAL:
        raise NotReadable(f"it is more than Parquet files and a choice of columns ({name})")
    for child in _each(plan.children()):
        _check_logical(child)


def _scan_below(plan: Any) -> Any:
    while plan.getClass().getName() == f"{_EXECUTION}ProjectExec":
        plan = plan.child()
    name = plan.getClass().getName()
    if name != f"{_EXECUTION}FileSourceScanExec":
        short = name.rpartition(".")[2].removesuffix("Exec")
        raise NotReadable(f"it is more than Parquet files and a choice of columns ({short})")
    return plan


def _check_relation(relation: Any) -> None:
    kind = relation.fileFormat().getClass().getName()
    # The very class: Delta's, which knows of deleted rows, is one below it.
    if kind != f"{_EXECUTION}datasources.parquet.ParquetFileFormat":
        raise NotReadable(f"its files are read by {kind.rpartition('.')[2]}")
    for option in _each(relation.options().keys().toSeq()):
        if str(option).lower() not in _OPTIONS:
            raise NotReadable(f'it is read with the option "{option}"')


def _file_names(plan: Any, in_folders: set[str]) -> list[str]:
    """Return the names that the columns of a plan have in the files."""
    by_id = {}
    for one in _each(_scan_below(plan).output()):
        by_id[one.exprId().id()] = one.name()
    names = [by_id.get(number) for number in _ids(plan)]
    for name in names:
        if name is None or name in in_folders:
            raise NotReadable(f'"{name}" is a column of its folders, not of its files')
    return [str(name) for name in names]


def _ids(plan: Any) -> list[int]:
    """Return which of the scan's columns each column of a plan is, by the ids of expressions."""
    if plan.getClass().getName() != f"{_EXECUTION}ProjectExec":
        return [one.exprId().id() for one in _each(plan.output())]
    below = plan.child()
    given = [one.exprId().id() for one in _each(below.output())]
    source = dict(zip(given, _ids(below), strict=True))
    return [source[_attribute(one).exprId().id()] for one in _each(plan.projectList())]


def _attribute(expression: Any) -> Any:
    bare = expression
    if bare.getClass().getSimpleName() == "Alias":
        bare = bare.child()
    if bare.getClass().getSimpleName() != "AttributeReference":
        raise NotReadable(f"it has a computed column ({expression.sql()})")
    return bare


def _partitions(rdd: Any) -> list[tuple[FileRange, ...]]:
    partitions, count = [], 0
    for partition in _each(rdd.filePartitions()):
        files = list(partition.files())
        count += len(files)
        if count > _MOST_RANGES:
            raise NotReadable(f"it has more than {_MOST_RANGES:,} parts of files")
        partitions.append(tuple(FileRange(_local(one), one.start(), one.length()) for one in files))
    if not count:
        raise NotReadable("it has no files")
    return partitions


def _local(file: Any) -> str:
    url = urlsplit(file.urlEncodedPath())
    if url.scheme != "file" or url.netloc:
        raise NotReadable(f'its files are on "{url.scheme}:", and the worker reads "file:"')
    return unquote(url.path)


def _check_files(partitions: list[tuple[FileRange, ...]], columns: pa.Schema) -> None:
    paths = list(dict.fromkeys(one.path for ranges in partitions for one in ranges))
    if len(paths) > _MOST_FILES:
        raise NotReadable(
            f"it has {len(paths):,} files, and the footers of {_MOST_FILES} at most are looked at"
        )
    for path in paths:
        try:
            problem = misfit(file_schema(path), columns)
        except StorageError as error:
            raise NotReadable(f"the driver can't look at its files ({error})") from None
        if problem:
            raise NotReadable(f'of its file "{path}": {problem}')


def _batch_rows(spark: SparkSession, model_rows: int) -> int:
    """Return how many rows a batch has: full runs of the model, and no more than Spark's own."""
    asked = int(spark.conf.get(_ROWS, "10000") or 0)
    runs = max(1, _FEW_ROWS // model_rows)
    return min(runs * model_rows, asked if asked > 0 else 10_000)


def _each(sequence: Any) -> Iterator[Any]:
    """Iterate over a sequence of Scala's."""
    return (sequence.apply(place) for place in range(sequence.size()))
