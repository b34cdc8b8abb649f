from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tf2spark.worker.statistics.task import (
    OutputStatistics,
    StatisticsPlan,
    kind_of_reason,
    merged,
    statistics_of_partition,
)
from tf2spark.worker.statistics.value_counts import ValueCounts

PLAN = StatisticsPlan(1, True, True)


def parts_of(*batches: pa.RecordBatch) -> list[bytes]:
    """What tasks send back, one for each batch."""
    compute = statistics_of_partition(PLAN)
    return [next(compute(iter([batch])))["statistics"][0].as_py() for batch in batches]


def batch(
    scores: list[float | None], reasons: list[str | None], groups: pa.Array
) -> pa.RecordBatch:
    arrays = [pa.array(scores, pa.float32()), pa.array(reasons, pa.string()), groups]
    return pa.RecordBatch.from_arrays(arrays, ["c0", "c1", "c2"])


def test_tasks_are_merged() -> None:
    """Rows, reasons and groups of all tasks add up, and each task says what memory it used."""
    days = pa.array([datetime.date(2026, 11, day) for day in (1, 2, 1)])
    first = batch([1.0, 2.0, None], [None, None, "row 17 is null"], days)
    second = batch([None], ["row 4 is null"], days[:1])
    statistics = merged(parts_of(first, second), 1)
    assert (statistics.rows, statistics.refused) == (4, 2)
    assert statistics.reasons.most_common(2) == [("row # is null", 2)]
    group = statistics.groups[datetime.date(2026, 11, 1)]
    assert (group.rows, group.refused) == (3, 2)
    assert group.numbers[0].values() == [(1.0, 1)]
    assert min(statistics.peak_bytes.values()) > 1 << 20


def test_times_are_grouped_by_the_hour() -> None:
    """A row's group is the hour of its time, in the time's own zone; null is a group."""
    times = [datetime.datetime(2026, 11, 1, 7, 59, 59), datetime.datetime(2026, 11, 1, 7), None]
    statistics = OutputStatistics.empty(1)
    statistics.add(PLAN, batch([1.0, 2.0, 3.0], [None] * 3, pa.array(times, pa.timestamp("us"))))
    assert {key: group.rows for key, group in statistics.groups.items()} == {
        datetime.datetime(2026, 11, 1, 7): 2,
        None: 1,
    }


@pytest.mark.parametrize(
    "reason",
    [
        'id=8: column "x" is null',
        'user_id=17, day=2026-11-28 07:00:00: column "x" is null',
        'sku="a=b": column "x" is null',
        'column "x" is null',
    ],
)
def test_reasons_are_counted_without_ids(reason: str) -> None:
    """What names the row in front of its reason doesn't make a reason of its own."""
    assert kind_of_reason(reason) == 'column "x" is null'


def test_no_task_has_rows() -> None:
    """An empty table has statistics of nothing."""
    statistics = merged(parts_of(batch([], [], pa.array([], pa.date32()))), 1)
    assert (statistics.rows, statistics.refused, statistics.groups) == (0, 0, {})
    assert merged([], 1).rows == 0


def test_too_many_groups_are_dropped() -> None:
    """A column of ids is no partition: memory stays bounded, and the result says so."""
    ids = pa.array(np.arange(5000))
    statistics = OutputStatistics.empty(1)
    statistics.add(PLAN, batch([1.0] * 5000, [None] * 5000, ids))
    assert statistics.groups_dropped
    assert len(statistics.groups) == 2000
    assert statistics.rows == 5000


def test_rare_values_are_forgotten_first() -> None:
    """With too many different texts, the frequent ones stay, and the counts are at least those."""
    counts = ValueCounts(max_values=10)
    counts.add([("often", 50)])
    for index in range(100):
        counts.add([(f"value {index}", 1)])
    assert counts.most_common(1) == [("often", 50)]
    assert not counts.is_exact
    assert counts.distinct is None
