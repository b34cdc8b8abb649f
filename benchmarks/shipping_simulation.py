"""Simulates how a model reaches many executors: what each link sends, and how long it takes.

Run as ``python -m benchmarks.shipping_simulation``. Every machine has one executor and one link of
10 Gb/s. An executor fetches one piece after the other, as Spark's `TorrentBroadcast` does: those of
a variable of 32 MiB in random order, each from a random executor that has it. A link sends what was
asked of it in turn. Disks, CPUs and the switches between the machines cost nothing.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from tf2spark.spark.broadcast.seeding import waves

_LINK_BYTES_PER_SECOND = 10e9 / 8
_PIECE_BYTES = 4 << 20
_PIECES_PER_CHUNK = 8
_REQUEST_SECONDS = 0.001
_JOB_SECONDS = 0.2
_DRIVER = -1


@frozen
class Shipped:
    """What it took: seconds, and how many copies of the model the driver and an executor sent."""

    seconds: float
    driver_copies: float
    most_executor_copies: float


class _Cluster:
    """Links that send pieces, and executors that fetch them."""

    def __init__(self, executors: int, model_bytes: int) -> None:
        self.executors, self.chance = executors, random.Random(0)
        self.pieces = model_bytes // _PIECE_BYTES
        self.holders: list[list[int]] = [[_DRIVER] for _ in range(self.pieces)]
        self.complete: set[int] = set()
        self.sent = dict.fromkeys(range(_DRIVER, executors), 0)
        self.free_at = dict.fromkeys(range(_DRIVER, executors), 0.0)

    def result(self, seconds: float) -> Shipped:
        most = max(self.sent[executor] for executor in range(self.executors))
        return Shipped(seconds, self.sent[_DRIVER] / self.pieces, most / self.pieces)

    def hide_driver(self) -> None:
        for holders in self.holders:
            holders.remove(_DRIVER)

    def fetch(self, executors: Iterable[int], start: float) -> float:
        """Have executors fetch all pieces; return when the last is done."""
        wanted = {
            executor: self._order() for executor in executors if executor not in self.complete
        }
        arrivals = [(start, executor) for executor in wanted]
        heapq.heapify(arrivals)
        arriving: dict[int, int] = {}
        now = start
        while arrivals:
            now, executor = heapq.heappop(arrivals)
            if executor in arriving:
                self.holders[arriving.pop(executor)].append(executor)
            if wanted[executor]:
                piece = arriving[executor] = wanted[executor].pop()
                heapq.heappush(arrivals, (self._send(piece, now), executor))
        self.complete |= wanted.keys()
        return now

    def _order(self) -> list[int]:
        order: list[int] = []
        for first in range(0, self.pieces, _PIECES_PER_CHUNK):
            chunk = list(range(first, min(first + _PIECES_PER_CHUNK, self.pieces)))
            order += self.chance.sample(chunk, len(chunk))
        return order[::-1]

    def _send(self, piece: int, now: float) -> float:
        source = self.chance.choice(self.holders[piece])
        self.sent[source] += 1
        starts = max(now + _REQUEST_SECONDS, self.free_at[source])
        self.free_at[source] = starts + _PIECE_BYTES / _LINK_BYTES_PER_SECOND
        return self.free_at[source]


def by_driver(executors: int, model_bytes: int) -> Shipped:
    """Have every executor fetch the whole model from the driver."""
    return Shipped(executors * model_bytes / _LINK_BYTES_PER_SECOND, executors, 0)


def by_broadcast(executors: int, model_bytes: int) -> Shipped:
    """Have all executors start to fetch at once, from the driver and each other."""
    cluster = _Cluster(executors, model_bytes)
    return cluster.result(cluster.fetch(range(executors), 0.0))


def by_waves(executors: int, model_bytes: int) -> Shipped:
    """Have one executor fetch from the driver, and then more and more of them from each other."""
    cluster, now = _Cluster(executors, model_bytes), 0.0
    for number, tasks in enumerate(waves(executors)):
        now = cluster.fetch(cluster.chance.sample(range(executors), tasks), now + _JOB_SECONDS)
        if number == 0:
            cluster.hide_driver()
    return cluster.result(now)


WAYS: dict[str, Callable[[int, int], Shipped]] = {
    "each fetches all from the driver": by_driver,
    "broadcast, all at once": by_broadcast,
    "broadcast in waves": by_waves,
}


def table(sizes: Sequence[int] = (8, 100, 1000), model_bytes: int = 1 << 30) -> str:
    """Return the results as a table in Markdown."""
    lines = [
        "| executors | way | driver sends | an executor sends | seconds |",
        "|---|---|---|---|---|",
    ]
    for executors in sizes:
        for way, ship in WAYS.items():
            shipped = ship(executors, model_bytes)
            lines.append(
                f"| {executors:,} | {way} | {shipped.driver_copies:,.1f} "
                f"| up to {shipped.most_executor_copies:.1f} | {shipped.seconds:,.1f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
