"""Openings of models add up by host and TensorFlow."""

from __future__ import annotations

import socket

from tf2spark.tensorflow_c.library import version
from tf2spark.worker.openings import ByHost, Openings, OpeningsParam, count_opening


class Accumulator:
    """Adds up as Spark's does."""

    def __init__(self) -> None:
        self.param = OpeningsParam()
        self.value: ByHost = {}

    def add(self, term: ByHost) -> None:
        self.value = self.param.addInPlace(self.value, term)


def test_a_host_has_its_count_its_seconds_and_the_slowest() -> None:
    """By the version of TensorFlow that it has."""
    accumulator = Accumulator()
    for seconds in (0.5, 2.0, 0.25):
        count_opening(accumulator, seconds)
    expected = {(socket.gethostname(), version()): Openings(3, 2.75, 2.0)}
    assert accumulator.value == expected


def test_hosts_stay_apart() -> None:
    """So that each can be named."""
    param = OpeningsParam()
    first, second = {("a", "2.16"): Openings(1, 1, 1)}, {("b", "2.20"): Openings(2, 3, 2)}
    assert param.addInPlace(first, second) == {**first, **second}
    assert param.zero(first) == {}


def test_without_an_accumulator_nothing_is_counted() -> None:
    """As outside of Spark, and on Connect."""
    count_opening(None, 1.0)
