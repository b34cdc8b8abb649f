"""The measurements of one contender."""

from __future__ import annotations

import statistics
from typing import Any

from attrs import Factory, define


@define
class Timing:
    """The wall-clock and CPU time of each run of a contender, and its workers' memory.

    Attributes:
        name: The contender.
        seconds: Wall-clock time of each run.
        core_seconds: CPU time of all its processes in each run.
        memory: Its Python workers right after the last timed run, as `pools.worker_memory`
            returns them.
        peak_bytes: The largest private memory (USS) of any of its workers during a run in which
            memory was watched; that of the scoring process if it has no workers; 0 if unknown.
    """

    name: str
    seconds: list[float] = Factory(list)
    core_seconds: list[float] = Factory(list)
    memory: list[dict[str, Any]] = Factory(list)
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        """The median wall-clock time of a run, in seconds."""
        return statistics.median(self.seconds)

    @property
    def cores(self) -> float:
        """The median CPU time of a run, in core-seconds."""
        return statistics.median(self.core_seconds)

    @property
    def private_mb(self) -> float:
        """The largest private memory (USS) of a worker after the runs, in MB."""
        private = (worker["private_bytes"] for worker in self.memory)
        return max(private, default=float("nan")) / 1e6

    @property
    def peak(self) -> str:
        """The largest private memory of a worker in MB, as tables print it."""
        return f"{self.peak_bytes / 1e6:,.0f}" if self.peak_bytes else "-"
