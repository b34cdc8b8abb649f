"""A limit of time for each run of a model, and for loading one.

Native code that hangs can't be interrupted, nor can a graph that loops for ever. Where a task has a
limit (`task_timeout`), such a call is made in a thread of its own. If it doesn't come back in time,
the task's own thread raises `NoProgress` with the stacks of all threads: Spark gets an error that
says what hung, and PySpark's worker, which ends after an error, takes the thread with it.

A worker whose own thread can't run either (it is stopped, or the call keeps Python's lock) is ended
from outside; see `worker.hang_watch`, which is told by when a call must have come back.
"""

from __future__ import annotations

import faulthandler
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from attrs import frozen

from tf2spark.errors import RunError, argument
from tf2spark.shown_text import Lines

T = TypeVar("T")


class NoProgress(Exception):
    """A call hasn't come back in time.

    Attributes:
        seconds: The limit.
        stacks: Where the threads of the process were: lines as `faulthandler` writes them.
    """

    def __init__(self, seconds: float, stacks: tuple[str, ...]) -> None:
        super().__init__(f"no progress for {seconds:g} s")
        self.seconds = seconds
        self.stacks = stacks


def not_opened(model: str, stuck: NoProgress) -> RunError:
    """Return the error of a model that hasn't been loaded in time."""
    advice = "raise " + argument("task_timeout") + " if it takes longer to load"
    problem = f"{model} wasn't loaded within {stuck.seconds:g} s"
    return RunError(Lines.of([problem, *stuck.stacks]), advice)


def not_run(model: str, rows: str, stuck: NoProgress) -> RunError:
    """Return the error of a run that hasn't come back in time; `rows` says of which rows."""
    advice = (
        "raise " + argument("task_timeout") + " if a run can take longer, or have fewer rows in "
        "one with a lower " + argument("batch_rows")
    )
    problem = f"{model} made no progress for {stuck.seconds:g} s in a run of {rows}"
    return RunError(Lines.of([problem, *stuck.stacks]), advice)


@frozen
class _Limit:
    seconds: float
    announce: Callable[[float], None]
    name_rows: Callable[[str], None]


_limit: ContextVar[_Limit | None] = ContextVar("limit", default=None)
_has_rows: ContextVar[bool] = ContextVar("has_rows", default=False)


def limit_calls(
    seconds: float | None,
    announce: Callable[[float], None] = lambda _: None,
    name_rows: Callable[[str], None] = lambda _: None,
) -> None:
    """Limit each call of this thread from now on; None for no limit.

    Args:
        seconds: How long a run, or loading a model, may take.
        announce: Is told by when a call must have come back, as `time.monotonic` counts; 0 after.
        name_rows: Is told of which rows the next calls are; "" for none.
    """
    _limit.set(None if seconds is None else _Limit(seconds, announce, name_rows))


@contextmanager
def rows_limited(model: str, rows: Callable[[], str]) -> Iterator[None]:
    """Say of which rows the calls of a block are, where they are limited.

    Blocks may nest, as where a user is scored by rows of items: the outermost names the rows.

    Raises:
        RunError: A call hasn't come back in time.
    """
    limit = _limit.get()
    if limit is None or _has_rows.get():
        yield
        return
    named = rows()
    before = _has_rows.set(True)
    limit.name_rows(named)
    try:
        yield
    except NoProgress as stuck:
        raise not_run(model, named, stuck) from None
    finally:
        limit.name_rows("")
        _has_rows.reset(before)


@contextmanager
def calls_limited(seconds: float | None, model: str) -> Iterator[None]:
    """Limit each call of a block, which names no rows.

    Raises:
        RunError: A run hasn't come back in time.
    """
    before = _limit.get()
    limit_calls(seconds)
    try:
        yield
    except NoProgress as stuck:
        raise not_run(model, "some of the rows", stuck) from None
    finally:
        _limit.set(before)


def limited(call: Callable[[], T], *, if_stuck: Callable[[], object] = lambda: None) -> T:
    """Make a call, within the limit if there is one; `if_stuck` is called where it hangs.

    Raises:
        NoProgress: It hasn't come back in time. It may go on in its thread.
    """
    limit = _limit.get()
    if limit is None:
        return call()
    limit.announce(time.monotonic() + limit.seconds)
    try:
        return _caller().call(call, limit.seconds)
    except NoProgress:
        if_stuck()
        raise
    finally:
        limit.announce(0)


class _Caller:
    """A thread that makes one call after the other for the thread that made it."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.works = True
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        thread = threading.Thread(
            target=_serve, args=(self._calls, self._results), name="tf2spark runs", daemon=True
        )
        thread.start()
        weakref.finalize(self, self._calls.put, None)

    def call(self, function: Callable[[], T], seconds: float) -> T:
        self._calls.put(function)
        works, self.works = self.works, False  # until the result is there
        try:
            result, error = self._results.get(timeout=seconds)
        except Empty:
            raise NoProgress(seconds, _stacks()) from None
        self.works = works
        if error is not None:
            raise error
        answer: T = result
        return answer


def _serve(
    calls: SimpleQueue[Callable[[], Any] | None],
    results: SimpleQueue[tuple[Any, BaseException | None]],
) -> None:
    while (call := calls.get()) is not None:
        try:
            result, error = call(), None
        except BaseException as raised:
            result, error = None, raised
        results.put((result, error))
        del call, result, error  # or they would live until the next call


_callers = threading.local()


def _caller() -> _Caller:
    """Return this thread's caller: a new one where the last one is still in a call, or forked."""
    caller: _Caller | None = getattr(_callers, "caller", None)
    if caller is None or not caller.works or caller.process != os.getpid():
        caller = _callers.caller = _Caller()
    return caller


def _stacks() -> tuple[str, ...]:
    """Return the stacks of all threads, which need not be able to run Python code."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        lines = file.read().decode(errors="replace").splitlines()
    return tuple(filter(None, lines))
