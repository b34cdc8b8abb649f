"""The best k items of each user, exact, while blocks of scores go by.

A block is read once, by a running maximum over groups of columns that lie a stride apart (that is
what vectorises). Only the groups whose maximum can still matter are looked into; what is found
there is kept as keys that sort best first, ties to the smaller place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Found = tuple[Ints, Ints, Array]
Places = tuple[Ints, Ints]
"""Rows (users) and columns of a block, one of each an entry; in any order, repeats allowed."""

_STRIDES = 8  # columns a group: with fewer the maxima cost more, with more looking into them does
_FEW = 64
_LOWEST = {np.dtype(kind): np.finfo(kind).min for kind in (np.float32, np.float64)}
_SIGN = np.uint32(1 << 31)
_NONE = np.uint64(0xFF800000)  # the bits of -inf
_FILLER = {
    np.dtype(np.float32): np.uint64(2**64 - 1),
    np.dtype(np.float64): np.complex128(complex(np.inf, np.inf)),
}


class TopK:
    """The best `k` items of each user of a block, while blocks of the catalog go by.

    Best first; equal scores (0.0 and -0.0 are) go to the smaller place; -inf is never returned.
    The result doesn't depend on how the catalog and the users are cut into blocks.

    Args:
        users: how many users the block has.
        k: how many items to keep, at least 1; more than the catalog has gives all of it.
        dtype: of the scores, float32 or float64.

    Raises:
        ValueError: `k` or `dtype` is another.
    """

    def __init__(self, users: int, k: int, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        if self._dtype not in _LOWEST:
            raise ValueError(f"scores are float32 or float64, not {self._dtype}")
        if k < 1:
            raise ValueError(f"k is at least 1, not {k}")
        self._users, self._k, self._end = users, k, 0
        self._fair = 4 * k + _FEW
        self._bound = np.full(users, -np.inf, self._dtype)
        self._nan_places = np.full(users, -1, np.int64)
        self._kept = [_packed(np.empty((users, 0), self._dtype), np.empty((users, 0), np.int64))]

    def add(
        self,
        scores: Array,
        first: int,
        excluded: Places | None = None,
        only: Places | None = None,
        restricted: Mask | None = None,
    ) -> None:
        """Take the scores of the catalog's places `first` to `first + n - 1`.

        Args:
            scores: [users, n] of the dtype; not changed, and read in place where C-contiguous.
            first: not before the end of the block before.
            excluded: columns of this block that users must not get.
            only: where given, restricted users get nothing else (and nothing without an entry);
                what is also excluded stays out.
            restricted: [users], the users that `only` is about; all where not given.

        Raises:
            ValueError: the shape, the dtype or `first` doesn't fit, or a place is 2**32 or more.
        """
        self._check(scores, first)
        self._end = first + scores.shape[1]
        if not scores.size:
            return
        if only is not None:
            scores = _restricted(scores, only, restricted)
        block = _Block.of(np.ascontiguousarray(scores), first, excluded)
        self._add(block, 0, scores.shape[1])

    def nan_places(self) -> Ints:
        """The first place with a NaN among those a user could get, or -1: [users]."""
        return self._nan_places.copy()

    def result(self) -> tuple[Ints, Ints, Array]:
        """How many items each user got, and which: none for a user with a NaN.

        Returns:
            Counts, int64 [users]; places, int64, and scores, both [sum of counts], users one after
            the other, best first.
        """
        keys = np.sort(np.concatenate(self._kept, axis=1), axis=1)[:, : self._k]
        got = keys != _FILLER[self._dtype]
        got[self._nan_places >= 0] = False
        places, scores = _unpacked(keys[got], self._dtype)
        return np.count_nonzero(got, axis=1).astype(np.int64), places, scores

    def _check(self, scores: Array, first: int) -> None:
        if scores.ndim != 2 or len(scores) != self._users or scores.dtype != self._dtype:
            came = f"{scores.dtype} {list(scores.shape)}"
            raise ValueError(f"scores are {self._dtype} [{self._users}, n], not {came}")
        if first < self._end:
            raise ValueError(f"a block at place {first} comes after one that ends at {self._end}")
        if first + scores.shape[1] > 2**32:
            raise ValueError(f"a catalog has at most 2**32 places, not {first + scores.shape[1]}")

    def _add(self, block: _Block, start: int, stop: int) -> None:
        """Take the columns `start` to `stop`, in halves where too many rival the best k."""
        width = stop - start
        span = _Span(start, stop, min(width, max(-(-width // _STRIDES), self._fair)))
        tops = block.tops(span)
        hits = ~(tops <= self._bound[:, None])
        if np.count_nonzero(hits) <= self._users * self._fair // 2:
            rivals = self._rivals(hits)
            if rivals.most <= self._fair:
                self._keep(block.first, *block.found(rivals, span, self._bound, np.less_equal))
                return
        reached = np.maximum(self._bound, self._reached(tops))
        least = np.maximum(reached, _LOWEST[self._dtype])  # so that -inf stays out
        rivals = self._rivals(~(tops < least[:, None]))
        if rivals.most > self._fair:
            middle = start + width // 2
            self._add(block, start, middle)
            self._add(block, middle, stop)
            return
        self._keep(block.first, *block.found(rivals, span, least, np.less))
        # What reached it has smaller places than all to come, which so must pass it.
        np.maximum(self._bound, reached, out=self._bound)

    def _rivals(self, hits: Mask) -> _Rivals:
        """The groups to look into; none of a user who has a NaN already."""
        failed = self._nan_places >= 0
        if failed.any():
            hits[failed] = False
        users, groups = hits.shape
        at = np.flatnonzero(hits)
        counts = np.diff(np.searchsorted(at, np.arange(users + 1) * groups))
        rows = np.repeat(np.arange(users), counts)
        return _Rivals(rows, at - rows * groups, int(counts.max()))

    def _reached(self, tops: Array) -> Array:
        """A score that k places of each user reach, since the maxima of k groups do: [users]."""
        if tops.shape[1] < self._k:
            return np.full(self._users, -np.inf, self._dtype)
        coarse = _maxima(tops, min(tops.shape[1], self._fair))
        kth = coarse.shape[1] - self._k
        reached: Array = np.partition(coarse, kth, axis=1)[:, kth]
        # NaN sorts last: with k of them, only NaNs are still looked for.
        reached[np.isnan(reached)] = np.inf
        return reached

    def _keep(self, first: int, rows: Ints, columns: Ints, scores: Array) -> None:
        """Put what was found beside what is kept, and merge where that has become much."""
        if (wrong := np.isnan(scores)).any():
            self._note_nans(rows[wrong], first + columns[wrong])
            rows, columns, scores = rows[~wrong], columns[~wrong], scores[~wrong]
        if not len(rows):
            return
        self._kept.append(self._padded(rows, _packed(scores, first + columns)))
        if sum(part.shape[1] for part in self._kept) <= 2 * self._k:
            return
        merged = np.concatenate(self._kept, axis=1)
        merged.partition(self._k - 1, axis=1)
        self._kept = [merged[:, : self._k].copy()]
        _, kth = _unpacked(merged[:, self._k - 1], self._dtype)
        np.maximum(self._bound, kth, out=self._bound)

    def _note_nans(self, rows: Ints, places: Ints) -> None:
        """Columns go by in order, so what is noted already is the first; within, the smallest."""
        order = np.lexsort((-places, -rows))
        firsts = np.full(self._users, -1)
        firsts[rows[order]] = places[order]
        self._nan_places = np.where(self._nan_places < 0, firsts, self._nan_places)

    def _padded(self, rows: Ints, keys: Array) -> Array:
        """One row of keys a user, filled up to the longest: [users, most]."""
        counts = np.bincount(rows, minlength=self._users)
        padded = np.full((self._users, int(counts.max())), _FILLER[self._dtype])
        padded[np.arange(padded.shape[1]) < counts[:, None]] = keys
        return padded


@frozen(eq=False)
class _Span:
    """Columns `start` to `stop` of a block in groups: column c is of group (c - start) % groups."""

    start: int
    stop: int
    groups: int


@frozen(eq=False)
class _Rivals:
    """Groups to look into, user by user: their rows and numbers, and the most that a user has."""

    rows: Ints
    groups: Ints
    most: int


@frozen(eq=False)
class _Block:
    """Scores [users, n] of the places from `first` on, and which of them are barred."""

    scores: Array
    first: int
    excluded: Places | None
    barred: Mask | None

    @classmethod
    def of(cls, scores: Array, first: int, excluded: Places | None) -> _Block:
        if excluded is None or not len(excluded[0]):
            return cls(scores, first, None, None)
        barred = np.zeros(scores.shape, np.bool_)
        barred[excluded] = True
        return cls(scores, first, excluded, barred)

    def tops(self, span: _Span) -> Array:
        """The largest score of each group, without barred ones; only to be read: [users, groups]."""
        tops = _maxima(self.scores[:, span.start : span.stop], span.groups)
        if self.excluded is None or self.barred is None:
            return tops
        rows, columns = self.excluded
        if span.start > 0 or span.stop < self.scores.shape[1]:
            inside = (columns >= span.start) & (columns < span.stop)
            rows, columns = rows[inside], columns[inside]
        if span.groups == span.stop - span.start:
            tops = tops.copy()
        groups = (columns - span.start) % span.groups
        at, scores = self._members(rows, groups, span)
        scores[self.barred.reshape(-1).take(at, mode="clip")] = -np.inf
        tops[rows, groups] = scores.max(axis=1)
        return tops

    def found(self, rivals: _Rivals, span: _Span, bound: Array, worse: np.ufunc) -> Found:
        """All of these groups that isn't worse than the user's bound, user by user."""
        at, scores = self._members(rivals.rows, rivals.groups, span)
        good, strides = np.flatnonzero(~worse(scores, bound[rivals.rows, None])), scores.shape[1]
        at, scores = at.reshape(-1)[good], scores.reshape(-1)[good]
        rows = rivals.rows[good // strides]
        if self.barred is not None:
            free = ~self.barred.reshape(-1)[at]
            at, scores, rows = at[free], scores[free], rows[free]
        return rows, at - rows * self.scores.shape[1], scores

    def _members(self, rows: Ints, groups: Ints, span: _Span) -> tuple[Ints, Array]:
        """Where each group's columns are in the flat scores, and their scores: [n, strides]."""
        columns = groups[:, None] + np.arange(span.start, span.stop, span.groups)
        at = columns + (rows * self.scores.shape[1])[:, None]
        scores = self.scores.reshape(-1).take(at, mode="clip")
        scores[columns[:, -1] >= span.stop, -1] = -np.inf  # the last stride may be a short one
        return at, scores


def _maxima(scores: Array, groups: int) -> Array:
    """The maximum of each group of columns, column c being of group c % groups: [users, groups]."""
    users, width = scores.shape
    whole = width // groups
    if width == groups:
        return scores
    strides = scores[:, : whole * groups].reshape(users, whole, groups)
    maxima: Array = np.maximum.reduce(strides, axis=1)
    if rest := width - whole * groups:
        np.maximum(maxima[:, :rest], scores[:, whole * groups :], out=maxima[:, :rest])
    return maxima


def _restricted(scores: Array, only: Places, restricted: Mask | None) -> Array:
    """A copy that is -inf but where `only` allows, and as it was for users not restricted."""
    if restricted is None:
        copy = np.full_like(scores, -np.inf)
    else:
        copy = np.where(restricted[:, None], np.array(-np.inf, scores.dtype), scores)
    copy[only] = scores[only]
    return copy


def _packed(scores: Array, places: Ints) -> Array:
    """Keys that sort best first, then by place.

    float32: 64 bits, the score's in an order of their own above the place. float64: a complex
    number, which NumPy sorts by the real part first.
    """
    scores = scores + 0  # makes 0.0 of -0.0
    if scores.dtype == np.float64:
        keys = np.empty(scores.shape, np.complex128)
        keys.real, keys.imag = -scores, places
        return keys
    bits = scores.view(np.uint32)
    falling = np.where(bits & _SIGN, bits, ~(bits | _SIGN))
    return (falling.astype(np.uint64) << np.uint64(32)) | places.astype(np.uint64)


def _unpacked(keys: Array, dtype: np.dtype[Any]) -> tuple[Ints, Array]:
    """Places and scores; a filler's score is -inf."""
    if dtype == np.float64:
        return keys.imag.astype(np.int64), 0 - keys.real
    falling = np.minimum(keys >> np.uint64(32), _NONE).astype(np.uint32)
    bits = np.where(falling & _SIGN, falling, ~falling ^ _SIGN)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64), bits.view(np.float32)
