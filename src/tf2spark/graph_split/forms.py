"""The forms that a tensor can have while a user x item graph is split.

A score belongs to a pair of a user and an item, so in the whole graph every tensor has one row per
pair. A form says how that row follows from what is known of the user alone and of the item alone.
Computation per pair is what costs, so a form postpones it: a `Sum` of a user's and an item's
`Side` is two small tensors until an op needs the added value.

`dims` are the dimensions of one row, without the batch axis. Axes count from 1 in rows, since
axis 0 of the whole tensor is the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from attrs import frozen

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import Dims, DType

SideName = Literal["user", "item"]
SIDES: tuple[SideName, ...] = ("user", "item")


class NotRowWise(Exception):
    """The graph isn't known to treat each row independently; the message names the op and why.

    Then a score could depend on which other pairs run with it, so not even blocks of pairs are
    safe.
    """


class NotSplit(Exception):
    """The graph can't be split into sides; the message says why.

    Attributes:
        row_wise: Whether the graph is known to treat rows independently all the same, so that it
            can run whole in blocks of pairs.
    """

    def __init__(self, reason: str, *, row_wise: bool = False) -> None:
        super().__init__(reason)
        self.row_wise = row_wise


@frozen(eq=False)
class Const:
    """Depends on no input: the same for all pairs. `shape` is the whole shape, without a batch."""

    tensor: str
    dtype: DType
    shape: Dims
    load: Callable[[], Array]

    @property
    def value(self) -> Array:
        return self.load()


@frozen(eq=False)
class Side:
    """Depends on one side only: a tensor [users, *dims] or [items, *dims]."""

    side: SideName
    tensor: str
    dtype: DType
    dims: Dims


@frozen(eq=False)
class OneSided:
    """Depends on one side only, in a way that no rule describes.

    Its first axis may be the side's rows, or not (what a loop keeps is [steps, rows, ...]), and
    rows may meet in it. Other ops of the same side take it as it is; where it meets the other side,
    it must turn out to be a row for each of its side's (`FormWalk.as_rows`).
    """

    side: SideName
    tensor: str
    dtype: DType


@frozen(eq=False)
class Pair:
    """A value per pair: a tensor [users * items, *dims], users in the outer loop."""

    tensor: str
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Concat:
    """Parts side by side along an axis of the row, not yet concatenated."""

    axis: int
    parts: tuple[Value, ...]
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Sum:
    """Terms that broadcast against each other, not yet added: at most one `Side` per side."""

    terms: tuple[Value, ...]
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Product:
    """Two factors that broadcast against each other, not yet multiplied."""

    left: Value
    right: Value
    dtype: DType
    dims: Dims


@frozen(eq=False)
class StackedRows:
    """Several rows per pair, stacked along the batch axis: the tensor is [batch * count, *dims].

    `inner` is the same values as one row per pair, with rows of [count, *dims].
    """

    inner: Value
    count: int
    dtype: DType
    dims: Dims


@frozen(eq=False)
class ChannelRows:
    """Several rows per pair along axis 1, as channels of one image: [1, batch * count, *dims].

    `inner` is the same values as one row per pair, with rows of [count, *dims].
    """

    inner: Value
    count: int
    dtype: DType
    dims: Dims


@frozen(eq=False)
class TransposedRows:
    """Rows along the second axis: the tensor is [count, batch, ...].

    `inner` is the same values as one row per pair, with rows of [count, ...], which are `dims`.
    """

    inner: Value
    dtype: DType
    dims: Dims


@frozen(eq=False)
class RowPositions:
    """The positions of values in the rows of a batch, one after the other: the same in each row.

    Attributes:
        columns: The positions in a row.
        row_size: The number of values of a row.
        dtype: That of the positions.
    """

    columns: tuple[int, ...]
    row_size: int
    dtype: DType


@frozen(eq=False)
class ShapeVector:
    """Shape arithmetic: integers, some known only as a multiple of the number of rows.

    Attributes:
        values: An object array of int, `BatchSize`, `LowerBound`, or None where nothing is known.
        sides: The sides whose rows the values count.
    """

    values: Array
    dtype: DType
    sides: frozenset[SideName]


@frozen(eq=False)
class RandomRange:
    """Random numbers in [low, high): what dropout leaves in a graph."""

    low: float
    high: float
    dtype: DType


@frozen
class LowerBound:
    """An integer that depends on the data (the largest id, say) and is at least `low`."""

    low: int


@frozen
class BatchSize:
    """The number of rows of the batch, times a factor."""

    times: int = 1


Value = (
    Const | Side | OneSided | Pair | Concat | Sum | Product | StackedRows | ChannelRows
    | TransposedRows | RowPositions | ShapeVector | RandomRange
)  # fmt: skip
"""A tensor in one of its forms."""
Operand = Const | Side | Pair
"""The forms that are one tensor, which an op can read."""


def dims_of(value: Value) -> Dims:
    """Return the dimensions of a row; the whole shape of what has no rows."""
    # Random numbers are followed as a range, for which their shape doesn't matter.
    # Nothing is known of what is merely one-sided, and no rule is given it.
    if isinstance(value, RandomRange | OneSided | RowPositions):
        return ()
    if isinstance(value, ShapeVector):
        return tuple(value.values.shape)
    return value.shape if isinstance(value, Const) else value.dims


def transposed(inner: Value) -> TransposedRows:
    """Return the tensor [count, batch, ...] of the rows [batch, count, ...]."""
    assert not isinstance(inner, Const)
    return TransposedRows(inner, inner.dtype, dims_of(inner))


def sides_of(value: Value) -> frozenset[SideName]:
    """Return the sides that a value depends on."""
    match value:
        case Side() | OneSided():
            return frozenset((value.side,))
        case Pair():
            return frozenset(SIDES)
        case Concat(parts=members) | Sum(terms=members):
            return frozenset().union(*map(sides_of, members))
        case Product():
            return sides_of(value.left) | sides_of(value.right)
        case StackedRows() | ChannelRows() | TransposedRows():
            return sides_of(value.inner)
        case ShapeVector():
            return value.sides
        case _:
            return frozenset()


def common_side(values: Sequence[Value]) -> SideName | None:
    """Return the side that all non-constant values belong to; None where there isn't one."""
    # Constants are the same for every side, so they don't count.
    row_values = [value for value in values if not isinstance(value, Const)]
    sides = {value.side for value in row_values if isinstance(value, Side)}
    if len(sides) != 1 or not all(isinstance(value, Side) for value in row_values):
        return None
    return sides.pop()


def broadcast_dims(values: Sequence[Value]) -> Dims:
    """Return the dimensions of a row of an elementwise op's result.

    Broadcasting aligns axes from the right, so values of equal rank have their batch axes aligned.
    A constant is the exception: it has no batch axis, and may be of any lower rank.

    Raises:
        NotRowWise: The batch axis of one value would meet a feature axis of another.
    """
    rank = max(len(dims_of(value)) for value in values if not isinstance(value, Const))
    result: list[int | None] = [1] * rank
    for value in values:
        if isinstance(value, Const):
            _check_constant_has_no_rows(value, rank)
        elif len(dims_of(value)) != rank:
            raise NotRowWise("its inputs differ in rank, so rows would meet columns")
        dims = dims_of(value)[-rank:] if rank else ()
        for axis, size in enumerate(dims, start=rank - len(dims)):
            result[axis] = _broadcast_size(result[axis], size)
    return tuple(result)


def _check_constant_has_no_rows(value: Const, rank: int) -> None:
    # `rank` is without the batch: an axis beyond it would meet the batch, unless of size 1.
    extra = value.shape[: max(0, len(value.shape) - rank)]
    if any(size != 1 for size in extra):
        raise NotRowWise("a constant input has a value for each row of the batch")
    if len(extra) > 1:
        raise NotRowWise("a constant input has a higher rank than the rows")


def _broadcast_size(left: int | None, right: int | None) -> int | None:
    if left == 1:
        return right
    # Of an unknown size and a known one that isn't 1, the known one is the result's.
    return left if right in (1, None) else right


def require_known(dims: Dims, subject: str) -> tuple[int, ...]:
    """Return dimensions, all of which must be known.

    Args:
        dims: The dimensions.
        subject: What has them, for the message: "a mean".

    Raises:
        NotSplit: One is unknown.
    """
    sizes = tuple(size for size in dims if size is not None)
    if len(sizes) < len(dims):
        raise NotSplit(f"{subject} has unknown dimensions ({dims})")
    return sizes


def value_count(dims: Dims) -> int | None:
    """Return the number of values in a row; None where a dimension is unknown."""
    return None if None in dims else int(np.prod([size or 0 for size in dims], dtype=np.int64))
