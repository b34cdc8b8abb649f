"""Delta's tables, as far as their files hold exactly the rows that a query reads.

Delta's plan is Spark's own scan of Parquet files, which Delta names. It differs where rows are
marked as deleted beside the files (deletion vectors), or where columns have other names in the
files than in the table (column mapping).
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tf2spark.spark.jvm.access import jvm, scala_items
from tf2spark.spark.jvm.catalyst import invoke, object_literal, text_bytes, type_object
from tf2spark.spark.jvm.expressions import catalyst_column
from tf2spark.spark.scan.not_readable import NotReadable

FORMAT = "org.apache.spark.sql.delta.DeltaParquetFileFormat"
INDEX = "org.apache.spark.sql.delta.files.TahoeLogFileIndex"
_PREPARED = "org.apache.spark.sql.delta.stats.PreparedDeltaFileIndex"
_DELETION_VECTORS = "deletionVectors"
# Features of readers with which files are read as without: the first two are looked at.
_KNOWN_FEATURES = {
    _DELETION_VECTORS, "columnMapping", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck",
}  # fmt: skip
# Each costs calls of the JVM.
_MAX_FILES = 4096


def check_delta(relation: Any) -> None:
    """Refuse a scan whose rows aren't just those of its files.

    Args:
        relation: The `HadoopFsRelation` of a physical scan whose format is Delta's.

    Raises:
        NotReadable: It has rows that are marked as deleted, columns of other names, or a feature
            that isn't known.
    """
    index = relation.location()
    if index.getClass().getName() != _PREPARED:
        raise NotReadable(f"its files are listed by {index.getClass().getSimpleName()}")
    mapping = index.metadata().columnMappingMode().name()
    if mapping != "none":
        raise NotReadable(f"it is a Delta table with column mapping ({mapping})")
    listed = index.protocol().readerFeatures()
    features = (
        {str(name) for name in scala_items(listed.get().toSeq())} if listed.isDefined() else set()
    )
    if unknown := sorted(features - _KNOWN_FEATURES):
        raise NotReadable(f"it is a Delta table with {', '.join(unknown)}")
    if _DELETION_VECTORS not in features:
        return
    files = index.preparedScan().files()
    if files.size() > _MAX_FILES:
        raise NotReadable(f"it is a Delta table of {files.size():,} files, with deletion vectors")
    if any(file.deletionVector() is not None for file in scala_items(files)):
        raise NotReadable("it is a Delta table with deletion vectors")


def current_version(spark: SparkSession, source: Any) -> Column:
    """Return the version that a query reads, which is none where it writes it.

    A transaction takes note of what it reads of its own table, for its conflicts with others.
    """
    text, boolean = type_object(spark, "StringType"), type_object(spark, "BooleanType")

    def call(target: Any, *methods: str) -> Any:
        for method in methods:
            target = invoke(spark, target, method, text)
        return target

    def shown(target: Any, *methods: str) -> Column:
        text_of = text_bytes(spark, call(target, *methods, "toString"))
        return catalyst_column(spark, text_of).cast("string")

    snapshot = call(object_literal(spark, source), "getSnapshot")
    transactions = getattr(jvm(spark).org.apache.spark.sql.delta, "OptimisticTransaction$")
    active = call(object_literal(spark, getattr(transactions, "MODULE$")), "getActive")
    no_transaction = catalyst_column(spark, invoke(spark, active, "isEmpty", boolean))
    written = shown(active, "get", "deltaLog", "logPath")
    own = str(source.deltaLog().logPath().toString())
    return F.concat_ws(
        " ",
        shown(snapshot, "version"),
        shown(snapshot, "metadata", "id"),
        F.when(no_transaction, F.lit(None)).when(written == own, F.lit("is written")),
    )


def version_of(relation: Any) -> str:
    """Return the version that a scan reads, as `current_version` shows it."""
    index = relation.location()
    return f"{index.version()} {index.metadata().id()}"
