"""What Spark's plans say about a table: whether it is a scan of Parquet files with at most a
selection of columns and filters above it, and how Spark would divide these files among tasks.

Plans are Scala objects, reached through py4j. They are no interface: a class that isn't listed here
may mean anything, so only what is listed is read by workers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from attrs import frozen
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import types as t

from tf2spark.spark.jvm.access import is_instance, scala_items
from tf2spark.spark.jvm.queries import depends_on_time, query_execution
from tf2spark.spark.scan import delta, iceberg
from tf2spark.spark.scan.catalyst_values import array_of, is_supported
from tf2spark.spark.scan.file_systems import FileSystems
from tf2spark.spark.scan.filter_expressions import FilterColumn, convert
from tf2spark.spark.scan.listing import unchanged
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.types import arrow_schema
from tf2spark.worker.reading.filters import AllOf, Filter
from tf2spark.worker.reading.parquet_reader import FileRange
from tf2spark.worker.reading.parquet_types import with_zone

_EXECUTION = "org.apache.spark.sql.execution."
# The nodes of a query that only reads files, renames and selects columns, and filters.
_LOGICAL_NODES = {"Project", "Filter", "SubqueryAlias", "View"}
_RELATIONS = {"LogicalRelation", "DataSourceV2Relation"}
_FILES = f"{_EXECUTION}datasources.HadoopFsRelation"
# Options of a reader that say where files are, and change nothing about how they are decoded.
_HARMLESS_OPTIONS = {
    "path", "paths", "basepath", "pathglobfilter", "recursivefilelookup", "modifiedbefore",
    "modifiedafter", "mergeschema", "inferschema", "header", "compression", "serialization.format",
    "partitionoverwritemode",
}  # fmt: skip
# Marks a VARCHAR, which is a string, or a CHAR, which Spark pads by an expression of its own.
_VARCHAR = "__CHAR_VARCHAR_TYPE_STRING"
# A task list is sent to every executor, so a table of very many ranges is left to Spark.
MAX_RANGES = 4096


@frozen
class Scan:
    """What a query reads, if it is a scan.

    Attributes:
        columns: The columns that are in the files, by their names and types there.
        partition_columns: Those whose values are in the names of folders.
        output: The query's columns, as indices into `columns` and then `partition_columns`.
        where: The condition that rows must meet; None for all rows.
        partitions: What each of Spark's tasks would read.
        unchanged: The condition that a later query would read these very files; None where it
            always would.
        field_ids: The numbers of `columns` in the files, if files are read by them.
    """

    columns: t.StructType
    partition_columns: t.StructType
    output: tuple[int, ...]
    where: Filter | None
    partitions: list[tuple[FileRange, ...]]
    unchanged: Column | None
    field_ids: tuple[int, ...] = ()


def scan_of(df: DataFrame, zone: str, max_files: int | None) -> Scan:
    """Return what a table reads, with just the columns that are needed.

    Args:
        df: The table.
        zone: The time zone that Spark gives timestamps in Arrow.
        max_files: The most files that it may have; None for as many as tasks can list.

    Raises:
        NotReadable: The table is more than a scan of Parquet files that workers can open.
    """
    spark, query = df.sparkSession, query_execution(df)
    # The analyzed plan exists already, while making the physical plan of a large query takes long:
    # so the cheap checks come first.
    relation = _relation(spark, query.analyzed())
    if depends_on_time(spark, query.analyzed()):
        raise NotReadable("it depends on the time of the query (as by current_date)")
    if iceberg.is_table(relation):
        # Asked before the scan is planned, in which the table may change.
        same_files = iceberg.unchanged(spark, relation)
        plan = query.sparkPlan()
        return _iceberg_scan(spark, relation, plan, zone, same_files)
    # `sparkPlan` is the physical plan before Spark prepares it for execution. Adaptive execution
    # and code generation haven't wrapped its nodes yet, and nothing has been run.
    return _file_scan(spark, relation, query.sparkPlan(), zone, max_files or MAX_RANGES)


def _file_scan(spark: SparkSession, relation: Any, plan: Any, zone: str, max_files: int) -> Scan:
    """Return what Spark's own scan of files reads, or Delta's, which is derived from it."""
    node = _find_scan(plan, "FileSourceScanExec")
    check_scan(node)
    # Asked before the scan lists its files.
    same_files = unchanged(spark, relation.relation().location(), node, max_files)
    columns, partition_columns = _columns(node)
    output, where = _output(plan, node, [*columns.fields, *partition_columns.fields], zone)
    in_arrow = arrow_columns(partition_columns.fields, zone)
    # The scan's RDD has Spark's own division of files into tasks, by the session's settings. To
    # build it lists files, but runs no job.
    partitions = _file_ranges(node, FileSystems(spark), in_arrow, partition_columns)
    return Scan(columns, partition_columns, output, where, partitions, same_files)


def _iceberg_scan(
    spark: SparkSession, relation: Any, plan: Any, zone: str, same_files: Column
) -> Scan:
    node = _find_scan(plan, "datasources.v2.BatchScanExec")
    iceberg.check_iceberg(spark, relation, node)
    columns, field_ids = iceberg.columns_of(relation, node)
    output, where = _output(plan, node, columns.fields, zone)
    iceberg.check_filter(where, columns)
    partitions = iceberg.file_ranges(spark, node, FileSystems(spark))
    return Scan(columns, t.StructType(), output, where, partitions, same_files, field_ids)


def _output(
    plan: Any, node: Any, layout: Sequence[t.StructField], zone: str
) -> tuple[tuple[int, ...], Filter | None]:
    """Return which columns of a scan a plan puts out, as indices, and the condition for rows."""
    index_of = {field.name: index for index, field in enumerate(layout)}
    ids = {
        attribute.exprId().id(): index_of[attribute.name()]
        for attribute in scala_items(node.output())
    }
    arrow_types = arrow_columns(layout, zone).types
    filter_columns = [
        FilterColumn(index, field.dataType, arrow_type)
        for index, (field, arrow_type) in enumerate(zip(layout, arrow_types, strict=True))
    ]
    filters: list[Filter] = []
    sources = _sources(plan, ids, filter_columns, filters)
    output = tuple(sources[attribute.exprId().id()] for attribute in scala_items(plan.output()))
    where = filters[0] if len(filters) == 1 else AllOf(tuple(filters))
    return output, where if filters else None


def _relation(spark: SparkSession, plan: Any) -> Any:
    """Return the relation at the bottom of an analyzed plan of nothing but known nodes."""
    name = plan.getClass().getSimpleName()
    if name in _LOGICAL_NODES:
        return _relation(spark, next(scala_items(plan.children())))
    if name not in _RELATIONS:
        raise NotReadable(f"it is more than Parquet files and a choice of columns ({name})")
    source = plan.relation() if name == "LogicalRelation" else plan.table()
    kind = source.getClass().getName()
    # Delta's is derived from Spark's.
    if is_instance(spark, source, _FILES) or kind == iceberg.TABLE:
        return plan
    raise NotReadable(f"it is read by {kind.rpartition('.')[2]}")


def _find_scan(plan: Any, name: str) -> Any:
    """Return the scan at the bottom of a physical plan of nothing but projections and filters."""
    while _is_node(plan, "ProjectExec") or _is_node(plan, "FilterExec"):
        plan = plan.child()
    if not _is_node(plan, name):
        short_name = plan.getClass().getName().rpartition(".")[2].removesuffix("Exec")
        raise NotReadable(f"it is more than Parquet files and a choice of columns ({short_name})")
    return plan


def _is_node(plan: Any, name: str) -> bool:
    return bool(plan.getClass().getName() == f"{_EXECUTION}{name}")


def check_scan(scan: Any) -> None:
    relation = scan.relation()
    file_format = relation.fileFormat().getClass().getName()
    # This class itself and none derived from it, which may leave out rows, or rename columns.
    if file_format == delta.FORMAT:
        delta.check_delta(relation)
    elif file_format != f"{_EXECUTION}datasources.parquet.ParquetFileFormat":
        raise NotReadable(f"its files are read by {file_format.rpartition('.')[2]}")
    for option in scala_items(relation.options().keys().toSeq()):
        if str(option).lower() not in _HARMLESS_OPTIONS:
            raise NotReadable(f'it is read with the option "{option}"')
    # A bucketed scan has one task a bucket, and promises that to the operators downstream.
    if scan.bucketedScan():
        raise NotReadable("it is read by buckets")
    # A file's name, size and row numbers are made by Spark's reader; they aren't in the file.
    if not scan.fileConstantMetadataColumns().isEmpty():
        raise NotReadable("it has columns of files' metadata")


def _columns(scan: Any) -> tuple[t.StructType, t.StructType]:
    """Return the columns of a scan's output: those in the files, and the partition columns."""
    fields = t.StructType.fromJson(json.loads(scan.schema().json())).fields
    partition_names = set(scan.relation().partitionSchema().fieldNames())
    in_files = [field for field in fields if field.name not in partition_names]
    # A row's number in its file is made by Spark's reader; it isn't in the file.
    keys = {key for field in in_files for key in field.metadata} - {_VARCHAR}
    if any(key.startswith("__") for key in keys):
        raise NotReadable("it has columns of files' metadata")
    partition_columns = [field for field in fields if field.name in partition_names]
    for field in partition_columns:
        if not is_supported(field.dataType):
            raise NotReadable(
                f'its partition column "{field.name}" is {field.dataType.simpleString()}'
            )
    if not in_files:
        raise NotReadable("only partition columns of it are needed")
    return t.StructType(in_files), t.StructType(partition_columns)


def _sources(
    plan: Any, scan_ids: Mapping[int, int], columns: list[FilterColumn], filters: list[Filter]
) -> dict[int, int]:
    """Return which of the scan's columns each column of a plan is, by expression id.

    The optimizer may have stacked and merged projections, and users may have renamed columns, but
    a column keeps its expression id on its way up from the scan, whose names are the files'.
    Filters on the way are converted and added to `filters`.
    """
    if not _is_node(plan, "ProjectExec") and not _is_node(plan, "FilterExec"):
        return dict(scan_ids)
    sources = _sources(plan.child(), scan_ids, columns, filters)
    if _is_node(plan, "FilterExec"):
        filters.append(convert(plan.condition(), lambda node: columns[sources[node.exprId().id()]]))
        return sources
    return {
        expression.exprId().id(): sources[_attribute(expression).exprId().id()]
        for expression in scala_items(plan.projectList())
    }


def _attribute(expression: Any) -> Any:
    """Return the column that an expression renames or repeats; a computed one is refused."""
    attribute = expression
    if attribute.getClass().getSimpleName() == "Alias":
        attribute = attribute.child()
    if attribute.getClass().getSimpleName() != "AttributeReference":
        raise NotReadable(f"it has a computed column ({expression.sql()})")
    return attribute


def arrow_columns(columns: Sequence[t.StructField], zone: str) -> pa.Schema:
    """Return columns as Spark sends them to Python, which gives timestamps the session's zone."""
    schema = arrow_schema(t.StructType(list(columns)))
    return pa.schema([pa.field(field.name, with_zone(field.type, zone)) for field in schema])


def _file_ranges(
    scan: Any, file_systems: FileSystems, partition_columns: pa.Schema, types: t.StructType
) -> list[tuple[FileRange, ...]]:
    partitions, count = [], 0
    schema = scan.relation().partitionSchema()
    positions = [schema.fieldIndex(field.name) for field in types.fields]
    java_types = [schema.apply(field.name).dataType() for field in types.fields]
    known: dict[bytes, pa.RecordBatch] = {}

    def values_of(row: Any) -> pa.RecordBatch:
        arrays = []
        for position, java_type, field, arrow_type in zip(
            positions, java_types, types.fields, partition_columns.types, strict=True
        ):
            value = None if row.isNullAt(position) else row.get(position, java_type)
            arrays.append(array_of([value], field.dataType, arrow_type))
        values = pa.RecordBatch.from_arrays(arrays, schema=partition_columns)
        # Equal rows travel once.
        return known.setdefault(values.serialize().to_pybytes(), values)

    for partition in scala_items(scan.inputRDD().filePartitions()):
        ranges = []
        for file in partition.files():
            count += 1
            if count > MAX_RANGES:
                raise NotReadable(f"it has more than {MAX_RANGES:,} parts of files")
            url = urlsplit(file.urlEncodedPath())
            files = file_systems.of(url)
            values = values_of(file.partitionValues()) if positions else None
            path, size = unquote(url.path), file.fileSize()
            ranges.append(FileRange(path, file.start(), file.length(), files, values, size))
        partitions.append(tuple(ranges))
    if not count:
        raise NotReadable("it has no files")
    return partitions
