"""What Spark's plans say about a table: whether it is a bare scan of local Parquet files, and how
Spark would divide these among tasks.

Plans are Scala objects, reached through py4j. They are no interface: a class that isn't listed here
may mean anything, so only what is listed counts as a bare scan.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from pyspark.sql import DataFrame

from tf2spark.spark.jvm import query_execution, scala_items
from tf2spark.worker.parquet_reader import FileRange

_EXECUTION = "org.apache.spark.sql.execution."
# The nodes of a query that only reads files, renames and selects columns, and filters. Filters are
# listed for those on partition columns, which only leave out folders; any other filter is still
# there in the physical plan, and refused there.
_LOGICAL_NODES = {"Project", "Filter", "SubqueryAlias", "View", "LogicalRelation"}
# Options of a reader that say where files are, and change nothing about how they are decoded.
_HARMLESS_OPTIONS = {
    "path", "paths", "basepath", "pathglobfilter", "recursivefilelookup", "modifiedbefore",
    "modifiedafter", "mergeschema", "inferschema", "header", "compression", "serialization.format",
}  # fmt: skip
# A task list is sent to every executor, so a table of very many ranges is left to Spark.
_MAX_RANGES = 4096


class NotReadable(Exception):
    """The workers can't read this table themselves; the text says why, as a clause."""


def scanned_files(
    df: DataFrame, *, refuse_catalog: bool
) -> tuple[list[str], list[tuple[FileRange, ...]]]:
    """Return the columns' names in the files, and what each of Spark's tasks would read.

    Args:
        df: The table, with just the columns that are needed.
        refuse_catalog: Refuse a table of the catalog. Spark may look its files up again when the
            job runs, while the ranges returned here are the current ones.

    Raises:
        NotReadable: The table is more than a scan of local Parquet files.
    """
    query = query_execution(df)
    # The analyzed plan exists already, while making the physical plan of a large query takes long:
    # so the cheap check comes first.
    _check_logical_nodes(query.analyzed())
    # `sparkPlan` is the physical plan before Spark prepares it for execution. Adaptive execution
    # and code generation haven't wrapped its nodes yet, and nothing has been run.
    plan = query.sparkPlan()
    scan = _find_scan(plan)
    _check_scan(scan, refuse_catalog=refuse_catalog)
    partition_columns = set(scan.relation().partitionSchema().fieldNames())
    names = _names_in_files(plan, scan, partition_columns)
    # The scan's RDD has Spark's own division of files into tasks, by the session's settings. To
    # build it lists files, but runs no job.
    return names, _file_ranges(scan.inputRDD())


def _check_logical_nodes(plan: Any) -> None:
    name = plan.getClass().getSimpleName()
    if name not in _LOGICAL_NODES:
        raise NotReadable(f"it is more than Parquet files and a choice of columns ({name})")
    for child in scala_items(plan.children()):
        _check_logical_nodes(child)


def _find_scan(plan: Any) -> Any:
    """Return the scan at the bottom of a physical plan of nothing but projections."""
    while _is_projection(plan):
        plan = plan.child()
    name = plan.getClass().getName()
    if name != f"{_EXECUTION}FileSourceScanExec":
        short_name = name.rpartition(".")[2].removesuffix("Exec")
        raise NotReadable(f"it is more than Parquet files and a choice of columns ({short_name})")
    return plan


def _is_projection(plan: Any) -> bool:
    return bool(plan.getClass().getName() == f"{_EXECUTION}ProjectExec")


def _check_scan(scan: Any, *, refuse_catalog: bool) -> None:
    relation = scan.relation()
    file_format = relation.fileFormat().getClass().getName()
    # This class itself and none derived from it: Delta's reads Parquet files too, but knows which
    # of their rows are deleted, and which column has which name in them.
    if file_format != f"{_EXECUTION}datasources.parquet.ParquetFileFormat":
        raise NotReadable(f"its files are read by {file_format.rpartition('.')[2]}")
    for option in scala_items(relation.options().keys().toSeq()):
        if str(option).lower() not in _HARMLESS_OPTIONS:
            raise NotReadable(f'it is read with the option "{option}"')
    if refuse_catalog and scan.tableIdentifier().isDefined():
        raise NotReadable(
            "it is a table of the catalog, and may have other files when the job runs"
        )
    # A bucketed scan has one task a bucket, and promises that to the operators downstream.
    if scan.bucketedScan():
        raise NotReadable("it is read by buckets")
    # A file's name, size and row numbers are made by Spark's reader; they aren't in the file.
    if not scan.fileConstantMetadataColumns().isEmpty():
        raise NotReadable("it has columns of files' metadata")


def _names_in_files(plan: Any, scan: Any, partition_columns: set[str]) -> list[str]:
    """Return the names that the columns of a plan have in the files.

    The optimizer may have stacked and merged projections, and users may have renamed columns, but
    a column keeps its expression id on its way up from the scan, whose names are the files'.
    """
    scan_names = {
        attribute.exprId().id(): attribute.name() for attribute in scala_items(scan.output())
    }
    names = [scan_names.get(expression_id) for expression_id in _source_ids(plan)]
    for name in names:
        if name is None or name in partition_columns:
            raise NotReadable(f'"{name}" is a partition column, whose values are not in the files')
    return [str(name) for name in names]


def _source_ids(plan: Any) -> list[int]:
    """Return, for each column of a plan, the expression id of the scan's column that it is."""
    if not _is_projection(plan):
        return [attribute.exprId().id() for attribute in scala_items(plan.output())]
    child = plan.child()
    child_ids = [attribute.exprId().id() for attribute in scala_items(child.output())]
    sources = dict(zip(child_ids, _source_ids(child), strict=True))
    return [
        sources[_attribute(expression).exprId().id()]
        for expression in scala_items(plan.projectList())
    ]


def _attribute(expression: Any) -> Any:
    """Return the column that an expression renames or repeats; a computed one is refused."""
    attribute = expression
    if attribute.getClass().getSimpleName() == "Alias":
        attribute = attribute.child()
    if attribute.getClass().getSimpleName() != "AttributeReference":
        raise NotReadable(f"it has a computed column ({expression.sql()})")
    return attribute


def _file_ranges(rdd: Any) -> list[tuple[FileRange, ...]]:
    partitions, count = [], 0
    for partition in scala_items(rdd.filePartitions()):
        files = list(partition.files())
        count += len(files)
        if count > _MAX_RANGES:
            raise NotReadable(f"it has more than {_MAX_RANGES:,} parts of files")
        partitions.append(
            tuple(FileRange(_local_path(file), file.start(), file.length()) for file in files)
        )
    if not count:
        raise NotReadable("it has no files")
    return partitions


def _local_path(file: Any) -> str:
    # Workers on other hosts find the path only where all hosts mount it, as Spark's own tasks do.
    url = urlsplit(file.urlEncodedPath())
    if url.scheme != "file" or url.netloc:
        raise NotReadable(f'its files are on "{url.scheme}:", and the workers read "file:" only')
    return unquote(url.path)
