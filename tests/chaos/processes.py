"""The processes of this driver's job on this machine, found by a variable that they inherit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def executor_jvms() -> list[int]:
    """Return the JVMs of the executors."""
    return sorted(pid for pid, maps in _processes() if "libjvm.so" in maps)


def loaded_workers() -> list[int]:
    """Return the Python workers that have TensorFlow's library mapped."""
    return sorted(pid for pid, maps in _processes() if "libtensorflow_cc" in maps)


def peak_bytes(pids: Iterable[int]) -> int:
    """Return the most memory that one of these processes has had (proc(5): VmHWM)."""
    peaks = [0]
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            lines = [line.split() for line in status if line.startswith("VmHWM:")]
        peaks += [int(line[1]) * 1024 for line in lines]
    return max(peaks)


def children() -> list[int]:
    """Return the processes that this one has started."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(pid) for each in listed for pid in each.read_text().split()]


def parent_of(pid: int) -> int:
    """Return the process that started another."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def _processes() -> Iterator[tuple[int, str]]:
    """Yield the processes that have the driver's variable, with what they have mapped."""
    variable = f"TF2SPARK_TEST_DRIVER={os.getpid()}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if variable in (entry / "environ").read_bytes():
                yield int(entry.name), (entry / "maps").read_text()
        except OSError:  # it has ended, or is another user's
            continue
