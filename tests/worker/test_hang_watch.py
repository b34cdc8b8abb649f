"""`hang_watch`: a worker that can't take Spark's request to end is killed, and no other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pending signals are in /proc")

_WORKER = """
import sys, time
from tf2spark.worker import hang_watch

class Task:
    def getLocalProperty(self, key):
        return sys.argv[1] if key == "spark.sql.execution.pyspark.udf.killOnIdleTimeout" else None

for _ in range(2):
    hang_watch.watch_if_configured(Task())
print(hang_watch._watcher.pid if hang_watch._watcher else "none", flush=True)
time.sleep(120)
"""


@contextlib.contextmanager
def worker(setting: str = "true") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a worker, and yield it with the process id of what watches it."""
    command = [sys.executable, "-c", _WORKER, setting]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def state(pid: str | int) -> str:
    """Return a process's state as in proc(5); "" for one that has ended and awaits no parent."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def ends(pid: str | int, seconds: float = 30) -> bool:
    """Wait until a process has ended; say whether it has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if state(pid) in ("", "Z"):
            return True
        time.sleep(0.1)
    return False


def test_a_stopped_worker_is_killed_once_spark_has_asked_it_to_end() -> None:
    """The request alone doesn't end it, and being stopped alone doesn't get it killed."""
    with worker() as (process, watcher):
        process.send_signal(signal.SIGSTOP)
        assert not ends(process.pid, 5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGKILL
    assert ends(watcher)


def test_what_watches_ends_with_the_worker() -> None:
    """However the worker ends, no process stays behind."""
    with worker() as (process, watcher):
        assert state(watcher) in ("R", "S")
        process.kill()
        process.wait()
        assert ends(watcher)


@pytest.mark.parametrize("setting", ["false", ""])
def test_without_the_setting_nothing_watches(setting: str) -> None:
    """Who hasn't asked for it doesn't pay for it."""
    with worker(setting) as (_, watcher):
        assert watcher == "none"


_LIMITED_WORKER = """
import ctypes, os, signal, sys, time
from tf2spark.tensorflow_c.run_limit import limit_calls, limited, rows_limited
from tf2spark.worker.hang_watch import announce, name_rows, watch_limit

def work():
    what = sys.argv[1]
    if what == "is stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "keeps Python's lock":
        ctypes.PyDLL(None).sleep(120)  # this way of calling C keeps it
    elif what == "is slow":
        time.sleep(1.5)

watch_limit(0.5)  # of another task
watch_limit(float(sys.argv[2]) or None)
limit_calls(float(sys.argv[2]) or None, announce, name_rows)
print("works", flush=True)
for number in range(2):
    with rows_limited("model", lambda: f"2 rows from row {number} on"):
        limited(work)
print("done", flush=True)
"""


def run_limited_worker(what: str, limit_seconds: float) -> tuple[int, str]:
    """Run a worker that hangs, or not; return its exit status and what its log says."""
    command = [sys.executable, "-c", _LIMITED_WORKER, what, str(limit_seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.startswith("works")
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("is stopped", "it was stopped for 2 s"),
        (
            "keeps Python's lock",
            "TensorFlow kept Python's lock for 2 s",
        ),
    ],
)
def test_a_worker_that_cannot_raise_an_error_is_killed_after_the_limit(what: str, why: str) -> None:
    """And its log says why, and in which rows."""
    status, log = run_limited_worker(what, 2)
    assert status == -signal.SIGKILL
    assert log.startswith("tf2spark killed the Python worker ")
    assert f"{why} in a run of 2 rows from row 0 on (task_timeout)" in log


def test_a_worker_that_is_slow_is_not_killed() -> None:
    """Nor by the limit of a task that it ran before, nor where its own task has none."""
    assert run_limited_worker("is slow", 5) == (0, "")
    assert run_limited_worker("is slow", 0) == (0, "")


_DAEMON = """
import os, subprocess, sys, time
stopped = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
watched = subprocess.Popen([sys.executable, "-c", sys.argv[1], "true"])
print(stopped.pid, watched.pid, flush=True)
stopped.wait()
print(stopped.returncode, flush=True)
watched.kill()
"""


def test_a_worker_that_was_stopped_before_it_ran_us_is_killed_by_another_s_watch(
    tmp_path: Path,
) -> None:
    """All workers of an executor are children of Spark's daemon, and one watch is enough."""
    (tmp_path / "pyspark.daemon.py").write_text(_DAEMON)  # stands for `-m pyspark.daemon`
    command = [sys.executable, str(tmp_path / "pyspark.daemon.py"), _WORKER]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    stopped = int(daemon.stdout.readline().split()[0])
    daemon.stdout.readline()  # the other worker is watched
    os.kill(stopped, signal.SIGSTOP)
    while state(stopped) != "T":
        time.sleep(0.01)
    os.kill(stopped, signal.SIGTERM)
    assert daemon.communicate(timeout=30)[0].strip() == str(-signal.SIGKILL)
