"""A distribution of numbers that takes bounded memory and can be merged with others."""

from __future__ import annotations

import bisect
import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MANTISSA_BITS = 52
_ALL_BUT_SIGN = np.int64(2**63 - 1)


class ValueSketch:
    """How often each finite number occurs; exact while there are few different ones.

    The bits of a double, read as an integer, are ordered as doubles are. With more than
    `max_buckets` different numbers, the last bits are dropped, one after the other, which merges
    neighbors: the more numbers of one magnitude, the finer they are told apart. Which bits are
    dropped doesn't depend on the order in which numbers come.

    Attributes:
        count: The number of values.
        mean: Their mean.
        minimum: The smallest; infinity if there are none.
        maximum: The largest; minus infinity if there are none.
    """

    def __init__(self, max_buckets: int = 8192) -> None:
        self.count = 0
        self.mean = 0.0
        self.minimum, self.maximum = math.inf, -math.inf
        self._max_buckets = max_buckets
        self._squares = 0.0  # the sum of squared differences from the mean
        self._shift = 0  # how many low bits are dropped
        self._keys: Ints = np.empty(0, np.int64)  # what remains of the bits, in increasing order
        self._counts: Ints = np.empty(0, np.int64)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add finite values."""
        if not len(values):
            return
        doubles = values.astype(np.float64) + 0.0  # -0.0 becomes 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(doubles.mean())
            squares = float(((doubles - mean) ** 2).sum())
        self._add_moments(len(doubles), mean, squares)
        self.minimum = min(self.minimum, float(doubles.min()))
        self.maximum = max(self.maximum, float(doubles.max()))
        keys, counts = np.unique(_keys_of(doubles) >> self._shift, return_counts=True)
        self._add_buckets(keys, counts.astype(np.int64))

    def merge(self, other: ValueSketch) -> None:
        """Add the values of another sketch."""
        if not other.count:
            return
        self._add_moments(other.count, other.mean, other._squares)
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        if other._shift > self._shift:
            self._coarsen(other._shift - self._shift)
        self._add_buckets(other._keys >> (self._shift - other._shift), other._counts)

    @property
    def deviation(self) -> float:
        """The standard deviation of the values."""
        return math.sqrt(self._squares / self.count) if self.count else math.nan

    @property
    def relative_error(self) -> float:
        """How far a quantile can be off, as a fraction of itself; 0 if it is exact."""
        return 2.0 ** (self._shift - _MANTISSA_BITS - 1) if self._shift else 0.0

    @property
    def distinct(self) -> int | None:
        """The number of different values; None if it isn't known."""
        return None if self._shift else len(self._keys)

    def values(self) -> list[tuple[float, int]]:
        """Return each value and how often it occurs, by value; merged neighbors are one."""
        return list(zip(self._centers().tolist(), self._counts.tolist(), strict=True))

    def quantile(self, fraction: float) -> float:
        """Return the smallest value that at least this fraction of the values doesn't exceed."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(fraction * self.count - 1e-9))
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(self._centers()[index])

    def histogram(self, edges: Floats) -> Floats:
        """Return how many values lie between neighboring edges; those outside aren't counted.

        A value on an edge belongs to what is right of it, except for the last edge.
        """
        low, high = self._bounds()
        cumulative = np.concatenate([[0.0], np.cumsum(self._counts)])
        return np.diff(
            [self._below(float(edge), low, high, cumulative) for edge in edges[:-1]]
            + [self._below(float(np.nextafter(edges[-1], np.inf)), low, high, cumulative)]
        )

    def _below(self, edge: float, low: Floats, high: Floats, cumulative: Floats) -> float:
        """Return how many values are below an edge; within a bucket they are spread evenly."""
        index = int(np.searchsorted(high, edge, side="left"))
        if index == len(high):
            return float(cumulative[-1])
        # As Python's floats, whose quotient may overflow to infinity without a warning.
        first, width = float(low[index]), float(high[index]) - float(low[index])
        part = min(1.0, max(0.0, (edge - first) / width)) if width > 0 else 0.0
        return float(cumulative[index] + part * self._counts[index])

    def _bounds(self) -> tuple[Floats, Floats]:
        first = self._keys << self._shift
        last = first + np.int64((1 << self._shift) - 1)
        return (
            np.clip(_doubles_of(first), self.minimum, self.maximum),
            np.clip(_doubles_of(last), self.minimum, self.maximum),
        )

    def _centers(self) -> Floats:
        low, high = self._bounds()
        return low / 2 + high / 2

    def _add_moments(self, count: int, mean: float, squares: float) -> None:
        total, difference = self.count + count, mean - self.mean
        self._squares += squares + difference * difference * self.count * count / total
        self.mean += difference * count / total
        self.count = total

    def _add_buckets(self, keys: Ints, counts: Ints) -> None:
        keys, counts = np.concatenate([self._keys, keys]), np.concatenate([self._counts, counts])
        order = np.argsort(keys, kind="stable")
        self._set(keys[order], counts[order])
        if len(self._keys) > self._max_buckets:
            self._coarsen(self._bits_to_drop())

    def _bits_to_drop(self) -> int:
        """Return the fewest bits without which there are few enough buckets."""
        enough = range(1, 64)
        return enough[
            bisect.bisect_left(
                enough, True, key=lambda bits: _distinct(self._keys >> bits) <= self._max_buckets
            )
        ]

    def _coarsen(self, bits: int) -> None:
        self._shift += bits
        self._set(self._keys >> bits, self._counts)

    def _set(self, keys: Ints, counts: Ints) -> None:
        """Take buckets in increasing order, of which equal ones become one."""
        starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
        self._keys = keys[starts]
        self._counts = np.add.reduceat(counts, starts) if len(starts) else counts


def _distinct(ordered: Ints) -> int:
    return int(np.count_nonzero(np.diff(ordered))) + 1


def _keys_of(doubles: Floats) -> Ints:
    bits = doubles.view(np.int64)
    return np.where(bits >= 0, bits, bits ^ _ALL_BUT_SIGN)


def _doubles_of(keys: Ints) -> Floats:
    bits = np.where(keys >= 0, keys, keys ^ _ALL_BUT_SIGN)
    # The last bucket of a sign reaches into what isn't finite.
    limit = np.finfo(np.float64).max
    return np.nan_to_num(bits.view(np.float64), nan=limit, posinf=limit, neginf=-limit)
