"""What counts as a table, for type checkers and at run time.

The types are protocols, so that neither pandas nor pyarrow (which has no type stubs) nor pyspark
must be installed, or typed, for a user's code to be checked. A function from `TableT` to `TableT`
returns the type that it was given: a Spark DataFrame for a Spark DataFrame.
"""

from __future__ import annotations

import sys
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


def is_a(value: object, package: str, name: str) -> bool:
    """Return whether a value is of a class of a package, by the name of that class.

    So nobody pays for importing a package that they don't use. Any module of the package counts, as
    classes move between releases.
    """
    return any(
        base.__name__ == name and f"{base.__module__}.".startswith(f"{package}.")
        for base in type(value).__mro__
    )


def is_keras_model(value: object) -> bool:
    """Return whether a value is a model of Keras 3 or tf_keras."""
    return is_a(value, "keras", "Model") or is_a(value, "tf_keras", "Model")


def is_spark(table: object) -> bool:
    """Return whether a table is a DataFrame of Spark."""
    return is_a(table, "pyspark.sql", "DataFrame")


def is_pandas(table: object) -> bool:
    """Return whether a table is a DataFrame of pandas."""
    return is_a(table, "pandas", "DataFrame")


def is_arrow(table: object) -> bool:
    """Return whether a table is a Table or a RecordBatch of pyarrow."""
    return is_a(table, "pyarrow", "Table") or is_a(table, "pyarrow", "RecordBatch")


def audience_of(table: object) -> Audience:
    """Return the audience that messages about a table are for."""
    if is_spark(table):
        return "python"
    return "pandas" if is_pandas(table) else "arrow"


def type_name(table: object) -> str:
    """Return the full name of a table's type, for messages."""
    return class_name(type(table))


def class_name(kind: type) -> str:
    """Return the full name of a class as users import it: ``pyarrow.Table``.

    That is from the outermost package that has it, not from the module that defines it.
    """
    if kind.__module__ == "builtins":
        return kind.__qualname__
    parts = kind.__module__.split(".")
    for depth in range(1, len(parts)):
        package = ".".join(parts[:depth])
        if getattr(sys.modules.get(package), kind.__qualname__, None) is kind:
            return f"{package}.{kind.__qualname__}"
    return f"{kind.__module__}.{kind.__qualname__}"
