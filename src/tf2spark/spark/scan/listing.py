"""Whether a table still has the files that its tasks read, as a condition of Spark's.

Tasks are made when a table is scored, but Spark lists the files of some tables whenever it plans a
query: a table of the catalog may have more rows by then, and a Delta table another version. So the
plan of a scored table has both ways in it, by the workers and by Spark, under a condition that
Spark's optimizer evaluates on the driver and replaces by true or false, which leaves one of the
two. As Spark sees that the table is read, it also refuses to overwrite it, as it always does.

The condition calls the same method of the same object as Spark does for the files.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tf2spark.spark.jvm.access import is_instance, scala_items, scala_seq
from tf2spark.spark.jvm.catalyst import invoke, object_literal, text_bytes, type_object
from tf2spark.spark.jvm.expressions import catalyst_column
from tf2spark.spark.scan import delta
from tf2spark.spark.scan.answers import check_rules, is_answer
from tf2spark.spark.scan.not_readable import NotReadable

_DATASOURCES = "org.apache.spark.sql.execution.datasources."
_CATALOG_INDEX = f"{_DATASOURCES}CatalogFileIndex"
_PATH_INDEX = f"{_DATASOURCES}PartitioningAwareFileIndex"
# HDFS changes it when a file is read, as the driver does with the footers.
_ACCESS_TIME = "access_time=[0-9]+"


def unchanged(spark: SparkSession, source: Any, scan: Any, max_files: int) -> Column | None:
    """Return the condition that a scan's files are those of now, when a query is planned.

    It must be called before the scan has listed its files.

    Args:
        spark: The session.
        source: The `FileIndex` of the table's analyzed plan.
        scan: The `FileSourceScanExec`.
        max_files: The most files that a listing may have.

    Returns:
        None where Spark doesn't look for the files again: a path has those of when it was read.

    Raises:
        NotReadable: It isn't known how the table's files are found, it has too many, or the
            optimizer lacks a rule.
    """
    relation = scan.relation()
    if source.getClass().getName() == delta.INDEX:
        check_rules(spark)
        version = delta.version_of(relation)
        return is_answer(spark, delta.current_version(spark, source), version)
    is_of_catalog = is_instance(spark, source, _CATALOG_INDEX)
    if not is_of_catalog and not is_instance(spark, source, _PATH_INDEX):
        kind = source.getClass().getSimpleName()
        raise NotReadable(f"its files are listed by {kind}, which isn't known")
    if not is_of_catalog and not scan.tableIdentifier().isDefined():
        return None
    check_rules(spark)
    filters = scan.partitionFilters()
    # The optimizer may have replaced the source by one of the partitions that are needed.
    listed = relation.location().listFiles(filters, scala_seq(spark, []))
    _check_count(listed, max_files)
    digest = hashlib.sha256(re.sub(_ACCESS_TIME, "", str(listed.toList().toString())).encode())
    return is_answer(spark, _current_digest(spark, source, filters), digest.hexdigest())


def _check_count(listed: Any, max_files: int) -> None:
    count = 0
    for folder in scala_items(listed):
        count += folder.files().size()
        if count > max_files:
            raise NotReadable(f"it has more than {max_files:,} files")


def _current_digest(spark: SparkSession, index: Any, filters: Any) -> Column:
    """Return a digest of what a `FileIndex` lists: paths, sizes, times, partition values.

    Args:
        spark: The session.
        index: The `FileIndex`.
        filters: Of partitions.
    """
    text = type_object(spark, "StringType")
    arguments = (object_literal(spark, filters), object_literal(spark, scala_seq(spark, [])))
    files = invoke(spark, object_literal(spark, index), "listFiles", text, *arguments)
    for method in ("toList", "toString"):  # a sequence may be lazy, and show its first item only
        files = invoke(spark, files, method, text)
    content = catalyst_column(spark, text_bytes(spark, files)).cast("string")
    return F.sha2(F.regexp_replace(content, _ACCESS_TIME, "").cast("binary"), 256)
