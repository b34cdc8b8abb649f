"""Tables of a catalog: which there are, where their files lie, and who writes them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from attrs import frozen
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from tf2spark.errors import ContractError
from tf2spark.spark.jvm.access import JavaError, hadoop_path, jvm, scala_items, session_state

SESSION_CATALOG = "spark_catalog"
_SERDES = {"ParquetHiveSerDe": "parquet", "OrcSerde": "orc"}


@frozen
class TableName:
    """The name of a table, in full.

    Attributes:
        catalog: The catalog.
        database: The database, or the namespace: "db", or "a.b".
        table: The table's own name.
        sql: All parts, quoted for SQL.
    """

    catalog: str
    database: str
    table: str
    sql: str

    @property
    def database_sql(self) -> str:
        return self.sql.rpartition(".`")[0]


@frozen
class FileTable:
    """A table of the session catalog whose rows are files in one folder.

    Attributes:
        name: Its name.
        format: The format of its files.
        location: The URI of its folder.
        partition_by: Its partition columns.
        schema: Its columns, the partition columns last.
        options: The options that its files are written with.
        lists_partitions: Whether the catalog lists its partitions.
    """

    name: TableName
    format: str
    location: str
    partition_by: tuple[str, ...]
    schema: StructType
    options: dict[str, str]
    lists_partitions: bool


def table_name(spark: SparkSession, text: str) -> TableName:
    """Parse a name as Spark does, and complete it with the session's catalog and database.

    Raises:
        ContractError: It isn't a name.
    """
    try:
        parts = [
            str(part)
            for part in scala_items(session_state(spark).sqlParser().parseMultipartIdentifier(text))
        ]
    except Exception as error:
        raise ContractError(
            f'"{text}" is not the name of a table',
            "write TABLE, DATABASE.TABLE or "
            "CATALOG.DATABASE.TABLE, with names of other signs in `backquotes`",
        ) from error
    catalog = str(spark.catalog.currentCatalog())
    if len(parts) > 1 and _is_catalog(spark, parts[0]):
        catalog, parts = parts[0], parts[1:]
    if len(parts) == 1:
        parts = [*str(spark.catalog.currentDatabase()).split("."), *parts]
    quoted = ".".join("`" + part.replace("`", "``") + "`" for part in (catalog, *parts))
    return TableName(catalog, ".".join(parts[:-1]), parts[-1], quoted)


def _is_catalog(spark: SparkSession, name: str) -> bool:
    # Without a default: None as a default is refused by some releases.
    return name == SESSION_CATALOG or bool(spark.conf.get(f"spark.sql.catalog.{name}", ""))


def identifier(spark: SparkSession, name: TableName) -> Any:
    """Return the name as Spark's session catalog takes it."""
    quoted = name.sql.removeprefix(f"`{SESSION_CATALOG}`.")
    return session_state(spark).sqlParser().parseTableIdentifier(quoted)


def is_view(spark: SparkSession, text: str, name: TableName) -> bool:
    """Say whether a view, also a temporary one, has this name."""
    state = session_state(spark)
    # A name of three parts is none of a temporary view.
    with contextlib.suppress(JavaError, PySparkException):
        if state.catalog().isTempView(state.sqlParser().parseTableIdentifier(text)):
            return True
    metadata = _metadata(spark, name)
    return metadata is not None and str(metadata.tableType().name()) == "VIEW"


def _metadata(spark: SparkSession, name: TableName) -> Any | None:
    """Return what the session catalog has of a table; None where it isn't in it."""
    if name.catalog != SESSION_CATALOG:
        return None
    try:
        catalog, known = session_state(spark).catalog(), identifier(spark, name)
        return catalog.getTableMetadata(known) if catalog.tableExists(known) else None
    except (JavaError, PySparkException):
        return None


def file_table(spark: SparkSession, name: TableName) -> FileTable | None:
    """Return a table whose files tf2spark replaces itself; None for any other table."""
    from tf2spark.spark.output.table_writer import is_files

    metadata = _metadata(spark, name)
    if metadata is None or not metadata.bucketSpec().isEmpty():
        return None
    table_format, location = _format(metadata), metadata.storage().locationUri()
    if table_format is None or not is_files(table_format) or location.isEmpty():
        return None
    transactional = metadata.properties().get("transactional")
    if transactional.isDefined() and str(transactional.get()).lower() == "true":
        return None
    return FileTable(
        name,
        table_format,
        # A URI has %20 where Hadoop's paths, as text, have a space.
        str(hadoop_path(spark, location.get()).toString()),
        tuple(str(column) for column in scala_items(metadata.partitionColumnNames())),
        spark.table(name.sql).schema,
        _options(metadata),
        bool(metadata.tracksPartitionsInCatalog()),
    )


def _format(metadata: Any) -> str | None:
    provider = str(metadata.provider().get()).lower() if metadata.provider().isDefined() else "hive"
    if provider != "hive":
        return provider
    serde = metadata.storage().serde()
    name = str(serde.get()).rpartition(".")[2] if serde.isDefined() else ""
    return _SERDES.get(name)


def _options(metadata: Any) -> dict[str, str]:
    if not metadata.provider().isDefined() or str(metadata.provider().get()).lower() == "hive":
        return {}
    pairs = metadata.storage().properties().toSeq()
    options = {str(pair._1()): str(pair._2()) for pair in scala_items(pairs)}
    return {
        key: value for key, value in options.items() if key not in ("path", "serialization.format")
    }


def provider(spark: SparkSession, name: TableName) -> str | None:
    """Return the format of a table in the session catalog; None where it isn't known there."""
    metadata = _metadata(spark, name)
    if metadata is None or metadata.provider().isEmpty():
        return None
    return str(metadata.provider().get()).lower()


def exists(spark: SparkSession, name: TableName) -> bool:
    """Say whether a table or view is in its catalog."""
    return bool(spark.catalog.tableExists(name.sql))


def database_exists(spark: SparkSession, name: TableName) -> bool:
    """Say whether the database of a table exists."""
    return bool(spark.catalog.databaseExists(name.database_sql))


def default_location(spark: SparkSession, name: TableName) -> str:
    """Return the folder of a new table in the session catalog."""
    location = session_state(spark).catalog().defaultTablePath(identifier(spark, name))
    return str(hadoop_path(spark, location).toString())


def is_in_memory(spark: SparkSession) -> bool:
    """Say whether the session catalog forgets its tables when the session ends."""
    return spark.conf.get("spark.sql.catalogImplementation", "in-memory") == "in-memory"


def forget_statistics(spark: SparkSession, name: TableName) -> None:
    """Remove the statistics of a table whose rows have changed."""
    nothing = jvm(spark).scala.Option.empty()
    session_state(spark).catalog().alterTableStats(identifier(spark, name), nothing)


def metastore_settings() -> dict[str, str]:
    """Return the setting with which a new session has a metastore, as Spark's own shells do.

    It is for sessions that name no catalog themselves. Without a hive-site.xml it is Derby, in the
    working directory.
    """
    from pyspark.find_spark_home import _find_spark_home

    jars = Path(_find_spark_home()) / "jars"
    has_hive = any(jars.glob("spark-hive_*.jar"))
    # Derby makes its folder there.
    is_possible = has_hive and os.access(".", os.W_OK)
    return {"spark.sql.catalogImplementation": "hive"} if is_possible else {}
