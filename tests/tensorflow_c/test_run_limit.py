"""`run_limit`: a call that doesn't come back ends in an error, and one that does costs nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from tf2spark.errors import RunError
from tf2spark.tensorflow_c.run_limit import (
    NoProgress,
    limit_calls,
    limited,
    not_opened,
    not_run,
    rows_limited,
)


@pytest.fixture
def announced() -> Iterator[list[float]]:
    """A limit of half a second, and what it announces."""
    times: list[float] = []
    limit_calls(0.5, times.append)
    yield times
    limit_calls(None)


def sleep_for_an_hour() -> None:
    time.sleep(3600)


def test_without_a_limit_calls_are_made_here() -> None:
    """In the thread that asks, as always."""
    assert limited(threading.get_ident) == threading.get_ident()


def test_results_and_errors_come_back(announced: list[float]) -> None:
    """From one other thread, which runs call after call."""
    first, second = limited(threading.get_ident), limited(threading.get_ident)
    assert first == second != threading.get_ident()

    def fail() -> None:
        raise ValueError("as raised")

    with pytest.raises(ValueError, match="as raised"):
        limited(fail)
    assert limited(threading.get_ident) == first


def test_a_call_that_hangs_ends_in_an_error_with_its_stack(announced: list[float]) -> None:
    """And the next call has a thread that is free."""
    with pytest.raises(NoProgress) as raised:
        limited(sleep_for_an_hour)
    assert raised.value.seconds == 0.5
    assert any("in sleep_for_an_hour" in line for line in raised.value.stacks)
    assert limited(lambda: 7) == 7


def test_calls_that_follow_each_other_may_take_longer_together(announced: list[float]) -> None:
    """Each has the whole time: what is slow and alive isn't ended."""
    for _ in range(4):
        limited(lambda: time.sleep(0.3))


def test_each_call_is_announced(announced: list[float]) -> None:
    """By when it must come back, and that it has."""
    before = time.monotonic()
    limited(int)
    deadline, rest = announced
    assert before < deadline <= time.monotonic() + 0.5
    assert rest == 0


def test_a_forked_process_has_a_thread_of_its_own(announced: list[float]) -> None:
    """The parent's thread isn't there."""
    limited(int)
    pid = os.fork()
    if pid == 0:
        os._exit(limited(lambda: 7))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_threads_end_with_those_that_they_serve(announced: list[float]) -> None:
    """A thread of the user's that scores leaves none behind."""
    served: list[threading.Thread] = []
    thread = threading.Thread(target=lambda: served.append(limited(threading.current_thread)))
    thread.start()
    thread.join()
    served[0].join(30)
    assert not served[0].is_alive()


def test_errors_name_model_rows_limit_and_stack() -> None:
    """And what to write."""
    stuck = NoProgress(60, ("Thread 0x1:", '  File "a.py", line 1 in f'))
    assert str(not_run("m", "3 rows from row 5 on", stuck)) == (
        "m made no progress for 60 s in a run of 3 rows from row 5 on\n"
        'Thread 0x1:\n  File "a.py", line 1 in f\n'
        "raise task_timeout=... if a run can take longer, or have fewer rows in one with a lower "
        "batch_rows=..."
    )
    assert (
        not_opened("m", stuck)
        .text_for("command_line")
        .startswith("m wasn't loaded within 60 s\nThread 0x1:")
    )


def test_the_outermost_block_names_the_rows() -> None:
    """So a user is named, not the items that the user is scored with."""
    named: list[str] = []
    limit_calls(0.5, name_rows=named.append)
    try:
        with (
            pytest.raises(RunError, match=r"^m made no progress for 0\.5 s in a run of user 7"),
            rows_limited("m", lambda: "user 7"),
            rows_limited("m", lambda: "64 items"),
        ):
            limited(sleep_for_an_hour)
    finally:
        limit_calls(None)
    assert named == ["user 7", ""]


def test_without_a_limit_rows_are_not_named() -> None:
    """Which would take time in every run."""
    with rows_limited("m", lambda: pytest.fail("named")):
        limited(threading.get_ident)
