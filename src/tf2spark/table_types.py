"""What counts as a table, for type checkers and at run time.

The types are protocols, so that neither pandas nor pyarrow (which has no type stubs) nor pyspark
must be installed, or typed, for a user's code to be checked. A function from `TableT` to `TableT`
returns the type that it was given: a Spark DataFrame for a Spark DataFrame.
"""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from tf2spark.errors import Audience


@runtime_checkable
class SparkTable(Protocol):
    """A DataFrame of Spark, batch or streaming, classic or Connect."""

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""

    @property
    def sparkSession(self) -> object:
        """The session that it belongs to."""


@runtime_checkable
class PandasTable(Protocol):
    """A DataFrame of pandas."""

    # A bool: any attribute of Spark's DataFrame is a Column, so it doesn't match this protocol.
    @property
    def empty(self) -> bool:
        """Whether it has no rows or no columns."""

    @property
    def iloc(self) -> object:
        """Its rows and columns by position."""


@runtime_checkable
class ArrowTable(Protocol):
    """A Table or a RecordBatch of pyarrow."""

    @property
    def num_rows(self) -> int:
        """How many rows it has."""

    @property
    def schema(self) -> object:
        """The names and types of its columns."""


LocalTable = PandasTable | ArrowTable
Table = SparkTable | LocalTable
TableT = TypeVar("TableT", bound=Table)


def is_spark(table: object) -> bool:
    """Return whether a table is a DataFrame of Spark."""
    # By module name, so that a user of pandas never pays for importing Spark. The name of the class
    # counts too: sessions, columns and readers are from the same modules.
    return any(
        base.__module__.startswith("pyspark.sql.") and base.__name__ == "DataFrame"
        for base in type(table).__mro__
    )


def is_pandas(table: object) -> bool:
    """Return whether a table is a DataFrame of pandas."""
    # By module name, so that a user of Arrow never pays for importing pandas.
    return any(
        base.__module__.startswith("pandas.") and base.__name__ == "DataFrame"
        for base in type(table).__mro__
    )


def is_arrow(table: object) -> bool:
    """Return whether a table is a Table or a RecordBatch of pyarrow."""
    return any(
        base.__module__.startswith("pyarrow.") and base.__name__ in ("Table", "RecordBatch")
        for base in type(table).__mro__
    )


def audience_of(table: object) -> Audience:
    """Return the audience that messages about a table are for."""
    if is_spark(table):
        return "python"
    return "pandas" if is_pandas(table) else "arrow"


def type_name(table: object) -> str:
    """Return the full name of a table's type, for messages."""
    return f"{type(table).__module__}.{type(table).__qualname__}"
