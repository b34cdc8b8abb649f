"""How a user says which columns feed an input, and which outputs become columns.

In Python these are plain values (`"features.indices"`, `["a", "b"]`, `0.5`) and the small
functions below; `cli.feed_text` reads the same from the command line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, Union

from attrs import evolve, frozen

from tf2spark.binding.tf_example.feed import Example as Example
from tf2spark.binding.tf_example.feed import example as example
from tf2spark.errors import Advice, ContractError, shortened
from tf2spark.plan.score import VectorField
from tf2spark.table_types import class_name

if TYPE_CHECKING:
    import numpy as np


@frozen
class Column:
    """A column, or a field inside one: ``features``, ``features.indices``, ``user.address.zip``."""

    path: str

    def __str__(self) -> str:
        return self.path


@frozen
class Assembled:
    """Columns joined into one vector, as MLlib's VectorAssembler joins them."""

    columns: tuple[Column, ...]
    part: VectorField | None = None

    @property
    def indices(self) -> Assembled:
        """The ids of the joined vector."""
        return evolve(self, part="indices")

    @property
    def values(self) -> Assembled:
        """The values of the joined vector."""
        return evolve(self, part="values")

    def __str__(self) -> str:
        inside = f"assembled({', '.join(map(str, self.columns))})"
        return f"{inside}.{self.part}" if self.part else inside


@frozen
class Joined:
    """Columns concatenated along the second axis, in the order given."""

    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.columns)) + "]"


@frozen
class Padded:
    """Rows of different lengths, padded with `value` to the longest of the batch."""

    column: Column | Joined | Assembled
    value: float | int | str | bool | bytes

    def __str__(self) -> str:
        return f"padded({self.column}, {self.value!r})"


@frozen
class Constant:
    """One value for all rows: a number, a bool, a string, or nested lists of them."""

    value: Any

    def __str__(self) -> str:
        return f"literal({self.value!r})"


Feed = Column | Assembled | Joined | Padded | Constant | Example


@frozen
class Output:
    """An output of the signature or any tensor of the graph, and how it becomes a column.

    Attributes:
        name: The signature's output, or a tensor name (``hidden/Relu:0``).
        rank: The tensor's rank, including the batch dimension, if the graph doesn't say.
        binary: Strings become ``binary`` instead of ``string``.
        as_map: A sparse matrix becomes maps of index to value, instead of structs of two lists.
    """

    name: str
    rank: int | None = None
    binary: bool = False
    as_map: bool = False

    def __str__(self) -> str:
        if self.as_map:
            return f"map({self.name})"
        return f"binary({self.name})" if self.binary else self.name


FeedValue: TypeAlias = Union[
    str, bool, int, float, Sequence[str], Feed, "np.number[Any]", "np.bool_"
]
"""What a user may write to feed an input: a column, several, a number or bool, or a `Feed`."""
OutputName: TypeAlias = str | Output
Fetch: TypeAlias = OutputName | Sequence[OutputName] | Mapping[str, OutputName]
"""What a user may write to fetch outputs: one, several, or a mapping of columns to outputs."""


def literal(value: Any) -> Constant:
    """Feed one value to an input for every row.

    ``feed={"lang": literal("en")}``. A plain number or bool means the same without `literal`; a
    plain string is a column.

    Raises:
        ContractError: `value` isn't a number, a bool, text or nested lists of them.
    """
    if callable(value) or isinstance(value, Mapping | set | frozenset):
        raise ContractError(
            "literal() takes a number, a bool, text or nested lists of them, not "
            f"{shortened(value)}"
        )
    return Constant(value)


def padded(column: FeedValue, value: float | str | bytes | np.number[Any]) -> Padded:
    """Pad rows of different lengths with `value`.

    ``feed={"ids": padded("ids", 0)}`` pads them to the input's own fixed length, or to the longest
    row of the batch.

    Raises:
        ContractError: `column` is a constant or padded already, or `value` is not a single value.
    """
    inner = as_feed(column)
    if isinstance(inner, Padded | Constant | Example):
        raise ContractError(f"padded() takes a column or a list of columns, not {inner}")
    pad = value.item() if _is_numpy_scalar(value) else value
    if not isinstance(pad, bool | int | float | str | bytes):
        raise ContractError(f'padded() takes a single value to pad with (0, -1.0, ""), not {pad!r}')
    return Padded(inner, pad)


def assembled(*columns: str) -> Assembled:
    """Join columns into one vector, as MLlib's VectorAssembler does.

    The ids of each column are offset by the sizes of the columns before it; a numeric column
    counts as a vector of size 1. ``assembled("a", "b").indices`` and ``.values`` feed id and value
    inputs.

    Raises:
        ContractError: There is no column, or one is not a name.
    """
    if not columns or not all(isinstance(path, str) and path for path in columns):
        raise ContractError('assembled() takes column names: assembled("user", "item")')
    return Assembled(tuple(Column(path) for path in columns))


def output(
    name: str, *, rank: int | None = None, binary: bool = False, as_map: bool = False
) -> Output:
    """Name an output and say more about its column.

    Args:
        name: The output, or a tensor of the graph.
        rank: Its rank, including the batch dimension, if the graph doesn't say.
        binary: Its strings are bytes, not text.
        as_map: The rows of a sparse matrix become maps of index to value.

    Raises:
        ContractError: `name` is no name, or `rank` isn't an integer of at least 1.
    """
    if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
        raise ContractError(
            "output(rank=...) counts an output's dimensions, with the batch, not "
            f"{shortened(rank)}",
            f"write output({shortened(name)}, rank=1) for one value per row, rank=2 for a list",
        )
    return Output(_output_name(name), rank, binary, as_map)


def binary(name: str) -> Output:
    """Name a string output that isn't UTF-8 text, so that its column is ``binary``.

    Raises:
        ContractError: `name` is no name.
    """
    return Output(_output_name(name), binary=True)


def _output_name(name: object) -> str:
    if isinstance(name, Output):
        return name.name
    if not isinstance(name, str) or not name:
        raise ContractError(
            f"{shortened(name)} is not the name of an output", 'write output("y") or binary("y")'
        )
    return name


def as_feed(value: object) -> Feed:
    """Turn what a user wrote for one input into a `Feed`.

    Raises:
        ContractError: It can't feed an input.
    """
    if isinstance(value, Feed):
        return value
    if isinstance(value, str):
        return Column(value)
    if _is_numpy_scalar(value):
        value = value.item()
    if isinstance(value, bool | int | float):
        return Constant(value)
    if isinstance(value, list | tuple) and value and all(isinstance(path, str) for path in value):
        return Column(value[0]) if len(value) == 1 else Joined(tuple(map(Column, value)))
    raise ContractError(f"{_one_line(value)} can't feed an input", _feed_value_advice(value))


def _feed_value_advice(value: object) -> str | Advice:
    """Say what to write instead of a value that can't feed an input."""
    module, kind = type(value).__module__, type(value).__name__
    if kind == "Column" and module.startswith("pyspark.sql"):
        return (
            "write the name of a column; a computed one gets a name with "
            'df = df.withColumn("NAME", column)'
        )
    if isinstance(value, Output):
        return "binary() and output() name outputs: write a column name"
    if kind == "Series" and isinstance(name := getattr(value, "name", None), str):
        return f"write its name, {json.dumps(name, ensure_ascii=False)}"
    if isinstance(value, list | tuple) and any(isinstance(part, Example) for part in value):
        return 'write example("a", "b") with the columns of all its features, outside of a list'
    if hasattr(value, "__array__") or (isinstance(value, list | tuple | bytes | Decimal) and value):
        return (
            "write the name of a column of the table, or literal(...) with plain numbers or text "
            "for one value for all rows"
        )
    if value is example:
        return 'call it: example(), or example("COLUMN")'
    if callable(value):
        return "compute a column first: " + Advice(
            'df = df.withColumn("NAME", ...), and write "NAME"',
            "SELECT ... AS NAME, and write NAME",
            'df["NAME"] = ..., and write "NAME"',
            'table = table.append_column("NAME", ...), and write "NAME"',
        )
    if value is None:
        return "leave the input out, and it takes the column of its own name"
    return (
        "write a column name, a list of column names, a number, "
        'literal("text"), literal([1, 2]), padded(column, value) or assembled("a", "b")'
    )


def _one_line(value: object) -> str:
    """Return the repr of a value; of a table or an array, whose repr has many lines, its class."""
    kind = type(value)
    return class_name(kind) if "\n" in repr(value) else shortened(value)


def _is_numpy_scalar(value: object) -> TypeGuard[np.number[Any] | np.bool_]:
    # A caller with a NumPy value has imported NumPy already; no other caller should pay for it.
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.bool_ | numpy.number)


def columns_of(feed: Feed) -> tuple[Column, ...]:
    """Return the columns that a feed reads, in order."""
    match feed:
        case Column():
            return (feed,)
        case Assembled(columns) | Joined(columns):
            return columns
        case Padded(inside):
            return columns_of(inside)
        case Example(columns):
            return tuple(Column(path) for _, path in columns)
        case _:
            return ()
