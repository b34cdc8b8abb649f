"""Whether values that were computed in different company are the same, but for rounding."""

from __future__ import annotations

import numpy as np

from tf2spark.conversion.rows import Array

# Sums in another order differ by a few units in the last place; other rows change far more.
_TOLERANCE = 1e-3


def same_values(first: Array, second: Array) -> bool:
    """Say whether two arrays are equal, up to what rounding can change."""
    if first.shape != second.shape:
        return False
    if not np.issubdtype(first.dtype, np.floating):
        return bool(np.array_equal(first, second))
    scale = np.max(np.abs(first[np.isfinite(first)]), initial=0.0)
    return bool(np.allclose(first, second, rtol=0, atol=_TOLERANCE * scale, equal_nan=True))
