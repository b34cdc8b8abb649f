"""The best k items of each user, exact, while blocks of scores go by.

A block is compared with a bound that each user's k-th best reaches, and the few scores that pass
are kept as keys that sort best first, ties to the smaller place. The first block has its bound from
the maxima of groups of columns that lie a stride apart, which is what vectorises.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Places = tuple[Ints, Ints]
"""Rows (users) and columns of a block, one of each an entry; in any order, repeats allowed."""

_STRIDES = 8  # columns a group: with fewer there are more maxima, with more the passes are shorter
_RARE = 128  # scores an exclusion; where there are more exclusions, a copy without them is faster
_LOWEST = {np.dtype(kind): np.finfo(kind).min for kind in (np.float32, np.float64)}
_ALL = np.uint64(0x0101010101010101)  # eight True in a row
_NO_SCORE = 0x7F800000  # what -inf has in a key of 64 bits
_FILLER = {
    np.dtype(np.float32): np.int64(2**63 - 1),
    np.dtype(np.float64): np.complex128(complex(np.inf, np.inf)),
}
"""The keys that sort after all others."""


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
        self._fair = 4 * k + 64
        self._bound = np.full(users, -np.inf, self._dtype)
        self._nan_places = np.full(users, -1, np.int64)
        self._kept = [np.full((users, 0), _FILLER[self._dtype])]

    def add(
        self,
        scores: Array,
        first: int,
        excluded: Places | None = None,
        only: Places | None = None,
        restricted: Mask | None = None,
    ) -> None:
        """Take the scores of the catalog's places `first` to `first + n - 1`.

        Fastest on blocks of about a million scores that are many times k wide.

        Args:
            scores: [users, n] of the dtype; not changed.
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
        if excluded is not None and len(excluded[0]) * _RARE > scores.size:
            scores, excluded = _without(scores, excluded), None
        self._add(scores, first, excluded)

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

    def _add(self, scores: Array, first: int, excluded: Places | None) -> None:
        """Take a part of a block, in halves where too many rival the best k."""
        if (self._bound > -np.inf).any():
            rivals = self._rivals(scores, excluded, self._bound, np.less_equal)
            if rivals is not None:
                self._keep(scores, first, *rivals)
                return
        reached = np.maximum(self._bound, self._reached(scores, excluded))
        least = np.maximum(reached, _LOWEST[self._dtype])  # so that -inf stays out
        rivals = self._rivals(scores, excluded, least, np.less)
        if rivals is not None:
            # Those that reached it have smaller places than all to come, which so must pass it.
            self._bound = reached
            self._keep(scores, first, *rivals)
            return
        if excluded is not None:
            # So many of the best may be excluded that the maxima vouch for too few.
            self._add(_without(scores, excluded), first, None)
            return
        half = scores.shape[1] // 2
        self._add(scores[:, :half], first, None)
        self._add(scores[:, half:], first + half, None)

    def _rivals(
        self, scores: Array, excluded: Places | None, bound: Array, worse: np.ufunc
    ) -> tuple[Ints, Ints] | None:
        """Where in the flat scores what isn't `worse` than the bound is, and how many a user has.

        Not worse is not the same as better: a NaN is neither. None where a user has more than fair.
        """
        users, width = scores.shape
        padded = np.empty(-(-scores.size // 8) * 8, np.bool_)
        padded[scores.size :] = True
        out = padded[: scores.size].reshape(users, width)
        _compared(worse, scores, bound, out)
        if excluded is not None:
            out[excluded] = True
        failed = self._nan_places >= 0
        if failed.any():
            out[failed] = True
        # Eight at a time, since of most eight all are worse.
        eights = padded.view(np.uint64)
        some = eights != _ALL
        if np.count_nonzero(some) > users * self._fair // 2:
            return None
        at = np.flatnonzero(some)
        among = np.flatnonzero(~eights[at].view(np.bool_))
        flat = at[among >> 3] * 8 + (among & 7)
        counts = np.diff(np.searchsorted(flat, np.arange(users + 1) * width))
        return None if counts.max() > self._fair else (flat, counts)

    def _reached(self, scores: Array, excluded: Places | None) -> Array:
        """A score that k columns of each user reach, since the maxima of k groups do: [users]."""
        users, width = scores.shape
        if width < self._k:
            return np.full(users, -np.inf, self._dtype)
        groups = min(width, max(-(-width // _STRIDES), self._fair))
        maxima = _maxima(scores, groups)
        if excluded is not None:
            # A maximum that is itself excluded vouches for no column.
            rows, group = excluded[0], excluded[1] % groups
            gone = ~(scores[excluded] < maxima[rows, group])
            maxima[rows[gone], group[gone]] = -np.inf
        maxima = _maxima(maxima, min(groups, self._fair))
        kth = maxima.shape[1] - self._k
        maxima.partition(kth, axis=1)
        reached: Array = maxima[:, kth].copy()  # NaN, which sorts last, only of a user who fails
        return reached

    def _keep(self, scores: Array, first: int, flat: Ints, counts: Ints) -> None:
        """Put what was found beside what is kept, and merge where that has become much."""
        if not len(flat):
            return
        users, width = scores.shape
        places = flat - np.repeat(np.arange(users) * width - first, counts)
        if scores.flags.c_contiguous:
            found = scores.reshape(-1)[flat]
        else:
            found = scores[np.repeat(np.arange(users), counts), places - first]
        if (wrong := np.isnan(found)).any():
            self._note_nans(np.repeat(np.arange(users), counts)[wrong], places[wrong])
        beside = np.full((users, int(counts.max())), _FILLER[self._dtype])
        beside[np.arange(beside.shape[1]) < counts[:, None]] = _packed(found, places)
        self._kept.append(beside)
        if sum(part.shape[1] for part in self._kept) > 2 * self._k:
            self._merge()

    def _merge(self) -> None:
        merged = np.concatenate(self._kept, axis=1)
        merged.partition(self._k - 1, axis=1)
        self._kept = [merged[:, : self._k].copy()]
        _, kth = _unpacked(merged[:, self._k - 1], self._dtype)
        self._bound = np.maximum(self._bound, kth)

    def _note_nans(self, rows: Ints, places: Ints) -> None:
        """Keep the smallest place of each user; users who had one before aren't among these."""
        rows, at = np.unique(rows, return_index=True)
        self._nan_places[rows] = places[at]


def _compared(worse: np.ufunc, scores: Array, bound: Array, out: Mask) -> None:
    """Set `out` to which scores are worse than their user's bound."""
    # Of rows up to half its buffer, NumPy copies the bounds out to one a score: three times slower.
    size = np.setbufsize(16)
    try:
        worse(scores, bound[:, None], out=out)
    finally:
        np.setbufsize(size)


def _maxima(scores: Array, groups: int) -> Array:
    """The maximum of each group of columns, column c being of group c % groups: [users, groups]."""
    users, width = scores.shape
    whole = width // groups * groups
    maxima: Array = np.maximum.reduce(scores[:, :whole].reshape(users, -1, groups), axis=1)
    if rest := width - whole:
        np.maximum(maxima[:, :rest], scores[:, whole:], out=maxima[:, :rest])
    return maxima


def _restricted(scores: Array, only: Places, restricted: Mask | None) -> Array:
    """A copy that is -inf except where `only` allows and for users who aren't restricted."""
    copy = np.full_like(scores, -np.inf)
    if restricted is not None:
        copy[~restricted] = scores[~restricted]
    copy[only] = scores[only]
    return copy


def _without(scores: Array, excluded: Places) -> Array:
    """A copy that is -inf where excluded."""
    copy = scores.copy()
    copy[excluded] = -np.inf
    return copy


def _packed(scores: Array, places: Ints) -> Array:
    """Keys that sort best first, then by place.

    Of float32: 64 bits, the score's above the place's. Of float64: a complex number, which NumPy
    sorts by the real part first.
    """
    scores = scores + 0  # -0.0 becomes 0.0
    if scores.dtype == np.float64:
        keys = np.empty(scores.shape, np.complex128)
        keys.real, keys.imag = -scores, places
        return keys
    rising = _swapped(scores.view(np.int32))
    return (~rising).astype(np.int64) << 32 | places


def _unpacked(keys: Array, dtype: np.dtype[Any]) -> tuple[Ints, Array]:
    """Places and scores; a filler's score is -inf, its place means nothing."""
    if dtype == np.float64:
        return np.where(np.isfinite(keys.imag), keys.imag, 0).astype(np.int64), -keys.real
    falling = np.minimum(keys >> 32, _NO_SCORE).astype(np.int32)
    return keys & 0xFFFFFFFF, _swapped(~falling).view(np.float32)


def _swapped(bits: Array) -> Array:
    """The bits of float32 as integers of the same order, or back again."""
    swapped: Array = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return swapped
