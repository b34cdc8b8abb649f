"""What processes hold at a moment, and whether it grows from sample to sample."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from pyspark.sql import SparkSession

from chaos.processes import executor_jvms, loaded_workers

Sample: TypeAlias = dict[str, float]
"""The time in seconds, and what is held, by name."""

# Spark has no way to remove what `addFile` has sent before the session ends.
_GROWS = "shipped files"
# Of the last half of the samples: what may come on top of their mean, by the last part of the name.
_ALLOWED = {
    "MiB": (0.05, 12.0),
    "descriptors": (0.05, 4.0),
    "threads": (0.05, 4.0),
    "files": (0.05, 10.0),
}


def sample(spark: SparkSession, folder: Path) -> Sample:
    """Return what driver, JVMs and Python workers hold, and what lies in the temporary folder."""
    workers, executors = loaded_workers(), executor_jvms()
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    jvm.java.lang.System.gc()
    runtime = jvm.java.lang.Runtime.getRuntime()
    held: Sample = {
        "seconds": round(time.monotonic(), 1),
        "workers": len(workers),
        "driver JVM heap MiB": (runtime.totalMemory() - runtime.freeMemory()) / 2**20,
    }
    held |= _files_in(folder)
    jvm_pid = int(jvm.java.lang.ProcessHandle.current().pid())
    groups = {"driver": [os.getpid()], "driver JVM": [jvm_pid], "executors": executors}
    for name, pids in {**groups, "worker": workers}.items():
        held |= {f"{name} {what}": value for what, value in _largest(pids).items()}
    return {name: round(value, 1) for name, value in held.items()}


def _largest(pids: Sequence[int]) -> Sample:
    counted: list[tuple[float, float, float]] = []
    for pid in pids:
        try:
            counted.append((_anonymous_mib(pid), _entries(pid, "fd"), _entries(pid, "task")))
        except OSError:  # it has ended
            continue
    if not counted:
        return {}
    columns = zip(("MiB", "descriptors", "threads"), zip(*counted, strict=True), strict=True)
    return {name: max(values) for name, values in columns}


def _anonymous_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Anonymous:"))


def _entries(pid: int, what: str) -> float:
    return float(len(os.listdir(f"/proc/{pid}/{what}")))


def _files_in(folder: Path) -> Sample:
    """Count the files in a folder, apart from Spark's shuffles, which its own cleaner removes."""
    held: Sample = {"temporary files": 0, "temporary MiB": 0, "shipped files": 0}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith("blockmgr-")]
        is_shipped = "/userFiles-" in parent or "/executor-" in parent
        held["shipped files" if is_shipped else "temporary files"] += len(files)
        if not is_shipped:
            held["temporary MiB"] += sum(_size_bytes(f"{parent}/{name}") for name in files) / 2**20
    return held


def _size_bytes(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:  # it has been removed
        return 0


def _settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the last half: before, caches fill and JVMs load their classes."""
    return samples[len(samples) // 2 :]


def _slope(samples: Sequence[Sample], name: str) -> float:
    """Return how much a value grows in an hour, by least squares."""
    hours = np.array([each["seconds"] for each in samples]) / 3600
    return float(np.polyfit(hours - hours[0], [each[name] for each in samples], 1)[0])


def _names(samples: Sequence[Sample]) -> list[str]:
    shared = set.intersection(*(set(each) for each in samples))
    return [name for name in samples[-1] if name in shared and name.split()[-1] in _ALLOWED]


def slopes(samples: Sequence[Sample]) -> list[str]:
    """Return a line for each value: early, late, and its slope."""
    settled = _settled(samples)
    return [
        f"{name}: first {samples[0][name]:,.1f}, middle {settled[0][name]:,.1f}, "
        f"last {settled[-1][name]:,.1f}, slope {_slope(settled, name):+,.2f} an hour"
        for name in _names(samples)
    ]


def growing(samples: Sequence[Sample]) -> list[str]:
    """Return what has grown over the last half, more than it varies."""
    settled = _settled(samples)
    hours = (settled[-1]["seconds"] - settled[0]["seconds"]) / 3600
    grown = []
    for name in _names(samples):
        if name == _GROWS:
            continue
        share, least = _ALLOWED[name.split()[-1]]
        mean = float(np.mean([each[name] for each in settled]))
        if _slope(settled, name) * hours > max(share * mean, least):
            grown.append(name)
    return grown
