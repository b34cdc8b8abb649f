"""PySpark's worker, with faults: it ends, lags or stops where a test has said so.

Spark starts it in the place of ``pyspark.worker`` (``spark.python.worker.module``), and its daemon
takes only modules whose name begins like this one's.

A fault is a file ``RUN-HOW-NUMBER`` in the folder ``TF2SPARK_TEST_FAULTS``. Of the workers that
come to run RUN of a model in a task, the first that removes the file does HOW, and says so in the
file ``injected``. Each model that is opened gets a line in the file ``opened``, and each task that
runs one gets a line in ``tasks``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LAG_SECONDS = 60
_runs = 0
_patched = False


def _lag() -> None:
    time.sleep(_LAG_SECONDS)


_HOW: dict[str, Callable[[], object]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "abort": os.abort,
    "exit": lambda: os._exit(1),
    "exit0": lambda: os._exit(0),
    "lag": _lag,
}


def _folder() -> Path:
    return Path(os.environ["TF2SPARK_TEST_FAULTS"])


def _say(file: str, line: str) -> None:
    # One short write to the end of a file isn't divided.
    with (_folder() / file).open("a") as out:
        out.write(f"{line}\n")


def _fail_if_told() -> None:
    global _runs
    if _runs == 0:
        from pyspark import TaskContext

        if (task := TaskContext.get()) is not None:
            _say("tasks", f"{task.stageId()} {task.partitionId()} {os.getpid()}")
    for fault in sorted(_folder().glob(f"{_runs}-*")):
        try:
            fault.unlink()
        except FileNotFoundError:  # another worker was first
            continue
        how = fault.name.split("-")[1]
        _say("injected", f"{fault.name} {os.getpid()}")
        _HOW[how]()
    _runs += 1


def _patch() -> None:
    """Count the runs of sessions, and the sessions that are opened."""
    global _patched
    if _patched:
        return
    _patched = True
    from tf2spark.tensorflow_c.session import CApiSession

    session: Any = CApiSession
    prepare, opened = session.prepare, session.__init__

    def counting(self: Any, *names: Any) -> Any:
        run = prepare(self, *names)

        def run_or_fail(tensors: Any) -> Any:
            _fail_if_told()
            return run(tensors)

        return run_or_fail

    def telling(self: Any, *arguments: Any) -> None:
        _say("opened", f"{os.getpid()} {arguments[0]}")
        opened(self, *arguments)

    session.prepare, session.__init__ = counting, telling


def main(infile: Any, outfile: Any) -> None:
    """Run a task, as ``pyspark.worker`` does."""
    global _runs
    _patch()
    _runs = 0
    from pyspark.worker import main as run_task

    run_task(infile, outfile)


if __name__ == "__main__":
    sys.exit("started by Spark's daemon only")
