"""The best k items of each user, exactly, as blocks of scores pass by.

Each block is compared with a bound per user that k scores are known to reach. The few scores that
pass are kept as keys, which sort best first and ties by position. The first bound comes from the
maxima of groups of columns that lie a stride apart, because NumPy vectorizes that.

A position is an item's index in the catalog. Of two equal scores, the smaller position is better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tf2spark.conversion.rows import Array, Ints, Mask

Entries = tuple[Ints, Ints]
"""Rows (users) and columns (items) of entries of a block, in any order; repeats are allowed."""

# Columns per group of maxima: fewer make a tighter bound, more make shorter passes.
_STRIDES = 8
# Scores per exclusion. Where exclusions are more frequent, a copy of the block without the
# excluded scores is faster.
_RARE = 128
_LOWEST = {np.dtype(kind): np.finfo(kind).min for kind in (np.float32, np.float64)}
_EIGHT_TRUE = np.uint64(0x0101010101010101)
_MINUS_INFINITY = 0x7F800000  # as it is in a key of 64 bits
_FILLER = {
    np.dtype(np.float32): np.int64(2**63 - 1),
    np.dtype(np.float64): np.complex128(complex(np.inf, np.inf)),
}
"""The keys that sort after all others."""


class TopK:
    """The best `k` items of each user, as blocks of scores pass by.

    They come best first; of equal scores (0.0 and -0.0 are equal) the one with the smaller position
    is better; -inf is never returned. The result doesn't depend on the sizes of blocks.

    Args:
        users: The number of users.
        k: How many items to keep per user, at least 1; may be more than the catalog has.
        dtype: The scores' dtype, float32 or float64.

    Raises:
        ValueError: `k` or `dtype` is something else.
    """

    def __init__(self, users: int, k: int, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        if self._dtype not in _LOWEST:
            raise ValueError(f"scores must be float32 or float64, not {self._dtype}")
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        self._users, self._k, self._end = users, k, 0
        # The most scores of a user that are worth keeping from one block.
        self._max_rivals = 4 * k + 64
        self._bound = np.full(users, -np.inf, self._dtype)
        self._nan_positions = np.full(users, -1, np.int64)
        self._kept = [np.full((users, 0), _FILLER[self._dtype])]

    def add(
        self,
        scores: Array,
        first: int,
        excluded: Entries | None = None,
        only: Entries | None = None,
        restricted: Mask | None = None,
    ) -> None:
        """Add the scores of the items at positions `first` to `first + n - 1`.

        This is fastest on blocks of about a million scores whose rows are many times k wide.

        Args:
            scores: [users, n] of the dtype; not changed.
            first: The position of the first item: not before the end of the previous block.
            excluded: Entries of this block that are never returned.
            only: The only entries of this block that restricted users may get. A restricted user
                without an entry gets nothing; an entry that is also excluded isn't returned.
            restricted: [users], the users that `only` applies to; all users where None.

        Raises:
            ValueError: The shape, the dtype or `first` doesn't fit, or a position is 2**32 or more.
        """
        self._check(scores, first)
        self._end = first + scores.shape[1]
        if not scores.size:
            return
        if only is not None:
            scores = _restrict(scores, only, restricted)
        if excluded is not None and len(excluded[0]) * _RARE > scores.size:
            scores, excluded = _without(scores, excluded), None
        self._add(scores, first, excluded)

    def nan_positions(self) -> Ints:
        """Return each user's first position with a NaN among the items that may be returned.

        It is -1 for users without one: [users].
        """
        return self._nan_positions.copy()

    def result(self) -> tuple[Ints, Ints, Array]:
        """Return the best items of each user; a user with a NaN gets none.

        Returns:
            Counts, int64 [users]; then positions, int64, and scores, both [sum of counts], user
            after user, best first.
        """
        keys = np.sort(np.concatenate(self._kept, axis=1), axis=1)[:, : self._k]
        is_item = keys != _FILLER[self._dtype]
        is_item[self._nan_positions >= 0] = False
        positions, scores = _unpack(keys[is_item], self._dtype)
        return np.count_nonzero(is_item, axis=1).astype(np.int64), positions, scores

    def _check(self, scores: Array, first: int) -> None:
        if scores.ndim != 2 or len(scores) != self._users or scores.dtype != self._dtype:
            got = f"{scores.dtype} {list(scores.shape)}"
            raise ValueError(f"scores must be {self._dtype} [{self._users}, n], not {got}")
        if first < self._end:
            raise ValueError(
                f"a block at position {first} follows one that ends at position {self._end}"
            )
        if first + scores.shape[1] > 2**32:
            raise ValueError(f"a catalog has at most 2**32 items, not {first + scores.shape[1]}")

    def _add(self, scores: Array, first: int, excluded: Entries | None) -> None:
        """Add a part of a block; split it in half where too many scores rival the best k."""
        if (self._bound > -np.inf).any():
            rivals = self._rivals(scores, excluded, self._bound, np.less_equal)
            if rivals is not None:
                self._keep(scores, first, *rivals)
                return
        reached = np.maximum(self._bound, self._score_reached_by_k(scores, excluded))
        least = np.maximum(reached, _LOWEST[self._dtype])  # so that -inf stays out
        rivals = self._rivals(scores, excluded, least, np.less)
        if rivals is not None:
            # k scores reach this bound at smaller positions than those of later scores, so later
            # scores must exceed it.
            self._bound = reached
            self._keep(scores, first, *rivals)
            return
        if excluded is not None:
            # So many of the best scores may be excluded that the maxima prove too low a bound.
            self._add(_without(scores, excluded), first, None)
            return
        half = scores.shape[1] // 2
        self._add(scores[:, :half], first, None)
        self._add(scores[:, half:], first + half, None)

    def _rivals(
        self, scores: Array, excluded: Entries | None, bound: Array, worse: np.ufunc
    ) -> tuple[Ints, Ints] | None:
        """Find the scores that aren't `worse` than the bound.

        "Not worse" isn't "better": a NaN is neither, and must be found.

        Returns:
            Their indices in the flat scores, ascending, and how many each user has, [users]; None
            where a user has too many.
        """
        users, width = scores.shape
        padded = np.empty(-(-scores.size // 8) * 8, np.bool_)
        padded[scores.size :] = True
        out = padded[: scores.size].reshape(users, width)
        _compare(worse, scores, bound, out)
        if excluded is not None:
            out[excluded] = True
        failed = self._nan_positions >= 0
        if failed.any():
            out[failed] = True
        # Eight at a time, because in most groups of eight all are worse.
        eights = padded.view(np.uint64)
        has_rival = eights != _EIGHT_TRUE
        if np.count_nonzero(has_rival) > users * self._max_rivals // 2:
            return None
        rival_eights = np.flatnonzero(has_rival)
        in_eights = np.flatnonzero(~eights[rival_eights].view(np.bool_))
        flat = rival_eights[in_eights >> 3] * 8 + (in_eights & 7)
        counts = np.diff(np.searchsorted(flat, np.arange(users + 1) * width))
        return None if counts.max() > self._max_rivals else (flat, counts)

    def _score_reached_by_k(self, scores: Array, excluded: Entries | None) -> Array:
        """Return a score that k columns of each user reach, as the maxima of k groups do: [users].

        It is -inf where there are fewer than k columns, and NaN only for a user with a NaN.
        """
        users, width = scores.shape
        if width < self._k:
            return np.full(users, -np.inf, self._dtype)
        groups = min(width, max(-(-width // _STRIDES), self._max_rivals))
        maxima = _maxima(scores, groups)
        if excluded is not None:
            # A maximum that is itself excluded says nothing of the other columns of its group.
            rows, group = excluded[0], excluded[1] % groups
            is_maximum = ~(scores[excluded] < maxima[rows, group])
            maxima[rows[is_maximum], group[is_maximum]] = -np.inf
        maxima = _maxima(maxima, min(groups, self._max_rivals))
        kth = maxima.shape[1] - self._k
        maxima.partition(kth, axis=1)
        reached: Array = maxima[:, kth].copy()
        return reached

    def _keep(self, scores: Array, first: int, flat: Ints, counts: Ints) -> None:
        """Keep scores as keys next to those kept before; merge them when there are many."""
        if not len(flat):
            return
        users, width = scores.shape
        positions = flat - np.repeat(np.arange(users) * width - first, counts)
        if scores.flags.c_contiguous:
            rivals = scores.reshape(-1)[flat]
        else:
            rivals = scores[np.repeat(np.arange(users), counts), positions - first]
        if (is_nan := np.isnan(rivals)).any():
            self._note_nans(np.repeat(np.arange(users), counts)[is_nan], positions[is_nan])
        keys = np.full((users, int(counts.max())), _FILLER[self._dtype])
        keys[np.arange(keys.shape[1]) < counts[:, None]] = _pack(rivals, positions)
        self._kept.append(keys)
        if sum(part.shape[1] for part in self._kept) > 2 * self._k:
            self._merge()

    def _merge(self) -> None:
        merged = np.concatenate(self._kept, axis=1)
        merged.partition(self._k - 1, axis=1)
        self._kept = [merged[:, : self._k].copy()]
        _, kth = _unpack(merged[:, self._k - 1], self._dtype)
        self._bound = np.maximum(self._bound, kth)

    def _note_nans(self, rows: Ints, positions: Ints) -> None:
        """Note each user's smallest position with a NaN.

        Users with an earlier NaN aren't among `rows`: all their later scores count as worse.
        """
        rows, first = np.unique(rows, return_index=True)
        self._nan_positions[rows] = positions[first]


def _compare(worse: np.ufunc, scores: Array, bound: Array, out: Mask) -> None:
    """Set `out` to which scores are worse than their user's bound."""
    # For rows of up to half its buffer size, NumPy first copies the bounds to one per score, which
    # is three times slower.
    size = np.setbufsize(16)
    try:
        worse(scores, bound[:, None], out=out)
    finally:
        np.setbufsize(size)


def _maxima(scores: Array, groups: int) -> Array:
    """Return the maximum of each group of columns: [users, groups].

    Column c belongs to group c % groups.
    """
    users, width = scores.shape
    even_width = width // groups * groups
    maxima: Array = np.maximum.reduce(scores[:, :even_width].reshape(users, -1, groups), axis=1)
    if rest := width - even_width:
        np.maximum(maxima[:, :rest], scores[:, even_width:], out=maxima[:, :rest])
    return maxima


def _restrict(scores: Array, only: Entries, restricted: Mask | None) -> Array:
    """Return a copy with -inf for what restricted users may not get."""
    copy = np.full_like(scores, -np.inf)
    if restricted is not None:
        copy[~restricted] = scores[~restricted]
    copy[only] = scores[only]
    return copy


def _without(scores: Array, excluded: Entries) -> Array:
    """Return a copy with -inf for excluded entries."""
    copy = scores.copy()
    copy[excluded] = -np.inf
    return copy


def _pack(scores: Array, positions: Ints) -> Array:
    """Return keys that sort best first, then by position.

    For float32, a key has 64 bits, the score's above the position's. For float64 it is a complex
    number, which NumPy sorts by its real part first.
    """
    scores = scores + 0  # -0.0 becomes 0.0
    if scores.dtype == np.float64:
        keys = np.empty(scores.shape, np.complex128)
        keys.real, keys.imag = -scores, positions
        return keys
    rising = _swap(scores.view(np.int32))
    return (~rising).astype(np.int64) << 32 | positions


def _unpack(keys: Array, dtype: np.dtype[Any]) -> tuple[Ints, Array]:
    """Return the positions and scores of keys; a filler has the score -inf and no position."""
    if dtype == np.float64:
        return np.where(np.isfinite(keys.imag), keys.imag, 0).astype(np.int64), -keys.real
    falling = np.minimum(keys >> 32, _MINUS_INFINITY).astype(np.int32)
    return keys & 0xFFFFFFFF, _swap(~falling).view(np.float32)


def _swap(bits: Array) -> Array:
    """Turn the bits of float32 into integers of the same order, or back."""
    swapped: Array = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return swapped
