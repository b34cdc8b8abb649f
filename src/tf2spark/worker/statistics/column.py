"""Statistics of one output column, whatever its type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tf2spark.worker.statistics.value_counts import ValueCounts
from tf2spark.worker.statistics.value_sketch import ValueSketch

MAX_ENTRIES = 16
"""Entries of longer lists aren't counted one by one, which would take longer than scoring."""

Array = npt.NDArray[Any]


class ColumnStatistics:
    """What is known of a column's values; `merge` adds those of another part of the column.

    Attributes:
        type: The column's type as text.
        rows: The number of rows.
        nulls: Rows without a value.
        numbers: The finite numbers: values, the entries of short lists, or the scores of
            recommendations.
        norms: The Euclidean norms of lists of several numbers.
        nan: How many numbers are NaN, those in lists included.
        infinite: How many are infinite.
        lengths: How many entries lists, maps and recommendations have.
        counts: How often texts, booleans or the ids of recommended items occur.
    """

    def __init__(self, max_buckets: int) -> None:
        self.type = ""
        self.rows = self.nulls = self.nan = self.infinite = 0
        self.numbers: ValueSketch | None = None
        self.norms: ValueSketch | None = None
        self.lengths: ValueSketch | None = None
        self.counts: ValueCounts | None = None
        self._max_buckets = max_buckets

    def add(self, array: pa.Array) -> None:
        """Add the values of an array."""
        self.type = str(array.type)
        self.rows += len(array)
        self.nulls += array.null_count
        values = array.drop_null()
        if is_number(array.type):
            self._add_numbers(_to_numpy(values))
        elif _is_text(array.type) or pa.types.is_boolean(array.type):
            self._add_texts(values)
        elif is_recommendations(array.type):
            entries = values.flatten()
            self._add_lengths(pc.list_value_length(values))
            ids, scores = (entries.field(index) for index in range(2))
            self._add_texts(ids)
            self._add_numbers(_to_numpy(scores.drop_null()))
        elif _is_list(array.type) or pa.types.is_map(array.type):
            self._add_lists(values)

    def merge(self, other: ColumnStatistics) -> None:
        """Add the values of another part."""
        self.type = self.type or other.type
        self.rows += other.rows
        self.nulls += other.nulls
        self.nan += other.nan
        self.infinite += other.infinite
        for name in ("numbers", "norms", "lengths"):
            if (sketch := getattr(other, name)) is not None:
                self._sketch(name).merge(sketch)
        if other.counts is not None:
            self.counts = self.counts or ValueCounts()
            self.counts.merge(other.counts)

    def _sketch(self, name: str) -> ValueSketch:
        sketch: ValueSketch | None = getattr(self, name)
        if sketch is None:
            sketch = ValueSketch(self._max_buckets)
            setattr(self, name, sketch)
        return sketch

    def _add_numbers(self, numbers: Array) -> None:
        self._count_special(numbers)
        self._sketch("numbers").add(numbers[np.isfinite(numbers)])

    def _count_special(self, numbers: Array) -> None:
        self.nan += int(np.isnan(numbers).sum())
        self.infinite += int(np.isinf(numbers).sum())

    def _add_texts(self, values: pa.Array) -> None:
        counted = pc.value_counts(values.drop_null())
        texts = map(_as_text, counted.field(0).to_pylist())
        self.counts = self.counts or ValueCounts()
        self.counts.add(zip(texts, counted.field(1).to_pylist(), strict=True))

    def _add_lengths(self, lengths: pa.Array) -> None:
        self._sketch("lengths").add(_to_numpy(lengths.drop_null()))

    def _add_lists(self, lists: pa.Array) -> None:
        if pa.types.is_map(lists.type):
            self._add_lengths(pa.array(np.diff(lists.offsets.to_numpy())))
            return
        lengths = _to_numpy(pc.list_value_length(lists))
        self._sketch("lengths").add(lengths)
        if not is_number(lists.type.value_type):
            return
        numbers = _to_numpy(lists.flatten())
        self._count_special(numbers)
        entries = numbers[np.repeat(lengths <= MAX_ENTRIES, lengths)]
        if len(entries):
            self._sketch("numbers").add(entries[np.isfinite(entries)])
        with np.errstate(over="ignore"):
            norms = np.sqrt(_row_sums(numbers.astype(np.float64) ** 2, lengths))
        norms = norms[np.isfinite(norms) & (lengths > 1)]
        if len(norms):
            self._sketch("norms").add(norms)


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def is_recommendations(kind: pa.DataType) -> bool:
    """Say whether a type is that of recommendations: lists of an id and a score."""
    return bool(
        _is_list(kind)
        and pa.types.is_struct(kind.value_type)
        and kind.value_type.num_fields == 2
        and kind.value_type.field(1).name == "score"
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    checks = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_binary,
        pa.types.is_large_binary,
    )
    return any(check(kind) for check in checks)


def _to_numpy(array: pa.Array) -> Array:
    """Return numbers; those that are null become NaN."""
    numbers: Array = array.to_numpy(zero_copy_only=False)
    return numbers if numbers.dtype.kind in "fiu" else numbers.astype(np.float64)


def _row_sums(values: Array, lengths: Array) -> npt.NDArray[np.float64]:
    """Return the sum of each row's values, where rows of these lengths lie one after another."""
    sums = np.zeros(len(lengths))
    full = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[full].astype(np.int64)
    if len(starts):
        with np.errstate(invalid="ignore", over="ignore"):
            sums[full] = np.add.reduceat(values, starts)
    return sums


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value[:100].hex(" ")
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
