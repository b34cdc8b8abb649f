"""Finds the few scores of a block that reach their user's bound."""

from __future__ import annotations

import numpy as np
from attrs import define, field

from tf2spark.conversion.rows import Array, Ints, Mask

Entries = tuple[Ints, Ints]
"""Rows (users) and columns (items) of entries of a block, in any order; repeats are allowed."""

_EIGHT_TRUE = np.uint64(0x0101010101010101)
# Flags are read eight at a time, and groups of eight again.
_ROUNDED_TO = 8 * 8
# Where more flags than one in so many are set, NumPy finds them without a branch for each.
_SPARSE = 10


@define
class RivalFinder:
    """Finds scores that aren't worse than a bound, in memory that is used again and again.

    Fresh memory costs a page fault for every 4 KiB, about as much as the comparison itself.
    """

    _memory: Mask = field(factory=lambda: np.empty(0, np.bool_))

    def find(
        self,
        scores: Array,
        bound: Array,
        worse: np.ufunc,
        skipped: tuple[Mask, Entries | None],
        most: int,
    ) -> tuple[Ints, Ints] | None:
        """Find the scores that aren't `worse` than the bound.

        "Not worse" isn't "better": a NaN is neither, and must be found.

        Args:
            scores: [users, width].
            bound: [users].
            worse: ``np.less`` or ``np.less_equal``.
            skipped: The users and the entries that are never found.
            most: How many scores a user may have.

        Returns:
            Their indices in the flat scores, ascending, and how many each user has, [users]; None
            where a user has too many.
        """
        users, width = scores.shape
        flags = self._flags(scores.size)
        is_worse = flags[: scores.size].reshape(users, width)
        _compare(worse, scores, bound, is_worse)
        skipped_users, skipped_entries = skipped
        if skipped_entries is not None:
            is_worse[skipped_entries] = True
        if skipped_users.any():
            is_worse[skipped_users] = True
        # Eight at a time, because in most groups of eight all are worse.
        eights = flags.view(np.uint64)
        has_rival = eights != _EIGHT_TRUE
        if np.count_nonzero(has_rival) > users * most // 2:
            return None
        rival_eights = sparse_nonzero(has_rival)
        flat = _indices(rival_eights, ~eights[rival_eights].view(np.bool_))
        counts = np.diff(np.searchsorted(flat, np.arange(users + 1) * width))
        return None if counts.max() > most else (flat, counts)

    def _flags(self, size: int) -> Mask:
        """Return memory for so many flags; those that round their number up are set."""
        rounded = -(-size // _ROUNDED_TO) * _ROUNDED_TO
        if len(self._memory) < rounded:
            self._memory = np.empty(rounded, np.bool_)
        flags = self._memory[:rounded]
        flags[size:] = True
        return flags


def _compare(worse: np.ufunc, scores: Array, bound: Array, out: Mask) -> None:
    """Set `out` to which scores are worse than their user's bound."""
    # For rows of up to half its buffer size, NumPy first copies the bounds to one per score, which
    # is three times slower.
    size = np.setbufsize(16)
    try:
        worse(scores, bound[:, None], out=out)
    finally:
        np.setbufsize(size)


def sparse_nonzero(flags: Mask) -> Ints:
    """Return what `np.flatnonzero` does, faster where few flags are set.

    Up to a tenth of them, NumPy mispredicts a branch for each that is set. So groups of eight flags
    are looked at first, of which more are set.
    """
    if len(flags) % 8 or np.count_nonzero(flags) * _SPARSE > len(flags):
        return np.flatnonzero(flags)
    eights = flags.view(np.uint64)
    set_eights = np.flatnonzero(eights != 0)
    return _indices(set_eights, eights[set_eights].view(np.bool_))


def _indices(eights: Ints, flags: Mask) -> Ints:
    """Return the indices of flags that are set, given some groups of eight flags and their numbers.

    Args:
        eights: [groups], ascending.
        flags: [groups x 8].
    """
    in_eights = np.flatnonzero(flags)
    indices: Ints = (eights << 3)[in_eights >> 3]
    indices |= in_eights & 7
    return indices
