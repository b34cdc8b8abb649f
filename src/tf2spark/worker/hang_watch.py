"""Ends workers that Spark has asked to end and that can't.

With ``killOnIdleTimeout``, Spark sends SIGTERM to a worker that has been silent for
``idleTimeoutSeconds`` and then waits, without a limit, until it has ended. Code that hangs ends by
that signal. A process that is stopped (by SIGSTOP or a debugger) doesn't: the signal stays pending.
So where the user has turned the setting on, each worker has a small process next to it, which kills
a worker of the same executor after SIGTERM has been pending for some seconds. Spark then runs the
task again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import Protocol

# For queries, and for all of an application. PySpark has them from 4.1 on.
_SETTINGS = (
    "spark.sql.execution.pyspark.udf.killOnIdleTimeout",
    "spark.python.worker.killOnIdleTimeout",
)

# Its stdin ends when the worker does. See proc(5) for the masks of pending signals. All workers of
# an executor are children of one daemon, so those are watched that were stopped before they ran us.
_WATCH = """
import glob, os, select, signal, sys
worker, daemon = sys.argv[1:]

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

def ends(pid):
    lines = read(f"/proc/{pid}/status").splitlines()
    masks = [line.split()[1] for line in lines if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)

seconds = {}
while not select.select([0], [], [], 1)[0]:
    seconds = {pid: seconds.get(pid, 0) + 1 for pid in workers() if ends(pid)}
    for pid in seconds:
        if seconds[pid] >= 3:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass
"""
_watcher: subprocess.Popen[bytes] | None = None


class Task(Protocol):
    """What is used of PySpark's `TaskContext`."""

    def getLocalProperty(self, key: str) -> str | None: ...


def watch_if_configured(task: Task) -> None:
    """Start the process that watches, once per worker, if Spark is to end workers that hang."""
    global _watcher
    if _watcher is None and any(task.getLocalProperty(key) == "true" for key in _SETTINGS):
        with suppress(OSError):  # without the watch, Spark waits as it would without us
            _watcher = subprocess.Popen(
                [sys.executable, "-IS", "-c", _WATCH, str(os.getpid()), str(os.getppid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
