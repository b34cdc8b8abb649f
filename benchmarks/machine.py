"""The machine that the numbers come from, without host names or paths, and CPU times."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("pyspark", "tensorflow-cpu", "tensorflow", "pyarrow", "numpy", "pandas")


def name() -> str:
    """Return cores, CPU, memory and kernel."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    memory = f"{int(total[1]) / 2**20:.0f} GiB" if total else "unknown memory"
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {cpu[1] if cpu else 'an unknown CPU'}, {memory}, {_kernel()}"


def _kernel() -> str:
    return f"{platform.system()} {platform.release().partition('-')[0]}"


def versions() -> str:
    """Return the versions of Python, Java and the packages that take part."""
    parts = [f"Python {platform.python_version()}", f"Java {_java()}"]
    for package in _PACKAGES:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(parts)


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java") or "java"
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    quoted = re.search(r'"(.+?)"', done.stderr)
    return quoted[1] if quoted else "unknown"


def busy_share(seconds: float = 2.0) -> float:
    """Return the share of the CPUs that is busy now. Source: proc(5), stat, the line `cpu`."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    total = sum(after) - sum(before)
    idle = (after[3] + after[4]) - (before[3] + before[4])
    return 1 - idle / max(total, 1)


def cpu_seconds_of_tree() -> float:
    """Return the CPU time of this process, the JVM and the Python workers so far, in seconds.

    Ended processes count with their last reading, so the sum never decreases.
    Source: proc(5), stat, fields 14, 15 and 22.
    """
    parents, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        pid = int(stat.parent.name)
        parents[pid], ticks[pid] = int(fields[1]), (fields[19], int(fields[11]) + int(fields[12]))
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    for pid in ours & set(ticks):
        started, used = ticks[pid]
        _last_ticks[pid, started] = used
    return sum(_last_ticks.values()) / os.sysconf("SC_CLK_TCK")


_last_ticks: dict[tuple[int, str], int] = {}
"""CPU ticks by process id and start time, because ids are reused."""


def _ticks() -> list[int]:
    return [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
