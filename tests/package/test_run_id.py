"""`run_id`: whether the process that made a folder is still at work."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tf2spark.package.run_id import PATTERN, new_run_id, state_of

_PRINT_ID = "from tf2spark.package.run_id import new_run_id; print(new_run_id(), flush=True)"


def id_of_other_process(*, then: str = "") -> tuple[str, subprocess.Popen[str]]:
    """Start a process that makes an id and then runs some code; return both."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{_PRINT_ID}\n{then}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process.stdout.readline().strip(), process


def test_ids_are_different_and_name_this_process() -> None:
    """Each output of a process has its own id, and is at work while the process is."""
    first, second = new_run_id(), new_run_id()
    assert first != second
    assert re.fullmatch(PATTERN, first)
    assert first.split("-")[1] == str(os.getpid())
    assert state_of(first) == "running"


def test_a_killed_process_has_ended() -> None:
    """While it lives it is running, and when it was killed it isn't, even before it is reaped."""
    run_id, process = id_of_other_process(then="import time; time.sleep(60)")
    assert state_of(run_id) == "running"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert state_of(run_id) == "ended"
    process.wait()
    assert state_of(run_id) == "ended"
    process.communicate()


def test_a_later_process_with_the_same_pid_is_another() -> None:
    """The pid of a process that has ended is given to others; the start time tells them apart."""
    machine, pid, start, random = new_run_id().split("-")
    assert state_of(f"{machine}-{pid}-{int(start) - 1}-{random}") == "ended"


def test_nothing_is_known_of_other_machines() -> None:
    """A pid of another host, boot or container says nothing here; nor does another name."""
    _, pid, start, random = new_run_id().split("-")
    assert state_of(f"00000000-{pid}-{start}-{random}") == "unknown"
    assert state_of("0123456789ab") == "unknown"
    assert state_of("") == "unknown"
    machine = new_run_id().split("-")[0]
    assert state_of(f"{machine}-{10**30}-1-{random}") == "unknown"
