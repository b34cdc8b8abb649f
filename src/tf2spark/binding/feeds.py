"""How a user says which columns feed an input, and which outputs become columns.

In Python these are plain values (`"features.indices"`, `["a", "b"]`, `0.5`) and the small
functions below; `cli.feed_text` reads the same from the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, Union

from attrs import evolve, frozen

from tf2spark.errors import ContractError, shortened
from tf2spark.plan.score import VectorField

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


Feed = Column | Assembled | Joined | Padded | Constant


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
    """
    return Constant(value)


def padded(column: FeedValue, value: float | str | bytes | np.number[Any]) -> Padded:
    """Pad rows of different lengths with `value`.

    ``feed={"ids": padded("ids", 0)}`` pads them to the input's own fixed length, or to the longest
    row of the batch.

    Raises:
        ContractError: `column` is a constant or padded already, or `value` is not a single value.
    """
    inner = as_feed(column)
    if isinstance(inner, Padded | Constant):
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
    """
    return Output(name, rank, binary, as_map)


def binary(name: str) -> Output:
    """Name a string output that isn't UTF-8 text, so that its column is ``binary``."""
    return Output(name, binary=True)


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
    raise ContractError(
        f"{shortened(value)} can't feed an input",
        "write a column name, a list of column names, a number, "
        'literal("text"), literal([1, 2]), padded(column, value) or assembled("a", "b")',
    )


def as_output(value: object) -> Output:
    """Turn what a user wrote for one output column into an `Output`.

    Raises:
        ContractError: It names no output.
    """
    if isinstance(value, Output):
        return value
    if isinstance(value, str):
        return Output(value)
    raise ContractError(
        f"{shortened(value)} is not an output",
        "write the name of an output or of a tensor, binary(name) or output(name, rank=2)",
    )


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
        case _:
            return ()


def normalize_feeds(feed: Mapping[str, FeedValue] | None) -> dict[str, Feed] | None:
    """Turn the `feed` argument of a call into `Feed` values.

    Raises:
        ContractError: It isn't a mapping of input names to what feeds them.
    """
    if feed is None:
        return None
    if not (isinstance(feed, Mapping) and all(isinstance(name, str) for name in feed)):
        raise ContractError(
            f"{shortened(feed)} doesn't say which column feeds which input",
            'write feed={"INPUT": "COLUMN"}',
        )
    return {name: as_feed(value) for name, value in feed.items()}


def normalize_fetches(fetch: Fetch | None) -> dict[str, Output] | None:
    """Turn the `fetch` argument of a call into `Output` values by column.

    A mapping is column to output; a list or a single name keeps the outputs' own names.

    Raises:
        ContractError: It is none of these, it is empty, or two outputs would share a column.
    """
    if fetch is None:
        return None
    if isinstance(fetch, str | Output):
        fetch = [fetch]
    if isinstance(fetch, list | tuple):
        return _by_own_name([as_output(value) for value in fetch])
    if not (isinstance(fetch, Mapping) and all(isinstance(name, str) for name in fetch)):
        raise ContractError(
            f"{shortened(fetch)} doesn't say which outputs to fetch",
            "write a list of outputs, or which output becomes which column: "
            'fetch={"COLUMN": "OUTPUT"}',
        )
    return _not_empty({column: as_output(value) for column, value in fetch.items()})


def _by_own_name(outputs: Sequence[Output]) -> dict[str, Output]:
    """Name each column after its output; a raw tensor's, after the last part of its node's name."""
    by_column: dict[str, Output] = {}
    for fetched in outputs:
        column = fetched.name.partition(":")[0].rpartition("/")[2]
        if column in by_column:
            raise ContractError(
                f'"{by_column[column].name}" and "{fetched.name}" would both become the column '
                f'"{column}"',
                'name the columns: fetch={"COLUMN": "OUTPUT"}',
            )
        by_column[column] = fetched
    return _not_empty(by_column)


def _not_empty(fetches: dict[str, Output]) -> dict[str, Output]:
    if not fetches:
        raise ContractError("fetch is empty", "name at least one output, or leave fetch out")
    return fetches
