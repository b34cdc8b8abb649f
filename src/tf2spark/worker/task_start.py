"""What a worker does at the start of each task, to be spared two delays of PySpark's."""

from __future__ import annotations

import gc
import os
import socket
from contextlib import suppress

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux has it
_first_task: int | None = None
_frozen = False


def begin_task() -> None:
    """Take a task's data at once, and leave what lasts from task to task out of garbage collection.

    To be called before the task's first batch is asked for.
    """
    from pyspark import TaskContext

    _acknowledge()
    if (task := TaskContext.get()) is not None:
        _freeze_what_lasts(task.taskAttemptId())


def _acknowledge() -> None:
    """Acknowledge what Spark has sent.

    It sends the function and then the data, and TCP keeps small data back until the function has
    been acknowledged, for which Linux takes 40 ms. Setting TCP_QUICKACK does that now, once.
    Source: tcp(7), TCP_NODELAY and TCP_QUICKACK.
    """
    if _QUICKACK is None:
        return
    for descriptor in _descriptors():
        try:
            one = socket.socket(fileno=descriptor)
        except OSError:  # not a socket
            continue
        with suppress(OSError):
            if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
                one.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        one.detach()  # it stays open: it isn't ours


def _descriptors() -> list[int]:
    with suppress(OSError):  # where there is no /proc
        return [int(name) for name in os.listdir("/proc/self/fd")]
    return []


def _freeze_what_lasts(task: int) -> None:
    """From the second task on, leave all that is there out of Python's garbage collection.

    PySpark's daemon calls ``gc.collect()`` after each task and only then reads the next one
    (pyspark/daemon.py, `manager`). That walks through all objects of all imported modules: 10 ms,
    which is more than a small task takes. At the start of the second task garbage has just been
    collected, so what is there lasts. What isn't referred to any more is still freed.
    """
    global _first_task, _frozen
    if _first_task is None:
        _first_task = task
    elif task != _first_task and not _frozen:
        gc.freeze()
        _frozen = True
