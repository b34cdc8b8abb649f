"""Scores and positions as keys: numbers that sort best first, and ties by position."""

from __future__ import annotations

from typing import Any

import numpy as np

from tf2spark.conversion.rows import Array, Ints, Mask

_MINUS_INFINITY = 0x7F800000  # as it is in a key of 64 bits
FILLER = {
    np.dtype(np.float32): np.int64(2**63 - 1),
    np.dtype(np.float64): np.complex128(complex(np.inf, np.inf)),
}
"""The keys that sort after all others, by the dtype of scores."""


def pack(scores: Array, positions: Ints) -> Array:
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
    np.invert(rising, out=rising)
    falling = rising.astype(np.int64)
    falling <<= 32
    falling |= positions
    return falling


def unpack(keys: Array, dtype: np.dtype[Any]) -> tuple[Ints, Array]:
    """Return the positions and scores of keys; a filler has the score -inf and no position."""
    if dtype == np.float64:
        return np.where(np.isfinite(keys.imag), keys.imag, 0).astype(np.int64), -keys.real
    falling = np.minimum(keys >> 32, _MINUS_INFINITY).astype(np.int32)
    return keys & 0xFFFFFFFF, _swap(~falling).view(np.float32)


def best_of(keys: Array, k: int, is_void: Mask, dtype: np.dtype[Any]) -> tuple[Ints, Ints, Array]:
    """Return the best k of each user from keys in any order, nothing for users who are void.

    Args:
        keys: [users, ...], with fillers.
        k: How many items a user gets at most.
        is_void: [users].
        dtype: The scores' dtype.

    Returns:
        Counts, int64 [users]; then positions, int64, and scores, both [sum of counts], user after
        user, best first.
    """
    keys = np.sort(keys, axis=1)[:, :k]
    is_item = keys != FILLER[dtype]
    is_item[is_void] = False
    positions, scores = unpack(keys[is_item], dtype)
    return np.count_nonzero(is_item, axis=1).astype(np.int64), positions, scores


def _swap(bits: Array) -> Array:
    """Turn the bits of float32 into integers of the same order, or back."""
    swapped: Array = bits >> 31
    swapped &= 0x7FFFFFFF
    swapped ^= bits
    return swapped
