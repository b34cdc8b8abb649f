"""The most memory that driver, JVM and Python workers had while something ran."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from attrs import define, field

Kind = Literal["driver", "JVM", "worker", "service"]
_KINDS: Mapping[str, Kind] = {"java": "JVM", "raylet": "service", "gcs_server": "service"}
_EVERY_SECONDS = 0.25


@define
class _Beside:
    """Calls a function again and again on a thread of its own, once at least."""

    _stop: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, look: Callable[[], None], every_seconds: float) -> None:
        def watch() -> None:
            look()
            while not self._stop.wait(every_seconds):
                look()

        self._thread = threading.Thread(target=watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()


@define
class Watch:
    """Context manager. Look at the private memory (USS) of some processes, ten times a second.

    Attributes:
        processes: Tells which, and of which kind, each time.
        most: The most that each had, in bytes.
        kinds: What each is.
    """

    processes: Callable[[], Mapping[int, Kind]]
    most: dict[int, int] = field(factory=dict)
    kinds: dict[int, Kind] = field(factory=dict)
    _beside: _Beside = field(factory=_Beside)

    def __enter__(self) -> Watch:
        self._beside.start(self._look, 0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.stop()

    def of_those_who_score(self, root: int) -> int:
        """Return the most of one worker; without workers, of the JVM; else of the root itself."""
        for kind in ("worker", "JVM"):
            if found := [most for pid, most in self.most.items() if self.kinds[pid] == kind]:
                return max(found)
        return self.most.get(root, 0)

    def _look(self) -> None:
        for pid, kind in self.processes().items():
            self.kinds[pid] = kind
            self.most[pid] = max(self.most.get(pid, 0), _sizes(pid)[0])


@define
class Peaks:
    """Context manager. Look at the private memory (USS) of this process, the JVM and the workers
    that start meanwhile, four times a second.

    Attributes:
        by_process: The most of each process, and the most of what it wrote itself (without pages
            of files that it alone maps just then), in bytes; workers that ended count too.
        together: The most of all at one time, by kind.
    """

    by_process: dict[int, tuple[Kind, int, int]] = field(factory=dict)
    together: dict[Kind, int] = field(factory=dict)
    _beside: _Beside = field(factory=_Beside)
    _others: frozenset[int] = frozenset()

    def __enter__(self) -> Peaks:
        self._others = frozenset(
            pid for pid, kind in processes_below(os.getpid()).items() if kind == "worker"
        )
        self._beside.start(self._look, _EVERY_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.stop()

    def largest(self, kind: Kind) -> int:
        """Return the most that one process of that kind had, in bytes."""
        return max((size for one, size, _ in self.by_process.values() if one == kind), default=0)

    def most_written(self, kind: Kind) -> int:
        """Return the most that one process of that kind had written, in bytes."""
        return max((size for one, _, size in self.by_process.values() if one == kind), default=0)

    def _look(self) -> None:
        sums: dict[Kind, int] = {}
        for pid, kind in processes_below(os.getpid()).items():
            if pid in self._others:
                continue
            size, written = _sizes(pid)
            sums[kind] = sums.get(kind, 0) + size
            _, most, most_written = self.by_process.get(pid, (kind, 0, 0))
            self.by_process[pid] = kind, max(size, most), max(written, most_written)
        for kind, size in sums.items():
            self.together[kind] = max(size, self.together.get(kind, 0))


def processes_below(root: int) -> dict[int, Kind]:
    """Return a process and those below it. Source: proc(5), stat, fields 2 and 4."""
    parents, names = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = stat.read_text().rpartition(")")
        except OSError:  # it ended meanwhile
            continue
        pid = int(stat.parent.name)
        parents[pid], names[pid] = int(after.split()[1]), before.partition("(")[2]
    found: dict[int, Kind] = {root: "driver"}
    while more := {pid for pid, parent in parents.items() if parent in found} - set(found):
        found |= {pid: _KINDS.get(names[pid], "worker") for pid in more}
    return found


def _sizes(pid: int) -> tuple[int, int]:
    """Return a process's USS and what it wrote of that, 0 where it has ended.

    Source: proc(5), smaps_rollup, in kB.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
    # Not Private_Dirty: pages of a mapped file that the disk hasn't yet are dirty too.
    private = fields.get("Private_Clean:", 0) + fields.get("Private_Dirty:", 0)
    return private, min(private, fields.get("Anonymous:", 0))
