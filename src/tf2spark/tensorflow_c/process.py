"""What a process has only once: its sessions and GPUs, and TensorFlow's threads, which survive no
fork.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tf2spark.errors import SetupError

# The process in which TensorFlow's threads run. A fork copies the memory but not the threads, so
# the child waits for them forever, even in a new session: the pools belong to the process.
_started_in: int | None = None


def mark_started() -> None:
    """Remember that TensorFlow's threads run in this process."""
    global _started_in
    _started_in = os.getpid()


def has_forked() -> bool:
    """Return whether TensorFlow was started before this process was forked."""
    return _started_in is not None and _started_in != os.getpid()


def refuse_fork() -> None:
    """Raise SetupError if TensorFlow was started before this process was forked."""
    if has_forked():
        raise SetupError(
            f"process {os.getpid()} was forked from process {_started_in} after TensorFlow had "
            "been started there; TensorFlow's threads don't survive a fork, and it would hang. "
            "Score in the process that started it, or start the new one with "
            "multiprocessing.get_context('spawn')"
        )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# The GPUs of this process's sessions, as `visible_gpus` returns them.
_visible_gpus = ""


def assign_gpus(addresses: Sequence[str]) -> None:
    """Have this process's sessions use these GPUs only; they keep those of the first session.

    TensorFlow numbers the GPUs of a process once, and refuses a session with others.

    Args:
        addresses: The numbers of GPUs, counted among those of ``CUDA_VISIBLE_DEVICES`` if it is
            set; or their identifiers (``GPU-...``, ``MIG-...``).
    """
    global _visible_gpus
    if not addresses or _started_in == os.getpid():
        return
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        # The order in which nvidia-smi numbers them for Spark; CUDA's own is by their speed.
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if all(address.isdecimal() for address in addresses):
        _visible_gpus = ",".join(addresses)
    else:
        # TensorFlow takes numbers only. CUDA reads this when the first session starts it.
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(addresses)


def visible_gpus() -> str:
    """Return ``GPUOptions.visible_device_list``: numbers with commas, or "" for no restriction."""
    return _visible_gpus


S = TypeVar("S")
MAX_SESSIONS = 16
"""How many sessions a process keeps for later calls."""
# In the order of their last use.
_sessions: OrderedDict[str, Any] = OrderedDict()
_sessions_lock = threading.Lock()


def cached_session(key: str, opener: Callable[[], S]) -> S:
    """Return this process's session for a key, opened at the first call.

    It is kept, so a worker that runs many tasks loads a model once. Of more than `MAX_SESSIONS`,
    the least recently used is dropped: it closes when nothing uses it any more.

    Args:
        key: What makes two sessions the same: the model's digest, tags and threads.
        opener: Opens the session, for instance with `open_session`.

    Raises:
        SetupError: TensorFlow was started before this process was forked.
    """
    refuse_fork()
    # Held while a session opens: a second caller waits for it instead of loading the model again.
    with _sessions_lock:
        if key not in _sessions:
            _sessions[key] = opener()
            if len(_sessions) > MAX_SESSIONS:
                _sessions.popitem(last=False)
        _sessions.move_to_end(key)
        session: S = _sessions[key]
        return session
