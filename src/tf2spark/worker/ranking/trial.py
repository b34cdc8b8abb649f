"""Which of two ways to do the same is faster here, found out by doing the work in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from attrs import define, field

from tf2spark.tensorflow_c.session import Session

_Result = TypeVar("_Result")

# The first turn of each way prepares what later ones use, and isn't counted.
_TURNS = 3


@define
class Trial:
    """Two ways to process batches of rows, of which the faster one is used in the end.

    Time is the processor's for this process, whatever else runs on the machine.
    """

    _seconds: tuple[list[float], list[float]] = field(factory=lambda: ([], []))

    def run(
        self, first: Callable[[], _Result], second: Callable[[], _Result], rows: int
    ) -> _Result:
        """Do the work of some rows, at least one, in one of the two ways."""
        counts = [len(seconds) for seconds in self._seconds]
        if min(counts) >= _TURNS:
            return (first, second)[self._faster()]()
        way = counts.index(min(counts))
        before = time.process_time()
        result = (first, second)[way]()
        self._seconds[way].append((time.process_time() - before) / rows)
        return result

    def _faster(self) -> int:
        first, second = (min(seconds[1:]) for seconds in self._seconds)
        return int(second < first)


# Tasks of a job follow each other in a process, and share its session.
_TRIALS: WeakKeyDictionary[Session, dict[int, Trial]] = WeakKeyDictionary()


def trial_of(session: Session, k: int) -> Trial:
    """Return the trial of a session for users who get k items."""
    return _TRIALS.setdefault(session, {}).setdefault(k, Trial())
