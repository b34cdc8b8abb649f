"""Names that say which process made a folder, so that others can tell whether it is still at work.

A run's id is ``<machine>-<pid>-<start>-<random>``. The machine is a boot of a kernel and a
namespace of process ids, because a pid means something only there; the start time tells a process
from a later one with the same pid.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
import uuid
from pathlib import Path
from typing import Literal

State = Literal["running", "ended", "unknown"]

ABANDONED_SECONDS = 7 * 24 * 3600
"""After this time without a change, what a run of another machine left counts as abandoned."""

PATTERN = r"[0-9a-f]{8}-\d+-\d+-[0-9a-f]{8}"
_RUN_ID = re.compile(r"([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}")


def new_run_id() -> str:
    """Return a new id of this process."""
    pid = os.getpid()
    return f"{_machine()}-{pid}-{_start_ticks(pid) or 0}-{uuid.uuid4().hex[:8]}"


def state_of(run_id: str) -> State:
    """Say whether the process that made an id is running; "unknown" for another machine's."""
    match = _RUN_ID.fullmatch(run_id)
    if match is None or match[1] != _machine():
        return "unknown"
    pid, start_ticks = int(match[2]), int(match[3])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "ended"
    except PermissionError:  # somebody else's process, with the pid of one of ours
        return "ended"
    except OverflowError:
        return "unknown"
    found = _start_ticks(pid)
    return "ended" if found is not None and found != start_ticks else "running"


@functools.cache
def boot_id() -> str | None:
    """Return what identifies the time since the last boot; None if this system doesn't say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


@functools.cache
def _machine() -> str:
    boot = boot_id()
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        boot, namespace = None, ""
    return hashlib.sha256(f"{boot or socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


def _start_ticks(pid: int) -> int | None:
    """Return when a process started; -1 if it has ended and awaits its parent, None if unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may contain anything. See proc(5) for the fields that follow it.
    fields = text.rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" else int(fields[19])
