"""Ends workers that can't end themselves.

A worker that is stopped (by SIGSTOP or a debugger), or whose native code keeps Python's lock, can't
raise an error, and a signal to end stays pending. So each worker has a small process next to it,
which kills it, and Spark runs the task again:

- With `task_timeout`, a worker that has been stopped for as long, or whose call of TensorFlow
  hasn't come back some seconds after the limit, when the worker itself should have raised an error
  (see `tensorflow_c.run_limit`). The worker says by when in memory that both have mapped, and of
  which rows the run is.
- With Spark's ``killOnIdleTimeout``, a worker of the same executor that SIGTERM has been pending
  for some seconds. Spark sends it to a worker that has been silent for ``idleTimeoutSeconds``, and
  then waits without a limit.

Without either setting, there is no such process. It counts its own seconds, so that nothing is
killed after a pause of the whole machine.
"""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
from contextlib import suppress
from typing import Protocol

# For queries, and for all of an application. PySpark has them from 4.1 on.
_SETTINGS = (
    "spark.sql.execution.pyspark.udf.killOnIdleTimeout",
    "spark.python.worker.killOnIdleTimeout",
)

# Its stdin ends when the worker does. See proc(5) for states and the masks of pending signals. All
# workers of an executor are children of one daemon, so those are watched that were stopped before
# they ran us. What it prints goes to the executor's log; the file of PySpark's faulthandler, where
# that is on, into Spark's error.
_WATCH = """
import glob, mmap, os, select, signal, struct, sys, time
worker, daemon, memory = sys.argv[1:]
shared = mmap.mmap(int(memory), 512, prot=mmap.PROT_READ) if memory != "-" else None

def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""

def workers():
    if "pyspark.daemon" not in read(f"/proc/{daemon}/cmdline"):
        return {worker}
    listed = map(read, glob.glob(f"/proc/{daemon}/task/*/children"))
    return {worker, *" ".join(listed).split()}

def ends(status):
    masks = [line.split()[1] for line in status if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)

def stopped(status):
    return any(line.startswith("State:") and line.split()[1] in "Tt" for line in status)

def kill(pid, why):
    text = f"tf2spark killed the Python worker {pid}: {why}"
    print(text, file=sys.stderr, flush=True)
    if folder := os.environ.get("PYTHON_FAULTHANDLER_DIR"):
        try:
            with open(os.path.join(folder, pid), "a") as file:
                print(text, file=file)
        except OSError:
            pass
    try:
        os.kill(int(pid), signal.SIGKILL)
    except OSError:
        pass

def in_run():
    rows = shared[16:].split(b"\\0")[0].decode(errors="ignore")
    return f" in a run of {rows}" if rows else ""

def longer(counts, name, pids):
    counts[name] = {pid: counts.get(name, {}).get(pid, 0) + 1 for pid in pids}
    return counts[name].items()

counts = {}
while not select.select([0], [], [], 1)[0]:
    status = {pid: read(f"/proc/{pid}/status").splitlines() for pid in workers()}
    for pid, seconds in longer(counts, "ends", filter(lambda pid: ends(status[pid]), status)):
        if seconds >= 3:
            kill(pid, "it was asked to end and can't")
    limit, deadline = struct.unpack("dd", shared[:16]) if shared else (0, 0)
    if not limit:
        continue
    for pid, seconds in longer(counts, "stopped", filter(lambda pid: stopped(status[pid]), status)):
        if seconds >= limit:
            rows = in_run() if pid == worker else ""
            kill(pid, f"it was stopped for {limit:g} s{rows} (task_timeout)")
    late = [worker] if deadline and time.monotonic() > deadline else []
    for pid, seconds in longer(counts, "late", late):
        if seconds >= 5:
            kill(pid, f"TensorFlow kept Python's lock for {limit:g} s{in_run()} (task_timeout)")
"""
_SHARED_BYTES = 512
"""Two numbers, the limit and when a call must have come back, and a text that ends with a NUL."""
_watcher: subprocess.Popen[bytes] | None = None
_shared: mmap.mmap | None = None


class Task(Protocol):
    """What is used of PySpark's `TaskContext`."""

    def getLocalProperty(self, key: str) -> str | None: ...


def watch_if_configured(task: Task) -> None:
    """Start the process that watches, once per worker, if Spark is to end workers that hang."""
    if _watcher is None and any(task.getLocalProperty(key) == "true" for key in _SETTINGS):
        _start()


def watch_limit(seconds: float | None) -> None:
    """Have this worker killed if it is stopped for this long, or misses an announced time.

    With None, it isn't from now on; only a limit starts the process that watches.
    """
    if _shared is None and seconds is not None and _watcher is None:
        _start()
    if _shared is not None:
        _shared[:16] = struct.pack("dd", seconds or 0.0, 0.0)


def announce(deadline: float) -> None:
    """Say by when a call must have come back, as `time.monotonic` counts; 0 for no call."""
    if _shared is not None:
        _shared[8:16] = struct.pack("d", deadline)


def name_rows(rows: str) -> None:
    """Say of which rows the next calls are; "" for none."""
    if _shared is not None:
        text = rows.encode()[: _SHARED_BYTES - 17]
        _shared[16 : 16 + len(text) + 1] = text + b"\0"


def _start() -> None:
    global _watcher, _shared
    with suppress(OSError, AttributeError):  # this system has no memfd_create: nothing watches
        memory = os.memfd_create("tf2spark")
        os.ftruncate(memory, _SHARED_BYTES)
        shared = mmap.mmap(memory, _SHARED_BYTES)
        # Without the watch, Spark waits as it would without us.
        _watcher = subprocess.Popen(
            [sys.executable, "-IS", "-c", _WATCH, str(os.getpid()), str(os.getppid()), str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[memory],
        )
        _shared = shared
        os.close(memory)
