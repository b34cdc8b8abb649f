"""What a Spark task computes for a report: statistics of its part of the written table."""

from __future__ import annotations

import os
import pickle
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import define, field, frozen

from tf2spark.worker.statistics.column import ColumnStatistics, is_number
from tf2spark.worker.statistics.value_counts import ValueCounts
from tf2spark.worker.statistics.value_sketch import ValueSketch

# What names the row in front of its reason: "id=8, day=2026-11-28: ".
_IDS = re.compile(r"^[^\s=\"]+=.{1,200}?: (?=\S)")
_ALL_BUCKETS = 1 << 18
_MAX_BUCKETS, _GROUP_BUCKETS = 8192, 512
_MAX_GROUPS = 2000
_MAX_REASONS = 1000
_MAX_WAITING_VALUES = 1 << 20


@frozen
class StatisticsPlan:
    """Which columns a task receives: the outputs, then the reasons, then the groups, if any.

    Attributes:
        outputs: How many outputs there are.
        has_reasons: Whether a column says why a row has no scores.
        has_groups: Whether a column groups the rows: a partition, a date or a time.
    """

    outputs: int
    has_reasons: bool
    has_groups: bool


@define
class Group:
    """The rows of one partition, day or hour.

    Attributes:
        rows: How many rows there are.
        refused: How many have no scores.
        numbers: The distribution of each numeric output, by the output's position.
        waiting: Values that aren't in `numbers` yet.
    """

    rows: int = 0
    refused: int = 0
    numbers: dict[int, ValueSketch] = field(factory=dict)
    waiting: dict[int, list[Any]] = field(factory=dict)

    def settle(self) -> None:
        """Add the values that wait to the distributions; those that aren't finite are left out."""
        for position, parts in self.waiting.items():
            values = np.concatenate(parts)
            sketch = self.numbers.setdefault(position, ValueSketch(_GROUP_BUCKETS))
            sketch.add(values[np.isfinite(values)])
        self.waiting = {}

    def merge(self, other: Group) -> None:
        self.rows += other.rows
        self.refused += other.refused
        for index, sketch in other.numbers.items():
            self.numbers.setdefault(index, ValueSketch(_GROUP_BUCKETS)).merge(sketch)


@define
class OutputStatistics:
    """Statistics of a table, or of a part of it; those of several parts can be merged.

    Attributes:
        columns: Those of each output.
        reasons: How often each reason occurs; numbers in it are written as "#".
        refused: How many rows have a reason.
        groups: The rows of each group: a text, a date or an hour.
        groups_dropped: There were too many groups, so they aren't complete.
        peak_bytes: The most memory that a worker process has used, by host and process.
    """

    columns: list[ColumnStatistics]
    reasons: ValueCounts = field(factory=lambda: ValueCounts(_MAX_REASONS))
    refused: int = 0
    groups: dict[Any, Group] = field(factory=dict)
    groups_dropped: bool = False
    peak_bytes: dict[tuple[str, int], int] = field(factory=dict)
    _waiting_values: int = 0

    @classmethod
    def empty(cls, outputs: int) -> OutputStatistics:
        buckets = max(256, min(_MAX_BUCKETS, _ALL_BUCKETS // max(1, outputs)))
        return cls([ColumnStatistics(buckets) for _ in range(outputs)])

    @property
    def rows(self) -> int:
        return self.columns[0].rows if self.columns else 0

    def add(self, plan: StatisticsPlan, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch with the columns of a plan."""
        for column, array in zip(self.columns, batch.columns, strict=False):
            column.add(array)
        refused = None
        if plan.has_reasons:
            reasons = batch.column(plan.outputs)
            refused = pc.is_valid(reasons)
            self._add_reasons(reasons.drop_null())
        if plan.has_groups:
            self._add_groups(plan, batch, refused)

    def merge(self, other: OutputStatistics) -> None:
        """Add another part of the table."""
        for column, more in zip(self.columns, other.columns, strict=True):
            column.merge(more)
        self.reasons.merge(other.reasons)
        self.refused += other.refused
        self.groups_dropped = self.groups_dropped or other.groups_dropped
        for key, group in other.groups.items():
            self._group(key).merge(group)
        for process, peak in other.peak_bytes.items():
            self.peak_bytes[process] = max(peak, self.peak_bytes.get(process, 0))

    def _add_reasons(self, reasons: pa.Array) -> None:
        self.refused += len(reasons)
        counted = pc.value_counts(reasons)
        texts = map(kind_of_reason, counted.field(0).to_pylist())
        self.reasons.add(zip(texts, counted.field(1).to_pylist(), strict=True))

    def _add_groups(
        self, plan: StatisticsPlan, batch: pa.RecordBatch, refused: pa.Array | None
    ) -> None:
        keys = pc.dictionary_encode(_group_keys(batch.columns[-1]), null_encoding="encode")
        places = keys.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], np.arange(len(keys.dictionary)), side="right")
        is_refused = None if refused is None else refused.to_numpy(zero_copy_only=False)[order]
        numbers = {
            position: array.to_numpy(zero_copy_only=False)[order]
            for position, array in enumerate(map(_numbers_of, batch.columns[: plan.outputs]))
            if array is not None
        }
        start = 0
        for key, end in zip(keys.dictionary.to_pylist(), ends.tolist(), strict=True):
            group = self._group(key)
            group.rows += end - start
            if is_refused is not None:
                group.refused += int(np.count_nonzero(is_refused[start:end]))
            for position, ordered in numbers.items():
                # As copies, which don't keep the whole batch.
                group.waiting.setdefault(position, []).append(ordered[start:end].copy())
            start = end
        self._waiting_values += len(order) * len(numbers)
        if self._waiting_values > _MAX_WAITING_VALUES:
            self.settle()

    def settle(self) -> None:
        """Add the values of groups that wait, because few at a time take long."""
        for group in self.groups.values():
            group.settle()
        self._waiting_values = 0

    def _group(self, key: Any) -> Group:
        if key not in self.groups and len(self.groups) >= _MAX_GROUPS:
            self.groups_dropped = True
            return Group()
        return self.groups.setdefault(key, Group())


def kind_of_reason(reason: str) -> str:
    """Return what reasons of different rows share: without the row's ids, with "#" for numbers."""
    return re.sub(r"\d+", "#", _IDS.sub("", reason, count=1))


def _numbers_of(array: pa.Array) -> pa.Array | None:
    """Return an array of numbers, also from lists of one number each; None of other arrays."""
    if is_number(array.type):
        return array
    is_list = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
    if not (is_list and is_number(array.type.value_type)):
        return None
    longest = pc.max(pc.list_value_length(array)).as_py()
    return pc.list_element(array, 0) if longest == 1 and _has_no_empty(array) else None


def _has_no_empty(lists: pa.Array) -> bool:
    return bool(pc.min(pc.list_value_length(lists)).as_py() == 1)


def _group_keys(array: pa.Array) -> pa.Array:
    """Return what groups rows: times by the hour, other values as they are."""
    if not pa.types.is_timestamp(array.type):
        return array
    return pc.floor_temporal(array, unit="hour").cast(pa.timestamp("s", array.type.tz))


def statistics_of_partition(
    plan: StatisticsPlan,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function for `mapInArrow` that yields one row: a task's pickled statistics."""

    def compute(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        statistics = OutputStatistics.empty(plan.outputs)
        for batch in batches:
            statistics.add(plan, batch)
        statistics.settle()
        statistics.peak_bytes = {(socket.gethostname(), os.getpid()): peak_bytes()}
        yield pa.RecordBatch.from_pydict({"statistics": [pickle.dumps(statistics)]})

    return compute


def merged(parts: Sequence[bytes], outputs: int) -> OutputStatistics:
    """Merge what the tasks of `statistics_of_partition` have yielded."""
    whole = OutputStatistics.empty(outputs)
    for part in parts:
        whole.merge(pickle.loads(part))
    return whole


def peak_bytes() -> int:
    """Return the most resident memory that this process has used so far."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts kibibytes
