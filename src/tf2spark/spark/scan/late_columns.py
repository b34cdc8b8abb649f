"""Columns that a query only passes on from Parquet files: the workers read them, not Spark.

Of a query that joins, filters or computes, Spark keeps all that decides which rows there are. A
long column that it would only carry along travels as two numbers: the row's file and its number
there, which Spark's reader gives (`_metadata`). By these the worker finds it in the file. Databases
call that late materialization.

It is right for any plan, because a row takes its numbers along; but only where rows stay in the
order of the files are these read once. So it is for plans that go from the scan to the worker
through projections, filters and the streamed side of broadcast joins.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import frozen
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from tf2spark.errors import first_line
from tf2spark.spark.jvm.access import scala_items, scala_seq
from tf2spark.spark.jvm.expressions import catalyst_column
from tf2spark.spark.jvm.queries import dataframe_of, query_execution
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.scan.file_systems import FileSystems
from tf2spark.spark.scan.listing import unchanged
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.parquet_scan import (
    batch_rows_of,
    calendars_of,
    check_field_ids,
    check_files,
    check_settings,
    check_types,
)
from tf2spark.spark.scan.scan_plan import MAX_RANGES, arrow_columns, check_scan
from tf2spark.worker.reading.parquet_reader import FileRange
from tf2spark.worker.reading.row_reader import LateColumns

# Numbers travel fast enough, and Spark may need them itself.
_LONG = (t.ArrayType, t.MapType, t.StructType, t.UserDefinedType, t.StringType, t.BinaryType)
# A projection's expressions are asked for one by one.
_MAX_EXPRESSIONS = 200
_PASSED_ON = {"SubqueryAlias", "View", "ResolvedHint"}
_LOOK_AT = {"Filter", "Join"}
_JOINS = {"BroadcastHashJoinExec", "BroadcastNestedLoopJoinExec"}


@frozen
class _Origin:
    """Where the column at a place comes from.

    Attributes:
        place: The place.
        attribute: The attribute of a relation of files that it is.
        path: The nodes of the logical plan from its root to that relation.
    """

    place: int
    attribute: Any
    path: list[Any]


def late_parts(
    df: DataFrame, indices: Sequence[int], model_rows: int, needed: Collection[int] = ()
) -> tuple[DataFrame, list[Column], LateColumns]:
    """Return the columns that carry some columns of a table, and how these travel.

    Args:
        df: The table.
        indices: Which of its columns to carry, by their positions.
        model_rows: The most rows of one run of the model.
        needed: Columns that Spark has to read in any case.

    Returns:
        The table that has them and all of `df`'s own, they, and how they travel.

    Raises:
        NotReadable: None of them is such a column, or it isn't known whether rows would be equal.
    """
    if is_connect(df) or df.isStreaming:
        raise NotReadable("its plan can't be examined")
    fields = df.schema.fields
    long = [
        place
        for place, index in enumerate(indices)
        if isinstance(fields[index].dataType, _LONG) and index not in needed
    ]
    if not long:
        raise NotReadable("it has no long columns")
    try:
        check_settings(df.sparkSession)
        return _late_parts(df, indices, long, model_rows)
    except NotReadable:
        raise
    except Exception as error:  # plans are no interface: each release may differ
        raise NotReadable(f"its plan can't be examined ({first_line(error)})") from None


def _late_parts(
    df: DataFrame, indices: Sequence[int], long: Sequence[int], model_rows: int
) -> tuple[DataFrame, list[Column], LateColumns]:
    spark, query = df.sparkSession, query_execution(df)
    output = query.analyzed().output()
    wanted = {place: output.apply(indices[place]) for place in long}
    origins = list(_origins([query.analyzed()], wanted))
    if not origins:
        raise NotReadable("it has no column that Spark only passes on from Parquet files")
    scan, origins = _streamed_scan(spark, query.sparkPlan(), origins)
    fields = _fields(scan, origins)
    check_types(t.StructType(fields), [field.name for field in fields])
    check_field_ids(spark, t.StructType(fields))
    columns = arrow_columns(fields, str(spark.conf.get("spark.sql.session.timeZone")))
    calendars, files = calendars_of(spark), _files(scan, FileSystems(spark))
    check_files([tuple(files.values())], columns, calendars)
    late = tuple(origin.place for origin in origins)
    others = tuple(place for place in range(len(indices)) if place not in late)
    metadata = origins[0].path[-1].metadataOutput().apply(0)
    table = dataframe_of(df, _with_attribute(df.sparkSession, origins[0].path, metadata))
    parts = [catalyst_column(spark, output.apply(indices[place])) for place in others]
    parts += _row_columns(catalyst_column(spark, metadata))
    table.select(*parts)  # Spark resolves the columns here, or says why it can't
    rows = batch_rows_of(spark, model_rows)
    return table, parts, LateColumns(late, others, columns, files, calendars, rows)


def _with_attribute(spark: SparkSession, path: Sequence[Any], metadata: Any) -> Any:
    """Return a plan that passes the metadata of the relation at the end of a path on to its root.

    Spark does so by itself for a column that a query names, but not past joins `USING` a column.
    """
    plan = path[-1].withMetadataColumns()
    below = path[-1]
    for node in reversed(path[:-1]):
        if node.getClass().getSimpleName() == "Project":
            expressions = [*scala_items(node.projectList()), metadata]
            plan = node.copy(scala_seq(spark, expressions), plan)
        else:
            children = [
                plan if child.fastEquals(below) else child for child in scala_items(node.children())
            ]
            plan = node.withNewChildren(scala_seq(spark, children))
        below = node
    return plan


def _origins(path: list[Any], wanted: Mapping[int, Any]) -> Iterator[_Origin]:
    """Yield where attributes of a plan come from, of those that nothing on the way looks at.

    Args:
        path: The nodes from the plan's root to the one whose attributes they are.
        wanted: The attributes, by the places of their columns.
    """
    plan = path[-1]
    name = plan.getClass().getSimpleName()
    if name == "LogicalRelation":
        yield from (_Origin(place, attribute, path) for place, attribute in wanted.items())
    elif name == "Project":
        if passed_on := _passed_on(plan, wanted):
            yield from _origins([*path, plan.child()], passed_on)
    elif name in _PASSED_ON or name in _LOOK_AT:
        looked_at = plan.references()
        for child in scala_items(plan.children()):
            output = child.outputSet()
            below = {
                place: attribute
                for place, attribute in wanted.items()
                if output.contains(attribute)
                and not (name in _LOOK_AT and looked_at.contains(attribute))
            }
            if below:
                yield from _origins([*path, child], below)


def _passed_on(project: Any, wanted: Mapping[int, Any]) -> dict[int, Any]:
    """Return the attributes that a projection passes on as others, and uses for nothing else."""
    expressions = project.projectList()
    if expressions.size() > _MAX_EXPRESSIONS:
        return {}
    sources: dict[int, Any] = {}
    used: list[Any] = []
    for expression in scala_items(expressions):
        source = expression
        if source.getClass().getSimpleName() == "Alias":
            source = source.child()
        if source.getClass().getSimpleName() == "AttributeReference":
            sources[expression.exprId().id()] = source
        else:
            used.append(expression.references())
    found = {place: sources.get(each.exprId().id()) for place, each in wanted.items()}
    return {
        place: source
        for place, source in found.items()
        if source is not None and not any(each.contains(source) for each in used)
    }


def _streamed_scan(
    spark: SparkSession, plan: Any, origins: Sequence[_Origin]
) -> tuple[Any, list[_Origin]]:
    """Return the scan whose rows a physical plan streams, and the columns that come from it."""
    while (name := plan.getClass().getSimpleName()) != "FileSourceScanExec":
        if name in ("ProjectExec", "FilterExec"):
            plan = plan.child()
        elif name in _JOINS:
            builds_left = str(plan.buildSide().toString()) == "BuildLeft"
            plan = plan.right() if builds_left else plan.left()
        else:
            raise NotReadable(f"it is more than broadcast joins ({name.removesuffix('Exec')})")
    check_scan(plan)
    relation = plan.relation()
    # Of Delta, a row's number isn't that in the file where some are deleted.
    is_parquet = relation.fileFormat().getClass().getSimpleName() == "ParquetFileFormat"
    if not is_parquet or unchanged(spark, relation.location(), plan, MAX_RANGES) is not None:
        raise NotReadable("it is a table whose files may be others when the job runs")
    filters = str(plan.partitionFilters().toString())
    if "dynamicpruning" in filters or "subquery" in filters:
        raise NotReadable("which folders are read depends on another table")
    output, in_names = plan.outputSet(), set(relation.partitionSchema().fieldNames())
    streamed = [
        origin
        for origin in origins
        if output.contains(origin.attribute) and origin.attribute.name() not in in_names
    ]
    if not streamed:
        raise NotReadable("its long columns come from the other side of a join")
    return plan, streamed


def _fields(scan: Any, origins: Sequence[_Origin]) -> list[t.StructField]:
    """Return the columns as the files have them."""
    fields = t.StructType.fromJson(json.loads(scan.schema().json()))
    names = [str(origin.attribute.name()) for origin in origins]
    if len(set(names)) < len(names):
        raise NotReadable("it has a column of the files twice")
    return [fields[name] for name in names]


def _files(scan: Any, file_systems: FileSystems) -> dict[int, FileRange]:
    """Return the files of a scan by the checksums of the names that Spark has for them.

    Assumes Spark's `FileFormat.fileConstantMetadataExtractors`, by which it makes `file_path`.
    """
    name_of = scan.relation().fileFormat().fileConstantMetadataExtractors().apply("file_path")
    files: dict[int, FileRange] = {}
    known: set[str] = set()
    count = 0
    for partition in scala_items(scan.inputRDD().filePartitions()):
        for file in partition.files():
            count += 1
            if count > MAX_RANGES:
                raise NotReadable(f"it has more than {MAX_RANGES:,} parts of files")
            encoded = str(file.urlEncodedPath())
            if encoded in known:
                continue
            known.add(encoded)
            checksum = zlib.crc32(str(name_of.apply(file)).encode())
            if checksum in files:
                raise NotReadable("two of its files have one checksum")
            url = urlsplit(encoded)
            known_files = file_systems.of(url)
            size = file.fileSize()
            files[checksum] = FileRange(unquote(url.path), 0, size, known_files, None, size)
    if not files:
        raise NotReadable("it has no files")
    return files


def _row_columns(metadata: Column) -> list[Column]:
    """Return the columns for each row's file and its number there."""
    return [F.crc32(metadata["file_path"]), metadata["row_index"]]
