"""Of two ways, the one is used that takes less of the processor's time."""

from __future__ import annotations

import numpy as np
import pytest

from cases.folder_session import FakeFolderSession
from tf2spark.conversion.rows import RowsRefused
from tf2spark.worker.ranking import trial
from tf2spark.worker.ranking.trial import Trial, trial_of


class Clock:
    """A processor's clock that only the work moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.done: list[str] = []

    def process_time(self) -> float:
        return self.seconds

    def work(self, name: str, seconds: float) -> str:
        self.seconds += seconds
        self.done.append(name)
        return name


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(trial, "time", clock)
    return clock


@pytest.mark.parametrize(("first", "second", "faster"), [(1, 2, "first"), (2, 1, "second")])
def test_both_are_tried_in_turns_and_then_the_faster_one_is_used(
    first: float, second: float, faster: str, clock: Clock
) -> None:
    """The first turn of each doesn't count: here it takes very long."""
    tried = Trial()
    for turn in range(9):
        extra = 100 if turn < 2 else 0
        result = tried.run(
            lambda extra=extra: clock.work("first", first + extra),  # type: ignore[misc]
            lambda extra=extra: clock.work("second", second + extra),  # type: ignore[misc]
            10,
        )
        assert result == clock.done[-1]
    assert clock.done == ["first", "second"] * 3 + [faster] * 3


def test_time_is_compared_per_row(clock: Clock) -> None:
    """The second way takes longer because it gets more rows."""
    tried = Trial()
    for turn in range(7):
        rows = 1000 if turn % 2 else 10
        tried.run(
            lambda rows=rows: clock.work("first", rows * 2.0),  # type: ignore[misc]
            lambda rows=rows: clock.work("second", rows * 1.0),  # type: ignore[misc]
            rows,
        )
    assert clock.done[-1] == "second"


def test_what_becomes_slower_is_left(clock: Clock) -> None:
    """Users who follow may be others; one slow batch is no reason yet."""
    tried = Trial()
    for turn in range(12):
        second = 1.0 if turn < 8 else 9.0
        tried.run(
            lambda: clock.work("first", 2.0),
            lambda second=second: clock.work("second", second),  # type: ignore[misc]
            1,
        )
    assert clock.done[6:] == ["second"] * 4 + ["first"] * 2


def test_a_turn_that_fails_is_taken_again(clock: Clock) -> None:
    """What users refuse says nothing about speed."""
    tried = Trial()

    def fail() -> str:
        raise RowsRefused(np.zeros(1, np.int64), ["no"])

    with pytest.raises(RowsRefused):
        tried.run(fail, fail, 1)
    assert tried.run(lambda: "first", lambda: "second", 1) == "first"


def test_what_was_found_out_is_kept_with_the_session() -> None:
    """Each number of items per user has a trial of its own."""
    session, other = FakeFolderSession(dict), FakeFolderSession(dict)
    assert trial_of(session, 10) is trial_of(session, 10)
    assert trial_of(session, 10) is not trial_of(session, 11)
    assert trial_of(session, 10) is not trial_of(other, 10)
