"""The best k items of each user, exactly, as blocks of scores pass by.

Each block is compared with a bound per user that k scores are known to reach. The few scores that
pass are kept as keys, which sort best first and ties by position. The first bound comes from the
maxima of groups of columns that lie a stride apart, because NumPy vectorizes that.

Scores that pass an early bound and are beaten later are what costs. So users after the first ones
begin with a higher bound, a forecast of what they will end with. Users who end with fewer than k
scores above it are `unproven`, and have to be ranked again without one.

A position is an item's index in the catalog. Of two equal scores, the smaller position is better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tf2spark.conversion.rows import Array, Ints, Mask
from tf2spark.worker.ranking.forecast import Forecast, Kind
from tf2spark.worker.ranking.keys import (
    FILLER,
    LOWEST,
    MINUS_INFINITY,
    best_of,
    from_floats,
    pack,
    to_floats,
    unpack,
)
from tf2spark.worker.ranking.rivals import Entries, RivalFinder

# Columns per group of maxima: fewer make a tighter bound, more make shorter passes.
_STRIDES = 8
# Scores per exclusion. Where exclusions are more frequent, a copy of the block without the
# excluded scores is faster.
_RARE = 128

Best = tuple[Ints, Ints, Array]
"""The best items of some users: how many each user has, [users]; then the positions and the scores
of all of them, user after user, best first."""
Ranked = tuple[list[Best], Mask, Ints]
"""The best items of each block of users; which users are unproven, so that these aren't theirs; and
the position of each user's first NaN, -1 for none."""


class TopK:
    """The best `k` items of each user, as blocks of scores pass by.

    They come best first; of equal scores (0.0 and -0.0 are equal) the one with the smaller position
    is better; -inf is never returned. The result doesn't depend on the sizes of blocks.

    Args:
        users: The number of users.
        k: How many items to keep per user, at least 1; may be more than the catalog has.
        dtype: The scores' dtype: float32, float64, or int16 for the bits of bfloat16, where scores
            below zero count as -inf (see `keys`).
        positions: The positions of the items in the order in which blocks have them; None where
            that is the order of positions.

    Raises:
        ValueError: `k` or `dtype` is something else.
    """

    def __init__(
        self, users: int, k: int, dtype: npt.DTypeLike, positions: Ints | None = None
    ) -> None:
        self._dtype = np.dtype(dtype)
        if self._dtype not in LOWEST:
            raise ValueError(f"scores must be float32, float64 or int16, not {self._dtype}")
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        self._k, self._positions = k, positions
        # The most scores of a user that are worth keeping from one block.
        self._max_rivals = 4 * k + 64
        self._finder = RivalFinder()
        self._forecast = Forecast(k)
        self.restart(users)

    def restart(self, users: int, *, forecast: bool = False, norms: Array | None = None) -> None:
        """Begin anew, with other users and the first block of the same items.

        Args:
            users: The number of users.
            forecast: Whether some users may be left `unproven`, because the others are faster.
            norms: [users], numbers that scores may be proportional to.
        """
        self._users, self._end, self._first_end, self._norms = users, 0, 0, norms
        lowest = np.full(users, MINUS_INFINITY[self._dtype], self._dtype)
        # The score that k items reach, the one that they are hoped to reach, and the larger one.
        self._bound, self._hoped, self._limit = lowest, lowest, lowest
        self._nan_positions = np.full(users, -1, np.int64)
        # The best keys of what was merged, and the keys of each block since, user after user.
        self._merged = np.full((users, 0), FILLER[self._dtype])
        self._parts: list[tuple[Array, Ints]] = []
        self._counts = np.zeros(users, np.int64)
        # Whether k scores that reach the limit are known to have smaller positions than what comes.
        self._in_order = self._positions is None
        # How many scores were kept, and whether too many passed a forecast.
        self._kept, self._failed = 0, False
        self._kind: Kind = "none"
        self._rank: int | None = None
        if forecast and self._positions is None:
            self._forecast_scores(self._forecast.kind(norms=norms is not None))

    def _forecast_scores(self, kind: Kind) -> None:
        self._kind = kind
        self._in_order = kind == "none"
        if kind == "rank":
            self._rank = self._forecast.rank()
        elif kind == "norm" and (ratio := self._forecast.ratio()) is not None:
            assert self._norms is not None
            self._hoped = self._limit = from_floats(self._norms * ratio, self._dtype)

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
        self._first_end = self._first_end or self._end
        if only is not None:
            scores = _restrict(scores, only, restricted)
        if excluded is not None and len(excluded[0]) * _RARE > scores.size:
            scores, excluded = _without(scores, excluded), None
        if self._positions is not None and (self._nan_positions >= 0).any():
            self._note_all_nans(scores, first, excluded)
        self._add(scores, first, excluded)
        self._in_order = self._positions is None

    def nan_positions(self) -> Ints:
        """Return each user's first position with a NaN among the items that may be returned.

        It is -1 for users without one: [users].
        """
        return self._nan_positions.copy()

    def unproven(self) -> Mask:
        """Return the users whose result is not their best k, because a forecast was wrong."""
        unproven: Mask = self._hoped > self._bound
        if unproven.any():
            fillers = FILLER[self._dtype]
            kept = np.count_nonzero(self._merged != fillers, axis=1) + self._counts
            unproven &= (kept < self._k) & (self._nan_positions < 0)
        return unproven

    def result(self) -> tuple[Ints, Ints, Array]:
        """Return the best items of each user; a user with a NaN gets none.

        Returns:
            Counts, int64 [users]; then positions, int64, and scores, both [sum of counts], user
            after user, best first.
        """
        is_void = self._nan_positions >= 0
        counts, positions, scores = best_of(self._all_keys(), self._k, is_void, self._dtype)
        self._learn(counts, positions, scores)
        return counts, positions, scores

    @property
    def bound(self) -> Array:
        """A score that k items of each user are known to reach, -inf at least: [users]."""
        return self._bound

    def best_keys(self) -> Array:
        """Return the keys of each user's best items so far, in any order, with fillers: [users, k].

        See `keys.best_of`.
        """
        self._merge()
        keys = np.full((self._users, self._k), FILLER[self._dtype])
        keys[:, : self._merged.shape[1]] = self._merged
        return keys

    def narrow(self, users: Ints) -> None:
        """Go on with some of the users alone, after `best_keys`."""
        self._users, self._counts = len(users), self._counts[users]
        self._bound, self._hoped = self._bound[users], self._hoped[users]
        self._limit, self._merged = self._limit[users], self._merged[users]
        self._nan_positions = self._nan_positions[users]

    def _learn(self, counts: Ints, positions: Ints, scores: Array) -> None:
        """Learn from users who are finished, each with k items."""
        if self._positions is not None or not self._users:
            return
        failed = self._failed or bool(self.unproven().any())
        self._forecast.learn_cost(self._kind, self._kept / self._users, failed=failed)
        if not (counts == self._k).all():
            return
        if self._first_end == self._end:
            in_first = counts
        else:
            in_first = np.count_nonzero(positions.reshape(-1, self._k) < self._first_end, axis=1)
        self._forecast.learn(in_first, to_floats(scores[self._k - 1 :: self._k]), self._norms)

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
        if self._rank is not None:
            self._hoped = self._limit = self._score_reached(scores, excluded, self._rank)
            self._rank = None
        if (self._limit > MINUS_INFINITY[self._dtype]).any():
            rivals = (
                self._rivals(scores, excluded, self._limit, np.less_equal)
                if self._in_order
                else self._not_below(scores, excluded, self._limit)
            )
            if rivals is not None:
                self._keep(scores, first, *rivals)
                return
            self._failed = True
        reached = np.maximum(self._bound, self._score_reached(scores, excluded, self._k))
        limit = np.maximum(reached, self._hoped)
        rivals = self._not_below(scores, excluded, limit)
        if rivals is not None:
            self._bound, self._limit = reached, limit
            self._keep(scores, first, *rivals)
            return
        if self._positions is not None:
            # The halves skip users who have a NaN.
            self._note_all_nans(scores, first, excluded)
        if excluded is not None:
            # So many of the best scores may be excluded that the maxima prove too low a bound.
            self._add(_without(scores, excluded), first, None)
            return
        half = scores.shape[1] // 2
        self._add(scores[:, :half], first, None)
        self._add(scores[:, half:], first + half, None)

    def _not_below(
        self, scores: Array, excluded: Entries | None, bound: Array
    ) -> tuple[Ints, Ints] | None:
        least = np.maximum(bound, LOWEST[self._dtype])  # so that -inf stays out
        return self._rivals(scores, excluded, least, np.less)

    def _rivals(
        self, scores: Array, excluded: Entries | None, bound: Array, worse: np.ufunc
    ) -> tuple[Ints, Ints] | None:
        skipped = self._nan_positions >= 0, excluded
        return self._finder.find(scores, bound, worse, skipped, self._max_rivals)

    def _score_reached(self, scores: Array, excluded: Entries | None, count: int) -> Array:
        """Return a score that `count` columns of each user reach: [users].

        As many maxima of groups of columns do. It is -inf where there are fewer columns, and NaN
        only for a user with a NaN.
        """
        users, width = scores.shape
        if width < count:
            return np.full(users, MINUS_INFINITY[self._dtype], self._dtype)
        few = 4 * count + 64
        groups = min(width, max(-(-width // _STRIDES), few))
        maxima = _maxima(scores, groups)
        if excluded is not None:
            # A maximum that is itself excluded says nothing of the other columns of its group.
            rows, group = excluded[0], excluded[1] % groups
            is_maximum = ~(scores[excluded] < maxima[rows, group])
            maxima[rows[is_maximum], group[is_maximum]] = MINUS_INFINITY[self._dtype]
        maxima = _maxima(maxima, min(groups, few))
        # NumPy sorts short rows faster than it partitions them.
        maxima.sort(axis=1)
        reached: Array = maxima[:, -count].copy()
        return reached

    def _keep(self, scores: Array, first: int, flat: Ints, counts: Ints) -> None:
        """Keep scores as keys, next to those kept before; merge them when there are many."""
        if not len(flat):
            return
        users, width = scores.shape
        columns = flat - np.repeat(np.arange(users) * width - first, counts)
        if scores.flags.c_contiguous:
            rivals = scores.reshape(-1)[flat]
        else:
            rivals = scores[np.repeat(np.arange(users), counts), columns - first]
        positions = columns if self._positions is None else self._positions[columns]
        if (is_nan := np.isnan(rivals)).any():
            self._note_nans(np.repeat(np.arange(users), counts)[is_nan], positions[is_nan])
        self._parts.append((pack(rivals, positions), counts))
        self._counts = self._counts + counts
        self._kept += len(flat)
        if self._merged.shape[1] + int(self._counts.max()) > 3 * self._k + 32:
            self._merge()

    def _merge(self) -> None:
        keys = self._all_keys()
        self._parts, self._counts = [], np.zeros(self._users, np.int64)
        if keys.shape[1] < self._k:
            self._merged = keys
            return
        keys.partition(self._k - 1, axis=1)
        self._merged = keys[:, : self._k].copy()
        _, kth = unpack(keys[:, self._k - 1], self._dtype)
        self._bound = np.maximum(self._bound, kth)
        self._limit = np.maximum(self._limit, kth)

    def _all_keys(self) -> Array:
        """Return all keys that are kept, and fillers: [users, ...]."""
        merged = self._merged.shape[1]
        width = merged + int(self._counts.max(initial=0))
        keys = np.full((self._users, width), FILLER[self._dtype])
        keys[:, :merged] = self._merged
        starts = np.arange(self._users) * width + merged
        for part, counts in self._parts:
            offsets = np.repeat(starts - np.cumsum(counts) + counts, counts)
            offsets += np.arange(len(part))
            keys.reshape(-1)[offsets] = part
            starts += counts
        return keys

    def _note_all_nans(self, scores: Array, first: int, excluded: Entries | None) -> None:
        """Note the NaNs of a block whose items aren't in the order of positions.

        There, a user's first NaN may come after another one.
        """
        assert self._positions is not None
        is_nan = np.isnan(scores)
        if excluded is not None:
            is_nan[excluded] = False
        rows, columns = np.nonzero(is_nan)
        self._note_nans(rows, self._positions[first + columns])

    def _note_nans(self, rows: Ints, positions: Ints) -> None:
        """Note each user's smallest position with a NaN."""
        smallest = np.where(self._nan_positions < 0, 2**32, self._nan_positions)
        np.minimum.at(smallest, rows, positions)
        self._nan_positions = np.where(smallest == 2**32, -1, smallest)


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
    copy = np.full_like(scores, MINUS_INFINITY[scores.dtype])
    if restricted is not None:
        copy[~restricted] = scores[~restricted]
    copy[only] = scores[only]
    return copy


def _without(scores: Array, excluded: Entries) -> Array:
    """Return a copy with -inf for excluded entries."""
    copy = scores.copy()
    copy[excluded] = MINUS_INFINITY[scores.dtype]
    return copy
