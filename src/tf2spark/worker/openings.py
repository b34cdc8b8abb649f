"""How often models were opened, and how long that took, by host: told to the driver.

The numbers travel in an accumulator of Spark, which is the driver's business (`spark.facts`); here
are the value that it adds up, and what a worker adds. A task that fails tells nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from tf2spark.tensorflow_c.library import version


@frozen
class Openings:
    """The models that were opened on a host, with one TensorFlow.

    Attributes:
        count: How many.
        seconds: How long they took together.
        longest_seconds: How long the slowest took.
    """

    count: int
    seconds: float
    longest_seconds: float

    def __add__(self, other: Openings) -> Openings:
        longest = max(self.longest_seconds, other.longest_seconds)
        return Openings(self.count + other.count, self.seconds + other.seconds, longest)


ByHost = Mapping[tuple[str, str], Openings]
"""By the host's name and the version of TensorFlow."""


class OpeningsParam:
    """How an accumulator of Spark adds up openings: an ``AccumulatorParam``."""

    def zero(self, value: ByHost) -> ByHost:
        return {}

    def addInPlace(self, value: ByHost, other: ByHost) -> ByHost:
        return added(value, other)


def added(value: ByHost, other: ByHost) -> ByHost:
    """Return the openings of both."""
    total = dict(value)
    for key, openings in other.items():
        total[key] = total[key] + openings if key in total else openings
    return total


def count_opening(accumulator: Any, seconds: float) -> None:
    """Add a model that this process opened to an accumulator; nothing where there is none."""
    if accumulator is not None:
        accumulator.add({(socket.gethostname(), version()): Openings(1, seconds, seconds)})
