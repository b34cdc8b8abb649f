"""The peak memory of the driver, the JVM and the Python workers while something runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from attrs import define, field

Kind = Literal["driver", "JVM", "worker", "service"]
_KINDS: Mapping[str, Kind] = {"java": "JVM", "raylet": "service", "gcs_server": "service"}
_INTERVAL_SECONDS = 0.25


@define
class _Poller:
    """Calls a function periodically on a thread of its own, at least once."""

    _stop: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, measure: Callable[[], None], interval_seconds: float) -> None:
        def poll() -> None:
            measure()
            while not self._stop.wait(interval_seconds):
                measure()

        self._thread = threading.Thread(target=poll, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()


@define
class MemoryWatch:
    """Context manager that measures the private memory (USS) of processes ten times a second.

    Attributes:
        processes: Returns the process ids and their kinds; called for each measurement.
        peak_bytes: The largest private memory of each process.
        kinds: The kind of each process.
    """

    processes: Callable[[], Mapping[int, Kind]]
    peak_bytes: dict[int, int] = field(factory=dict)
    kinds: dict[int, Kind] = field(factory=dict)
    _poller: _Poller = field(factory=_Poller)

    def __enter__(self) -> MemoryWatch:
        self._poller.start(self._measure, 0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._poller.stop()

    def scoring_peak(self, root: int) -> int:
        """Return the peak, in bytes, of a worker, or of the JVM, or else of the root process."""
        for kind in ("worker", "JVM"):
            peaks = [peak for pid, peak in self.peak_bytes.items() if self.kinds[pid] == kind]
            if peaks:
                return max(peaks)
        return self.peak_bytes.get(root, 0)

    def _measure(self) -> None:
        for pid, kind in self.processes().items():
            self.kinds[pid] = kind
            self.peak_bytes[pid] = max(self.peak_bytes.get(pid, 0), _memory_bytes(pid)[0])


@define
class MemoryPeaks:
    """Context manager that measures private memory (USS) four times a second.

    It covers this process, the JVM, and the workers that start inside the block.

    Attributes:
        by_process: The kind of each process, its peak, and the peak of what it wrote itself, in
            bytes. Pages of files that no other process maps at that moment are part of the first
            only. Workers that have ended are included.
        totals: The peak of all processes of a kind at one time, in bytes.
    """

    by_process: dict[int, tuple[Kind, int, int]] = field(factory=dict)
    totals: dict[Kind, int] = field(factory=dict)
    _poller: _Poller = field(factory=_Poller)
    _old_workers: frozenset[int] = frozenset()

    def __enter__(self) -> MemoryPeaks:
        self._old_workers = frozenset(
            pid for pid, kind in process_tree(os.getpid()).items() if kind == "worker"
        )
        self._poller.start(self._measure, _INTERVAL_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._poller.stop()

    def largest(self, kind: Kind) -> int:
        """Return the peak of any one process of that kind, in bytes."""
        processes = self.by_process.values()
        return max((peak for its_kind, peak, _ in processes if its_kind == kind), default=0)

    def largest_written(self, kind: Kind) -> int:
        """Return the peak of what any one process of that kind wrote itself, in bytes."""
        processes = self.by_process.values()
        return max((written for its_kind, _, written in processes if its_kind == kind), default=0)

    def _measure(self) -> None:
        sums: dict[Kind, int] = {}
        for pid, kind in process_tree(os.getpid()).items():
            if pid in self._old_workers:
                continue
            size, written = _memory_bytes(pid)
            sums[kind] = sums.get(kind, 0) + size
            _, peak, peak_written = self.by_process.get(pid, (kind, 0, 0))
            self.by_process[pid] = kind, max(size, peak), max(written, peak_written)
        for kind, size in sums.items():
            self.totals[kind] = max(size, self.totals.get(kind, 0))


@define
class MemorySamples:
    """Context manager that samples the resident memory (RSS) of this process's tree.

    Attributes:
        interval_seconds: The time between samples.
        samples: For each kind of process the largest, in bytes, sample by sample.
    """

    interval_seconds: float
    samples: dict[Kind, list[int]] = field(factory=dict)
    _poller: _Poller = field(factory=_Poller)

    def __enter__(self) -> MemorySamples:
        self._poller.start(self._measure, self.interval_seconds)
        return self

    def __exit__(self, *_: object) -> None:
        self._poller.stop()

    def _measure(self) -> None:
        largest: dict[Kind, int] = {}
        for pid, kind in process_tree(os.getpid()).items():
            largest[kind] = max(largest.get(kind, 0), _resident_bytes(pid))
        for kind, size in largest.items():
            self.samples.setdefault(kind, []).append(size)


def process_tree(root: int) -> dict[int, Kind]:
    """Return the kinds of a process and its descendants. Source: proc(5), stat, fields 2 and 4."""
    parents, names = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = stat.read_text().rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        pid = int(stat.parent.name)
        parents[pid], names[pid] = int(after.split()[1]), before.partition("(")[2]
    kinds: dict[int, Kind] = {root: "driver"}
    while more := {pid for pid, parent in parents.items() if parent in kinds} - set(kinds):
        kinds |= {pid: _KINDS.get(names[pid], "worker") for pid in more}
    return kinds


def _resident_bytes(pid: int) -> int:
    """Return a process's RSS; 0 if it has ended. Source: proc(5), statm, in pages."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _memory_bytes(pid: int) -> tuple[int, int]:
    """Return a process's USS and the part that it wrote itself; 0 if it has ended.

    Source: proc(5), smaps_rollup, in kB.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
    # Not Private_Dirty: pages of a mapped file that aren't on disk yet are dirty too.
    private = fields.get("Private_Clean:", 0) + fields.get("Private_Dirty:", 0)
    return private, min(private, fields.get("Anonymous:", 0))
