"""Finds out whether a model's rows depend on each other, by running some of them in other company.

A softmax over the batch, a normalization by the batch's mean, a list-wise ranker: a row's outputs
then change with the rows it is run with. Such rows must not be run apart from their batch, and no
row may be added to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import take_rows
from tf2spark.conversion.rows import Array, Ints
from tf2spark.tensorflow_c.failure import TensorFlowFailure

PROBED_ROWS = 64
# Sums in another order differ by a few units in the last place; other rows change far more.
_TOLERANCE = 1e-3
# A discrete output can flip where its input is at a boundary, by rounding alone.
_FLIPPED_SHARE = 0.02

RunRows = Callable[[Ints], list[list[Any]]]
"""Runs the rows with these numbers together; returns the values of each output, row by row."""


def rows_depend(
    run: Callable[[pa.RecordBatch], list[pa.Array]],
    batch: pa.RecordBatch,
    max_rows: int,
    *,
    keep_all: bool = False,
) -> bool:
    """Return whether rows that were scored before get other outputs in other batches.

    Args:
        run: Scores rows together, as in `score_loop`.
        batch: At least one row, each of which can be scored.
        max_rows: The most rows that can run together.
        keep_all: No row is left out of a run, because rows are padded to the longest of it.
    """

    def run_rows(rows: Ints) -> list[list[Any]]:
        return [column.to_pylist() for column in run(take_rows(batch, rows))]

    count = min(batch.num_rows, max_rows, PROBED_ROWS)
    return runs_differ(run_rows, count, max_rows=max_rows, keep_all=keep_all)


def runs_differ(
    run: RunRows, count: int, *, min_rows: int = 1, max_rows: int, keep_all: bool = False
) -> bool:
    """Return whether the outputs of `count` rows change with their order and their number.

    Args:
        run: Runs some of the rows.
        count: How many rows there are.
        min_rows: The fewest rows that can run together.
        max_rows: The most rows that can run together.
        keep_all: No row is left out of a run.
    """
    rows = np.arange(count)
    alone = run(rows)
    if _differ(alone, run(rows)):
        return False  # random: not the other rows' doing
    half = (count + 1) // 2
    others = [np.roll(rows[::-1], 1), np.concatenate([rows, rows[:1], rows[:1]])]
    if not keep_all:
        others += [np.where(rows < half, rows, 0), rows[:half]]  # the first half in other company
    possible = [other for other in others if min_rows <= len(other) <= max_rows]
    try:
        return any(_changes(alone, run(other), other) for other in possible)
    except TensorFlowFailure as failure:
        if not failure.row_caused:
            raise
        return True  # each row is fine, so it is their number or order that TensorFlow refuses


def same_values(first: Array, second: Array) -> bool:
    """Say whether arrays that were computed in different company are equal, but for rounding."""
    if first.shape != second.shape:
        return False
    if not np.issubdtype(first.dtype, np.floating):
        return bool(np.array_equal(first, second))
    scale = np.max(np.abs(first[np.isfinite(first)]), initial=0.0)
    return bool(np.allclose(first, second, rtol=0, atol=_TOLERANCE * scale, equal_nan=True))


def _changes(alone: list[list[Any]], together: list[list[Any]], rows: Ints) -> bool:
    """Return whether the rows of a run have other outputs than in the run of all in order."""
    expected = [[values[row] for row in rows] for values in alone]
    return _differ(expected, together)


def _differ(first: Sequence[Sequence[Any]], second: Sequence[Sequence[Any]]) -> bool:
    for column, other in zip(first, second, strict=True):
        scale = max((_magnitude(value) for value in column), default=0.0)
        same = [_same(*pair, _TOLERANCE * scale) for pair in zip(column, other, strict=True)]
        if same.count(False) > _FLIPPED_SHARE * len(same):
            return True
    return False


def _magnitude(value: Any) -> float:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return max(map(_magnitude, value), default=0.0)
    finite = isinstance(value, float) and math.isfinite(value)
    return abs(value) if finite else 0.0


def _same(first: Any, second: Any, tolerance: float) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        first, second = list(first.values()), list(second.values())
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        pairs = zip(first, second, strict=False)
        return len(first) == len(second) and all(_same(*pair, tolerance) for pair in pairs)
    if isinstance(first, float) and isinstance(second, float):
        both_nan = math.isnan(first) and math.isnan(second)
        return first == second or both_nan or abs(first - second) <= tolerance
    return bool(first == second)
