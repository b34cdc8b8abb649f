"""What a worker does at the start of each task: it avoids two delays of PySpark and a hang, and
uses the GPUs that Spark assigned.

The delays' steps only save time: a task gives the same result if they do nothing. They rely on how
PySpark 3.5 to 4.3 runs its workers: the function and the data come over one TCP connection, and
pyspark/daemon.py collects garbage between tasks. If a release does otherwise, sockets are
acknowledged that need no acknowledgment, and frozen objects stay frozen: neither does harm.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from tf2spark.tensorflow_c.process import assign_gpus, cores
from tf2spark.worker.hang_watch import watch_if_configured

if TYPE_CHECKING:
    from pyspark import TaskContext

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # only Linux has it
_first_task: int | None = None
_frozen = False


def begin_task() -> None:
    """Have Spark send a task's data at once, and exclude lasting objects from garbage collection.

    If the user has Spark end workers that hang, this one is watched; see `hang_watch`.

    To be called before the task reads its first batch.
    """
    from pyspark import TaskContext

    _acknowledge()
    if (task := TaskContext.get()) is not None:
        _freeze_lasting_objects(task.taskAttemptId())
        watch_if_configured(task)


def use_assigned_gpus() -> None:
    """Have this worker's sessions use the GPUs that Spark assigned to the task, if it did.

    A worker keeps those of the first task that opens a model; see `assign_gpus`.
    """
    task = current_task()
    if task is not None and "gpu" in (resources := task.resources()):
        assign_gpus(resources["gpu"].addresses)


def current_task() -> TaskContext | None:
    """Return the Spark task that this process runs; None in any other process."""
    if "pyspark" not in sys.modules:  # Spark's workers have imported it
        return None
    from pyspark import TaskContext

    return TaskContext.get()


def task_cores() -> int | None:
    """Return the cores of the Spark task that this process runs; None outside of one."""
    task = current_task()
    return None if task is None else int(task.cpus())


def available_cpus() -> int:
    """Return how many CPUs sessions of this process may use; in a Spark task, those of the task.

    There, they get the GPUs that Spark assigned to it, too.
    """
    use_assigned_gpus()
    return task_cores() or cores()


def _acknowledge() -> None:
    """Acknowledge what Spark has sent.

    It sends the function and then the data. TCP holds small data back until the function has been
    acknowledged, which Linux delays by 40 ms. Setting TCP_QUICKACK acknowledges it now, once.
    Source: tcp(7), TCP_NODELAY and TCP_QUICKACK.
    """
    if _QUICKACK is None:
        return
    # PySpark doesn't hand its connection to the function, so all of this process's are set.
    for descriptor in _descriptors():
        try:
            connection = socket.socket(fileno=descriptor)
        except OSError:  # not a socket
            continue
        with suppress(OSError):
            internet = connection.family in (socket.AF_INET, socket.AF_INET6)
            if internet and connection.type == socket.SOCK_STREAM:
                connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        connection.detach()  # PySpark owns it: it must not be closed with this object


def _descriptors() -> list[int]:
    with suppress(OSError):  # there is no /proc
        return [int(name) for name in os.listdir("/proc/self/fd")]
    return []


def _freeze_lasting_objects(task: int) -> None:
    """At the second task, exclude all objects that exist from Python's garbage collection, once.

    PySpark's worker calls ``gc.collect()`` after each task and only then reads the next one
    (pyspark/daemon.py, `manager`). That walks through all objects of all imported modules: 10 ms,
    which is more than a small task takes. At the start of the second task garbage has just been
    collected, so what exists now lasts. Reference counting still frees what is no longer used.
    """
    global _first_task, _frozen
    if _first_task is None:
        _first_task = task
    elif task != _first_task and not _frozen:
        gc.freeze()
        _frozen = True
