"""How far the Spark jobs of a notebook's cell are, as one line that changes in place."""

from __future__ import annotations

import contextvars
import html
import threading
import time
from typing import Any

from tf2spark.spark.progress import JobProgress, watch
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.session import current_session

_POLL_SECONDS = 0.5
# Cells that take less show nothing.
_QUIET_SECONDS = 2.0


class CellProgress:
    """Follows the Spark jobs of one cell after the other, from a thread of its own."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, _: object = None) -> None:
        """Follow the jobs of the cell that begins."""
        self.stop()
        self._ended = threading.Event()
        # Output belongs to the cell whose context it is made in.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(_follow, self._ended), daemon=True)
        self._thread.start()

    def stop(self, _: object = None) -> None:
        """End the line of the cell that has ended."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join(timeout=5)
            self._thread = None


def _follow(ended: threading.Event) -> None:
    started = time.monotonic()
    session = None
    while session is None:  # a cell may start the session
        if ended.wait(_POLL_SECONDS):
            return
        session = _classic_session()
    latest = JobProgress(0, 0, 0)

    def keep(done: JobProgress) -> None:
        nonlocal latest
        latest = done

    line = _Line()
    with watch(session, keep, _POLL_SECONDS):
        while not ended.wait(_POLL_SECONDS):
            seconds = time.monotonic() - started
            if latest.tasks and seconds > _QUIET_SECONDS:
                line.show(latest, seconds)
    line.end(time.monotonic() - started)


def _classic_session() -> Any:
    """Return the running session; None where there is none, or one of Spark Connect.

    Connect's sessions show the progress of their jobs themselves.
    """
    session = current_session()
    return None if session is None or is_connect(session) else session


class _Line:
    """A line of output that replaces itself."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = JobProgress(0, 0, 0)

    def show(self, done: JobProgress, seconds: float) -> None:
        self._last = done
        text = f"{done.finished_tasks:,} of {_text(done)}, {seconds:,.0f} s"
        bar = f'<progress max="{done.tasks}" value="{done.finished_tasks}"></progress>'
        self._write(text, f"{bar} {html.escape(text)}")

    def end(self, seconds: float) -> None:
        if self._handle is not None:
            text = f"{_text(self._last)} in {seconds:,.0f} s"
            self._write(text, html.escape(text))

    def _write(self, text: str, fragment: str) -> None:
        from IPython import display

        content = {"text/plain": text, "text/html": fragment}
        if self._handle is None:
            show: Any = display.display
            self._handle = show(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def _text(done: JobProgress) -> str:
    tasks = _counted(done.tasks, "task")
    return f"{tasks}, {_counted(done.rows, 'row')}" if done.rows else tasks


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
