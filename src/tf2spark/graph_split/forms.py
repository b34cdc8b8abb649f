"""The forms that a tensor of a user x item graph can have.

A score belongs to a pair (user, item). In the whole graph a tensor has one row a pair; a form says
how that row comes about from what is known of the user and of the item, so that each part can be
computed as rarely as it can be. `dims` are the dimensions of one row, without the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tf2spark.dtypes import DType

Array = npt.NDArray[Any]
SideName = Literal["user", "item"]
Dims = tuple[int | None, ...]


class NotRowWise(Exception):
    """The graph isn't known to treat rows apart; the message says which op and why."""


class NotSplit(Exception):
    """The graph can't be taken apart; the message says why.

    `row_wise` says that it is known to treat rows apart all the same.
    """

    def __init__(self, why: str, *, row_wise: bool = False) -> None:
        super().__init__(why)
        self.row_wise = row_wise


@frozen(eq=False)
class Const:
    """No input above it: the same for all pairs. `shape` is the whole one: it has no batch."""

    tensor: str
    dtype: DType
    shape: Dims
    load: Callable[[], Array]

    @property
    def value(self) -> Array:
        return self.load()


@frozen(eq=False)
class Side:
    """Depends on one side only: a tensor [users, ...] or [items, ...]."""

    side: SideName
    tensor: str
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Pair:
    """A value a pair: a tensor [users * items, ...], users in the outer loop."""

    tensor: str
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Concat:
    """Parts side by side along an axis (1 or more; 0 is the batch), not yet put together."""

    axis: int
    parts: tuple[Value, ...]
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Sum:
    """Terms that broadcast against each other, not yet added: one a side at the most."""

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
class Merged:
    """Rows of [count, ...] that stand below each other: the tensor is [batch * count, ...]."""

    inner: Value
    count: int
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Beside:
    """Rows of [count, ...] that stand beside each other: the tensor is [1, batch * count, ...]."""

    inner: Value
    count: int
    dtype: DType
    dims: Dims


@frozen(eq=False)
class Sizes:
    """Shape arithmetic: integers that are known, `Batch`, or None where nothing is known.

    `sides` are those whose batch it speaks of.
    """

    values: Array
    dtype: DType
    sides: frozenset[SideName]


@frozen(eq=False)
class Between:
    """Random numbers from `low` up to, but without, `high`: what dropout leaves in a graph."""

    low: float
    high: float
    dtype: DType


@frozen
class AtLeast:
    """An integer of the batch (the largest id in it, say) that is no smaller than this."""

    low: int


@frozen
class Batch:
    """So many times the number of rows."""

    times: int = 1


Value = Const | Side | Pair | Concat | Sum | Product | Merged | Beside | Sizes | Between
"""A tensor in one of its forms."""
Rows = Side | Pair | Concat | Sum | Product | Merged | Beside
"""The forms that have a row a pair."""


def dims_of(value: Value) -> Dims:
    """Return the dimensions of a row; of all of it for a constant."""
    if isinstance(value, Between):
        return ()
    if isinstance(value, Sizes):
        return tuple(value.values.shape)
    return value.shape if isinstance(value, Const) else value.dims


def sides_of(value: Value) -> frozenset[SideName]:
    """Return the sides that a value depends on."""
    match value:
        case Side():
            return frozenset((value.side,))
        case Pair():
            return frozenset(("user", "item"))
        case Concat(parts=inside) | Sum(terms=inside):
            return frozenset().union(*map(sides_of, inside))
        case Product():
            return sides_of(value.left) | sides_of(value.right)
        case Merged() | Beside():
            return sides_of(value.inner)
        case Sizes():
            return value.sides
        case _:
            return frozenset()


def broadcast_dims(values: Sequence[Value]) -> Dims:
    """Return the dimensions of a row of an elementwise op's result.

    Raises:
        NotRowWise: The batch of one would meet a feature axis of another.
    """
    rank = max(len(dims_of(value)) for value in values if not isinstance(value, Const))
    for value in values:
        if isinstance(value, Const):
            _refuse_batch(value, rank)
        elif len(dims_of(value)) != rank:
            raise NotRowWise("tensors of different rank meet, so that rows meet columns")
    found: list[int | None] = [1] * rank
    for value in values:
        dims = dims_of(value)[-rank:] if rank else ()
        for place, size in enumerate(dims, start=rank - len(dims)):
            found[place] = _broadcast(found[place], size)
    return tuple(found)


def _refuse_batch(value: Const, rank: int) -> None:
    extra = value.shape[: len(value.shape) - rank]
    if any(size != 1 for size in extra):
        raise NotRowWise("a constant has a value of its own for every row of the batch")
    if len(extra) > 1:
        raise NotRowWise("a constant has more dimensions than the rows that it meets")


def _broadcast(one: int | None, other: int | None) -> int | None:
    if one == 1:
        return other
    return one if other in (1, None) else other


def known(dims: Dims, what: str) -> tuple[int, ...]:
    """Return dimensions that are all known.

    Raises:
        NotSplit: One isn't.
    """
    found = tuple(size for size in dims if size is not None)
    if len(found) < len(dims):
        raise NotSplit(f"{what} has a row of unknown size ({dims})")
    return found


def count(dims: Dims) -> int | None:
    """Return the number of values of a row, or None."""
    return None if None in dims else int(np.prod([size or 0 for size in dims], dtype=np.int64))
