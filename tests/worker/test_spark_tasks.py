"""`spark_tasks`: what a task does before its first batch."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.worker.spark_tasks import _unless_empty


def test_an_empty_partition_reaches_nothing_that_opens_a_model() -> None:
    """Without a batch there is no iteration, in which the model would be opened."""
    assert list(_unless_empty(iter([]))) == []


def test_all_batches_of_a_partition_come_at_once_and_in_order() -> None:
    """The first batch, which was looked at, is among them."""
    batches = [pa.record_batch({"x": [number]}) for number in range(3)]
    passed = [list(some) for some in _unless_empty(iter(batches))]
    assert passed == [batches]
