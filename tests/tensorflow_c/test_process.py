from __future__ import annotations

import gc
import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from cases.tensors import START, run_in_new_python
from tf2spark.errors import ModelError
from tf2spark.tensorflow_c import process


class Opened:
    """A stand-in for a session: the cache never looks inside."""

    def prepare(self, feeds: Any, fetches: Any) -> Any: ...

    def close(self) -> None: ...


def test_cache_opens_a_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is opened by its first caller, even if several threads call at once."""
    monkeypatch.setattr(process, "_sessions", OrderedDict())
    opened: list[Opened] = []
    got: list[Opened] = []

    def opener() -> Opened:
        opened.append(Opened())
        return opened[-1]

    def call() -> None:
        got.append(process.cached_session("a", opener))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(opened) == 1
    assert got == opened * 8
    assert process.cached_session("b", opener) is opened[1]


def test_cache_forgets_what_could_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed opening is tried again at the next call."""
    monkeypatch.setattr(process, "_sessions", OrderedDict())

    def fail() -> Opened:
        raise ModelError("not yet")

    with pytest.raises(ModelError):
        process.cached_session("a", fail)
    assert isinstance(process.cached_session("a", Opened), Opened)


def test_cache_keeps_the_sessions_that_were_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, the one used longest ago is dropped, but not taken from its user."""
    monkeypatch.setattr(process, "_sessions", OrderedDict())
    monkeypatch.setattr(process, "MAX_SESSIONS", 2)
    opened = {key: weakref.ref(process.cached_session(key, Opened)) for key in "ab"}
    in_use = process.cached_session("a", Opened)
    opened["c"] = weakref.ref(process.cached_session("c", Opened))
    gc.collect()
    assert opened["b"]() is None
    assert process.cached_session("a", Opened) is in_use
    process.cached_session("d", Opened)
    process.cached_session("e", Opened)
    assert opened["a"]() is in_use


FORK = (
    START
    + """
def opened():
    return open_session(sys.argv[1], ["serve"], threads=2)
session = process.cached_session("key", opened)
run = session.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
fed = [Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))]
run(fed)
child = os.fork()
if child == 0:
    for work in (lambda: run(fed), opened, lambda: process.cached_session("key", opened),
                 lambda: session.prepare([], [])):
        try:
            work()
        except Exception as error:
            print(type(error).__name__, str(error).partition("; ")[0], flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(run(fed)[0].data.tolist(), os.getpid(), child)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_fork_of_a_process_with_a_session_is_refused(models: Path) -> None:
    """In a fork every use fails at once and says why, instead of hanging; the parent goes on."""
    *refused, last = run_in_new_python(FORK, models / "linear").splitlines()
    result, parent, child = last.split()
    assert result == "[[5.0]]"
    assert refused == 4 * [
        f"SetupError process {child} was forked from process {parent} after TensorFlow had been "
        "started there"
    ]


THREADS = (
    START
    + """
def count():
    return len(os.listdir("/proc/self/task"))
before = count()
session = open_session(sys.argv[1], ["serve"], threads=int(sys.argv[2]))
run = session.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
run([Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))])
print(count() - before)
"""
)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc here")
def test_threads_are_bounded_whatever_the_machine_has(models: Path) -> None:
    """A session starts a pool within ops and one between them, both of the requested size."""
    with_one, with_five = (
        int(run_in_new_python(THREADS, models / "linear", threads)) for threads in (1, 5)
    )
    assert with_one <= 4
    assert with_one + 4 <= with_five <= with_one + 8


ORDERS = (
    START
    + """
def mine():
    session = open_session(sys.argv[1], ["serve"], threads=1)
    run = session.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
    return run([Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))])[0].data.tolist()
print(mine())
import tensorflow as tf
function = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
print(function(x=tf.ones([1, 2]))["y"].numpy().tolist())
print(mine())
"""
)


def test_tensorflow_may_be_imported_after_the_library_is_loaded(models: Path) -> None:
    """The C API and TensorFlow's Python share one library, whichever comes first."""
    # The other order is that of every test in this process.
    assert run_in_new_python(ORDERS, models / "linear").split() == ["[[5.0]]"] * 3
