"""The partitions of a table whose files tf2spark replaces, as the catalog lists them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from attrs import field, frozen
from pyspark.sql import SparkSession

from tf2spark.errors import OutputError
from tf2spark.spark.jvm.access import hadoop_path, jvm, scala_items, session_state
from tf2spark.spark.tables.catalog import FileTable, identifier

_NULL = "__HIVE_DEFAULT_PARTITION__"
_AT_ONCE = 200


def add(spark: SparkSession, table: FileTable, folders: list[str]) -> None:
    """Have the catalog list the partitions of these folders ("dt=1/hour=2")."""
    if not table.lists_partitions:
        return
    for start in range(0, len(folders), _AT_ONCE):
        clauses = " ".join(f"PARTITION ({_spec(each)})" for each in folders[start:][:_AT_ONCE])
        spark.sql(f"ALTER TABLE {table.name.sql} ADD IF NOT EXISTS {clauses}")


def _spec(folder: str) -> str:
    """Return what names a partition in SQL, from its folder."""
    pairs = (level.split("=", 1) for level in folder.split("/"))
    return ", ".join(f"`{unquote(name)}` = {_literal(value)}" for name, value in pairs)


def _literal(value: str) -> str:
    if value == _NULL:
        return "NULL"
    text = unquote(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


@frozen
class Registered:
    """The partitions that the catalog lists when a run begins to write.

    Attributes:
        elsewhere: Folders whose rows are not in the folder of the table.
    """

    _spark: SparkSession
    _table: FileTable
    _folders: frozenset[str]
    elsewhere: frozenset[str]
    _written: list[str] = field(factory=list)

    @classmethod
    def of(cls, spark: SparkSession, table: FileTable) -> Registered:
        """Return those of a table."""
        folders, elsewhere = set(), set()
        if table.partition_by and table.lists_partitions:
            for folder, is_elsewhere in _listed(spark, table):
                folders.add(folder)
                if is_elsewhere:
                    elsewhere.add(folder)
        return cls(spark, table, frozenset(folders), frozenset(elsewhere))

    def prepare(self, written: list[str], *, appends: bool) -> None:
        """List the partitions that are written, whose folders are empty until rows appear in them.

        Raises:
            OutputError: Rows would be added to a partition that lies in another place.
        """
        other = sorted(self.elsewhere.intersection(written))
        if appends and other:
            raise OutputError(
                f"partition {other[0]} of {self._table.name.sql} has a location of its own, where "
                "rows can't be added",
                "pass --overwrite-partitions to replace it, or move it into the table's folder",
            )
        self._written.extend(written)
        add(self._spark, self._table, [each for each in written if each not in self._folders])

    def finish(self, *, replaces_all: bool) -> None:
        """Have the catalog forget partitions that are gone, and where replaced ones were."""
        name = self._table.name.sql
        for folder in self.elsewhere.intersection(self._written):
            location = f"{self._table.location}/{folder}".replace("'", "\\'")
            self._spark.sql(
                f"ALTER TABLE {name} PARTITION ({_spec(folder)}) SET LOCATION '{location}'"
            )
        if replaces_all:
            for folder in sorted(self._folders.difference(self._written)):
                self._spark.sql(f"ALTER TABLE {name} DROP IF EXISTS PARTITION ({_spec(folder)})")


def _listed(spark: SparkSession, table: FileTable) -> Iterator[tuple[str, bool]]:
    """Yield the folder of each partition, and whether its rows are elsewhere."""
    catalog, root = session_state(spark).catalog(), hadoop_path(spark, table.location)
    name = identifier(spark, table.name)
    columns = catalog.getTableMetadata(name).partitionColumnNames()
    paths = jvm(spark).org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils
    prefix = str(root.toString()).rstrip("/") + "/"
    for partition in scala_items(catalog.listPartitions(name, jvm(spark).scala.Option.empty())):
        expected = str(paths.generatePartitionPath(partition.spec(), columns, root).toString())
        location = partition.storage().locationUri()
        actual = hadoop_path(spark, location.get()).toString() if location.isDefined() else None
        is_elsewhere = actual is not None and _plain(str(actual)) != _plain(expected)
        yield expected.removeprefix(prefix), is_elsewhere


def _plain(uri: str) -> str:
    return uri.removeprefix("file://").removeprefix("file:").rstrip("/")
