"""Keeps what TensorFlow logs as information off a terminal or a notebook.

Its C++ code writes to descriptor 2, which a notebook shows in red. In a log such lines do no harm,
and the last words of a process that crashes must not be lost there.
"""

from __future__ import annotations

import os
import re
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""The variable by which users choose what TensorFlow logs; TensorFlow reads it once."""
ERRORS_ONLY = "2"
# How long the start of a line waits for its end, before it is shown as it is.
_PATIENCE_MS = 200
_lock = threading.Lock()

# Lines of the log: "2026-11-29 14:03:11.123456: I file.cc:83] ...", "I0000 00:00:1732889000.123
# file.cc:425] ...", and two that belong to such lines. No variable turns off those that are written
# while the library loads.
INFORMATION = re.compile(
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+:? I "
    rb"|I\d{4} \d\d:\d\d:\d+\.\d+"
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions"
)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave information of TensorFlow out in a block, unless the user asked to see it.

    Where TensorFlow isn't loaded yet, its own level is set for good.
    """
    if LOG_LEVEL in os.environ:
        yield
        return
    if "tensorflow" not in sys.modules:
        os.environ[LOG_LEVEL] = ERRORS_ONLY
    is_seen = os.isatty(2) or "ipykernel" in sys.modules
    if not is_seen or not _lock.acquire(blocking=False):  # another thread has it filtered already
        yield
        return
    kept_out = StderrFilter(INFORMATION)
    try:
        yield
    finally:
        kept_out.remove()
        _lock.release()


class StderrFilter:
    """Leaves chatter out of what this process and its children write to descriptor 2.

    Libraries and children write there, and Python's own `sys.stderr` does in scripts. What is
    passed on is unchanged.

    Args:
        chatter: Matches the start of a line that is left out.
    """

    def __init__(self, chatter: re.Pattern[bytes]) -> None:
        self._chatter = chatter
        self._before = os.dup(2)
        reading, writing = os.pipe()
        os.dup2(writing, 2)
        os.close(writing)
        self._thread = threading.Thread(target=self._pass_on, args=(reading,), daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Have this process write to its own stderr again; children that run stay filtered."""
        os.dup2(self._before, 2)
        # What was written is passed on by then, unless a child still has the descriptor.
        self._thread.join(timeout=0.5)

    def _pass_on(self, reading: int) -> None:
        pending = b""
        arrivals = select.poll()
        arrivals.register(reading, select.POLLIN)
        while True:
            if arrivals.poll(_PATIENCE_MS if pending else None):
                received = os.read(reading, 1 << 16)
                if not received:
                    break
                *lines, pending = (pending + received).split(b"\n")
                self._write(b"".join(line + b"\n" for line in lines if not self._is_chatter(line)))
            else:  # the start of a line, as of a prompt or a progress bar
                self._write(pending)
                pending = b""
        self._write(pending)
        os.close(reading)
        os.close(self._before)

    def _is_chatter(self, line: bytes) -> bool:
        return self._chatter.match(line) is not None

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._before, content) :]
