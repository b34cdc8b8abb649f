"""Scores and positions as keys: numbers that sort best first, and ties by position.

Scores are float32, float64, or the bits of bfloat16 as int16. Among the last, those below zero
count as -inf: as integers they are in descending order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tf2spark.conversion.casts import from_bfloat16
from tf2spark.conversion.rows import Array, Ints, Mask

_BITS = np.dtype(np.int16)
# -inf as it is in the upper half of a key of 64 bits.
_LEAST: dict[np.dtype[Any], int] = {np.dtype(np.float32): 0x7F800000, _BITS: 0}
MINUS_INFINITY: dict[np.dtype[Any], float] = {
    np.dtype(np.float32): -np.inf,
    np.dtype(np.float64): -np.inf,
    _BITS: -1,
}
"""What is less than every score that may be returned, by the dtype of scores."""
LOWEST: dict[np.dtype[Any], Any] = {
    np.dtype(np.float32): np.finfo(np.float32).min,
    np.dtype(np.float64): np.finfo(np.float64).min,
    _BITS: 0,
}
"""The least score that may be returned."""
FILLER = {
    np.dtype(np.float32): np.int64(2**63 - 1),
    _BITS: np.int64(2**63 - 1),
    np.dtype(np.float64): np.complex128(complex(np.inf, np.inf)),
}
"""The keys that sort after all others, by the dtype of scores."""


def pack(scores: Array, positions: Array) -> Array:
    """Return keys that sort best first, then by position.

    For float32 and bits, a key has 64 bits, the score's above the position's. For float64 it is a
    complex number, which NumPy sorts by its real part first.
    """
    scores = scores + 0  # -0.0 becomes 0.0
    if scores.dtype == np.float64:
        keys = np.empty(scores.shape, np.complex128)
        keys.real, keys.imag = -scores, positions
        return keys
    rising = scores.astype(np.int32) if scores.dtype == _BITS else _swap(scores.view(np.int32))
    np.invert(rising, out=rising)
    falling = rising.astype(np.int64)
    falling <<= 32
    falling |= positions
    return falling


def unpack(keys: Array, dtype: np.dtype[Any]) -> tuple[Ints, Array]:
    """Return the positions and scores of keys; a filler has the score -inf and no position."""
    if dtype == np.float64:
        return np.where(np.isfinite(keys.imag), keys.imag, 0).astype(np.int64), -keys.real
    falling = np.minimum(keys >> 32, _LEAST[dtype]).astype(np.int32)
    rising = ~falling
    scores = rising.astype(_BITS) if dtype == _BITS else _swap(rising).view(np.float32)
    return keys & 0xFFFFFFFF, scores


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


def to_floats(scores: Array) -> Array:
    """Return scores as floats."""
    if scores.dtype != _BITS:
        return scores
    return from_bfloat16(scores.view(np.uint16))


def from_floats(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return scores of a dtype that are as large, or the next ones towards zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        floats: Array = values.astype(np.float32 if dtype == _BITS else dtype)
    if dtype != _BITS:
        return floats
    return (floats.view(np.int32) >> 16).astype(_BITS)


def _swap(bits: Array) -> Array:
    """Turn the bits of float32 into integers of the same order, or back."""
    swapped: Array = bits >> 31
    swapped &= 0x7FFFFFFF
    swapped ^= bits
    return swapped
