"""How a user says which columns feed an input, and which outputs become columns.

In Python these are plain values (`"features.indices"`, `["a", "b"]`, `0.5`) and the small
functions below; on the command line the same is written as text (`parse_feed`, `parse_fetch`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import evolve, frozen

from tf2spark.errors import ContractError

Part = Literal["indices", "values", "size"]


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
    part: Part | None = None

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
    """Columns put side by side along the second axis, in the order given."""

    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.columns)) + "]"


@frozen
class Padded:
    """Rows of different lengths, filled up with `value` to the longest of the batch."""

    column: Column | Joined | Assembled
    value: float | int | str | bool

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
        rank: The tensor's rank, batch dimension included, where the graph doesn't tell.
        binary: Strings become ``binary`` instead of ``string``.
    """

    name: str
    rank: int | None = None
    binary: bool = False

    def __str__(self) -> str:
        return f"binary({self.name})" if self.binary else self.name


def literal(value: Any) -> Constant:
    """Feed one value to an input for every row: ``feed={"lang": literal("en")}``.

    A plain number or bool means the same without `literal`; a plain string is a column.
    """
    return Constant(value)


def padded(column: Any, value: float | int | str | bool) -> Padded:
    """Fill rows of different lengths up with `value`: ``feed={"ids": padded("ids", 0)}``.

    They are filled to the input's own fixed length, or to the longest row of the batch.
    """
    inside = as_feed(column)
    if isinstance(inside, Padded | Constant):
        raise ContractError(f"padded() takes a column or a list of columns, not {inside}")
    return Padded(inside, value)


def assembled(*columns: str) -> Assembled:
    """Join columns into one vector, as MLlib's VectorAssembler does.

    The ids of each are offset by the sizes of those before it; a numeric column counts as a
    vector of size 1. ``assembled("a", "b").indices`` and ``.values`` feed id and value inputs.
    """
    if not columns:
        raise ContractError("assembled() needs at least one column: assembled('user', 'item')")
    return Assembled(tuple(Column(path) for path in columns))


def output(name: str, *, rank: int | None = None, binary: bool = False) -> Output:
    """Name an output and say what the graph doesn't: its rank, or that its strings are bytes."""
    return Output(name, rank, binary)


def binary(name: str) -> Output:
    """Name a string output that isn't UTF-8 text: its column becomes ``binary``."""
    return Output(name, binary=True)


def as_feed(value: Any) -> Feed:
    """Turn what a user wrote for one input into a `Feed`.

    Raises:
        ContractError: It is none of the things that can feed an input.
    """
    if isinstance(value, Feed):
        return value
    if isinstance(value, str):
        return Column(value)
    if isinstance(value, bool | int | float):
        return Constant(value)
    if isinstance(value, Sequence) and value and all(isinstance(one, str) for one in value):
        return Column(value[0]) if len(value) == 1 else Joined(tuple(map(Column, value)))
    raise ContractError(
        f"{value!r} can't feed an input: write a column name, a list of column names, a number, "
        'literal("text"), padded(column, value) or assembled("a", "b")'
    )


def as_output(value: Any) -> Output:
    """Turn what a user wrote for one output column into an `Output`."""
    if isinstance(value, Output):
        return value
    if isinstance(value, str):
        return Output(value)
    raise ContractError(
        f"{value!r} is no output: write the name of an output or of a tensor, or binary(name)"
    )


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


def parse_feed(options: Sequence[str]) -> dict[str, Feed] | None:
    """Read ``--feed`` options: INPUT=COLUMN[,COLUMN...], INPUT=padded(COLUMN, JSON),
    INPUT=assembled(COLUMN, ...)[.indices|.values] or INPUT:=JSON.

    Returns:
        Input names to feeds, or None where there is no option (match by name).

    Raises:
        ContractError: An option isn't of that form, or an input is named twice.
    """
    feeds: dict[str, Feed] = {}
    for option in options:
        # A tensor name holds a colon too ("x:0=col"), so ":=" is looked for as a whole.
        constant = re.match(r"^([^=]+?):=(.*)$", option, re.DOTALL)
        plain = re.match(r"^([^=]+)=(.+)$", option, re.DOTALL)
        if constant:
            name, feed = constant[1], _parse_constant(option, constant[2])
        elif plain:
            name, feed = plain[1], _parse_expression(plain[2].strip())
        else:
            raise ContractError(
                f"--feed {option}: write INPUT=COLUMN, INPUT=COLUMN,COLUMN or INPUT:=JSON"
            )
        _add(feeds, name.strip(), feed, f"--feed {option}")
    return feeds or None


def parse_fetch(options: Sequence[str]) -> dict[str, Output] | None:
    """Read ``--fetch`` options: COLUMN=OUTPUT or COLUMN=binary(OUTPUT).

    Returns:
        Column names to outputs, or None where there is no option (all outputs).

    Raises:
        ContractError: An option isn't of that form, or a column is named twice.
    """
    fetches: dict[str, Output] = {}
    for option in options:
        column, equals, name = option.partition("=")
        if not (equals and column.strip() and name.strip()):
            raise ContractError(f"--fetch {option}: write COLUMN=OUTPUT or COLUMN=binary(OUTPUT)")
        call = re.fullmatch(r"binary\((.+)\)", name.strip())
        target = Output(call[1].strip(), binary=True) if call else Output(name.strip())
        _add(fetches, column.strip(), target, f"--fetch {option}")
    return fetches or None


def _add(found: dict[str, Any], name: str, value: Any, option: str) -> None:
    if name in found:
        raise ContractError(f"{option}: {name} is given twice")
    found[name] = value


def _parse_constant(option: str, text: str) -> Constant:
    try:
        return Constant(json.loads(text))
    except ValueError as error:
        raise ContractError(
            f"--feed {option}: what follows := must be JSON (1.0, true, \"text\"): {error}"
        ) from None


def _parse_expression(text: str) -> Feed:
    call = re.fullmatch(r"padded\((.*),\s*([^,]+)\)", text, re.DOTALL)
    if call:
        return padded(_parse_expression(call[1].strip()), _parse_constant(text, call[2]).value)
    call = re.fullmatch(r"assembled\(([^()]*)\)(?:\.(indices|values))?", text)
    if call:
        joined = assembled(*(part.strip() for part in call[1].split(",") if part.strip()))
        return evolve(joined, part=call[2])
    return as_feed([part.strip() for part in text.split(",") if part.strip()])


def normal_feeds(feed: Mapping[str, Any] | None) -> dict[str, Feed] | None:
    """Turn the `feed` argument of a user into `Feed` values."""
    return None if feed is None else {name: as_feed(value) for name, value in feed.items()}


def normal_fetches(fetch: Any) -> dict[str, Output] | None:
    """Turn the `fetch` argument of a user into `Output` values by column.

    A mapping is column to output; a list or a single name keeps the outputs' own names.
    """
    if fetch is None:
        return None
    if isinstance(fetch, str | Output):
        fetch = [fetch]
    if not isinstance(fetch, Mapping):
        named = [as_output(value) for value in fetch]
        fetch = {one.name.partition(":")[0].rpartition("/")[2]: one for one in named}
        if len(fetch) < len(named):
            raise ContractError("two outputs would have one column name: fetch={column: output}")
    if not fetch:
        raise ContractError("fetch is empty: name at least one output, or leave fetch out")
    return {column: as_output(value) for column, value in fetch.items()}
