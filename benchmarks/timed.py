"""What was measured of one contender."""

from __future__ import annotations

import statistics
from typing import Any

from attrs import Factory, define


@define
class Timed:
    """For each run of a contender its time and the CPU time that all its processes took, in
    seconds; and the memory of its workers.

    Attributes:
        name: The contender.
        seconds: By the clock, of each run.
        core_seconds: CPU time of each run.
        memory: Its Python workers just after the last timed run, as `pools.worker_memory` has it.
        peak_bytes: The most private memory (USS) that one of its workers had during a run that was
            watched for that; of the process that scores where there are no workers; 0 if unknown.
    """

    name: str
    seconds: list[float] = Factory(list)
    core_seconds: list[float] = Factory(list)
    memory: list[dict[str, Any]] = Factory(list)
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def cores(self) -> float:
        """The median of the CPU time of a run, in core-seconds."""
        return statistics.median(self.core_seconds)

    @property
    def private_mb(self) -> float:
        """The largest private memory (USS) of its workers after the runs, in MB."""
        return max((one["private_bytes"] for one in self.memory), default=float("nan")) / 1e6

    @property
    def peak(self) -> str:
        """The most private memory of a worker, in MB, as tables print it."""
        return f"{self.peak_bytes / 1e6:,.0f}" if self.peak_bytes else "-"
