"""Iceberg's tables, as far as their files hold exactly the rows that a query reads.

Iceberg plans a scan itself: its tasks name the ranges of files, and what was deleted from them. It
finds columns by numbers, not by names, so a file's columns must have the numbers of the table's
under the same names: a column that was renamed, or dropped and added again, is left to Spark.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import SplitResult

import pyspark
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from tf2spark.spark.jvm.access import (
    hadoop_configuration,
    hadoop_path,
    jvm,
    scala_items,
    session_state,
)
from tf2spark.spark.jvm.catalyst import invoke, object_literal, text_bytes, type_object
from tf2spark.spark.jvm.expressions import catalyst_column
from tf2spark.spark.scan.answers import check_rules, is_answer
from tf2spark.spark.scan.file_systems import FileSystems
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.worker.reading.filters import AllOf, AnyOf, Comparison, Filter, Not
from tf2spark.worker.reading.parquet_reader import FileRange

TABLE = "org.apache.iceberg.spark.source.SparkTable"
_SCAN = "org.apache.iceberg.spark.source.SparkBatchQueryScan"
_BASE_TABLE = "org.apache.iceberg.BaseTable"
_FILE_IO = "org.apache.iceberg.hadoop.HadoopFileIO"
# Later releases of Spark may ask the catalog for the table again when they plan a query.
_SPARK = "3.5."
# The third version has default values, vectors of deletions and other types.
_NEWEST_FORMAT = 2
_BRANCH_SETTINGS = ("spark.wap.id", "spark.wap.branch")
_MAX_FILES = 1024


def check_iceberg(spark: SparkSession, relation: Any, scan: Any) -> None:
    """Refuse a scan whose rows aren't just those of its files.

    Args:
        spark: The session.
        relation: The `DataSourceV2Relation` of the analyzed plan, whose table is Iceberg's.
        scan: The `BatchScanExec`.

    Raises:
        NotReadable: It reads something else than the current rows of a table, or by keys that
            workers don't know.
    """
    if not pyspark.__version__.startswith(_SPARK):
        raise NotReadable(f"Iceberg's tables are read by Spark {pyspark.__version__} itself")
    kind = scan.scan().getClass().getName()
    if kind != _SCAN:
        raise NotReadable(f"it is read by Iceberg's {kind.rpartition('.')[2]}")
    table = relation.table()
    if table.snapshotId() is not None or table.branch() is not None:
        raise NotReadable("it is a snapshot or a branch of an Iceberg table")
    if len(relation.options()):
        raise NotReadable(f"it is read with the options {', '.join(relation.options())}")
    if any(spark.conf.get(name, None) for name in _BRANCH_SETTINGS):
        raise NotReadable(f"{' or '.join(_BRANCH_SETTINGS)} is set")
    of_iceberg = table.table()
    if of_iceberg.getClass().getName() != _BASE_TABLE:
        raise NotReadable(f"it is Iceberg's {of_iceberg.getClass().getSimpleName()}")
    version = of_iceberg.operations().current().formatVersion()
    if version > _NEWEST_FORMAT:
        raise NotReadable(f"it is an Iceberg table of format version {version}")
    if of_iceberg.io().getClass().getName() != _FILE_IO:
        raise NotReadable(f"its files are read by {of_iceberg.io().getClass().getSimpleName()}")
    _check_settings_of_catalog(spark, relation)


def _check_settings_of_catalog(spark: SparkSession, relation: Any) -> None:
    """Refuse a catalog with settings of Hadoop of its own, which may lead to other files."""
    if not relation.catalog().isDefined():
        raise NotReadable("it is an Iceberg table without a catalog")
    prefix = f"spark.sql.catalog.{relation.catalog().get().name()}.hadoop."
    names = str(session_state(spark).conf().getAllConfs().keys().mkString("\n")).split("\n")
    if any(name.startswith(prefix) for name in names):
        raise NotReadable(f"{prefix}* is set, which workers don't know")


def columns_of(relation: Any, scan: Any) -> tuple[t.StructType, tuple[int, ...]]:
    """Return the columns of a scan, and their numbers in files.

    Raises:
        NotReadable: A column has fields, which have numbers too, or isn't one of the table.
    """
    columns = t.StructType.fromJson(json.loads(scan.scan().readSchema().json()))
    known = relation.table().table().schema().asStruct()
    numbers = []
    for column in columns.fields:
        if _has_struct(column.dataType):
            raise NotReadable(
                f'its column "{column.name}" has fields, which Iceberg finds by number'
            )
        field = known.field(column.name)
        if field is None:
            raise NotReadable(f'its column "{column.name}" isn\'t in the files')
        numbers.append(int(field.fieldId()))
    return columns, tuple(numbers)


def _has_struct(data_type: t.DataType) -> bool:
    if isinstance(data_type, t.ArrayType):
        return _has_struct(data_type.elementType)
    if isinstance(data_type, t.MapType):
        return _has_struct(data_type.keyType) or _has_struct(data_type.valueType)
    return isinstance(data_type, (t.StructType, t.UserDefinedType))


def file_ranges(
    spark: SparkSession, scan: Any, file_systems: FileSystems
) -> list[tuple[FileRange, ...]]:
    """Return what each of Spark's tasks would read.

    Raises:
        NotReadable: Rows were deleted beside the files, or files aren't plain Parquet.
    """
    partitions, count = [], 0
    configuration = hadoop_configuration(spark)
    for partition in scan.inputRDD().partitions():
        ranges = []
        for group in scala_items(partition.inputPartitions()):
            for task in group.taskGroup().tasks().toArray():
                count += 1
                if count > _MAX_FILES:
                    raise NotReadable(f"it has more than {_MAX_FILES:,} parts of files")
                ranges.append(_file_range(spark, task, configuration, file_systems))
        partitions.append(tuple(ranges))
    if not count:
        raise NotReadable("it has no files")
    return partitions


def _file_range(
    spark: SparkSession, task: Any, configuration: Any, file_systems: FileSystems
) -> FileRange:
    if len(task.deletes()):
        raise NotReadable("it is an Iceberg table with deleted rows beside its files")
    file = task.file()
    if str(file.format().name()) != "PARQUET":
        raise NotReadable(f"its files are {file.format().name()}")
    if file.keyMetadata() is not None:
        raise NotReadable("its files are encrypted")
    path = hadoop_path(spark, str(file.path()))
    uri = path.getFileSystem(configuration).makeQualified(path).toUri()
    url = SplitResult(uri.getScheme(), uri.getAuthority() or "", uri.getPath(), "", "")
    files = file_systems.of(url)
    size = int(file.fileSizeInBytes())
    return FileRange(url.path, int(task.start()), int(task.length()), files, file_bytes=size)


def unchanged(spark: SparkSession, relation: Any) -> Column:
    """Return the condition that a query that is planned later reads the same snapshot.

    It must be called before the scan is planned: if the table changes in between, it is false.

    Args:
        spark: The session.
        relation: The `DataSourceV2Relation`.

    Raises:
        NotReadable: The optimizer lacks a rule.
    """
    check_rules(spark)
    table, text = relation.table(), type_object(spark, "StringType")

    def shown(*methods: str) -> Column:
        target = object_literal(spark, table)
        for method in methods:
            target = invoke(spark, target, method, text)
        return catalyst_column(spark, text_bytes(spark, target)).cast("string")

    # The properties have the snapshot's number. All of these are methods of public classes.
    schema = shown("table", "schema", "schemaId", "toString")
    version = F.concat_ws(" ", schema, shown("properties", "toString"))
    number = table.table().schema().schemaId()
    expected = hashlib.sha256(f"{number} {table.properties().toString()}".encode()).hexdigest()
    # By this, Spark has a table that isn't cached look for its newest snapshot.
    options = jvm(spark).org.apache.spark.sql.util.CaseInsensitiveStringMap.empty()
    refresh = invoke(
        spark, object_literal(spark, table), "newScanBuilder", text, object_literal(spark, options)
    )
    return is_answer(spark, F.sha2(version.cast("binary"), 256), expected, before=refresh)


def is_table(relation: Any) -> bool:
    """Say whether a relation of an analyzed plan reads one of Iceberg's tables."""
    if relation.getClass().getSimpleName() != "DataSourceV2Relation":
        return False
    return bool(relation.table().getClass().getName() == TABLE)


def check_filter(where: Filter | None, columns: t.StructType) -> None:
    """Refuse a filter of floats: Iceberg skips row groups by statistics, which leave out NaN.

    Raises:
        NotReadable: It is one.
    """
    match where:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                check_filter(part, columns)
        case Not(part):
            check_filter(part, columns)
        case Comparison(_, column) if _is_float(columns[column].dataType):
            raise NotReadable(
                f'Iceberg may skip rows by its column "{columns[column].name}", which has floats'
            )


def _is_float(data_type: t.DataType) -> bool:
    return isinstance(data_type, (t.FloatType, t.DoubleType))
