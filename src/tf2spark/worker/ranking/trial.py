"""Which of two ways to do the same is faster here, found out by doing the work in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from attrs import define, field

from tf2spark.tensorflow_c.session import Session

_Result = TypeVar("_Result")

# Turns of each way before one is chosen; the first prepares what later ones use, and isn't counted.
_TURNS = 3
# The last turns that count: what was faster may not be for the users who follow.
_LAST = 2


@define
class Trial:
    """Two ways to process batches of rows, of which the faster one is used in the end.

    Time is the processor's for this process, whatever else runs on the machine.
    """

    _turns: list[int] = field(factory=lambda: [0, 0])
    _seconds: tuple[list[float], list[float]] = field(factory=lambda: ([], []))

    def run(
        self, first: Callable[[], _Result], second: Callable[[], _Result], rows: int
    ) -> _Result:
        """Do the work of some rows, at least one, in one of the two ways."""
        tried = min(self._turns) >= _TURNS
        way = self._faster() if tried else self._turns.index(min(self._turns))
        before = time.process_time()
        result = (first, second)[way]()
        self._turns[way] += 1
        self._seconds[way].append((time.process_time() - before) / rows)
        del self._seconds[way][:-_LAST]
        return result

    def _faster(self) -> int:
        first, second = map(min, self._seconds)
        return int(second < first)


# Tasks of a job follow each other in a process, and share its session.
_TRIALS: WeakKeyDictionary[Session, dict[int, Trial]] = WeakKeyDictionary()


def trial_of(session: Session, k: int) -> Trial:
    """Return the trial of a session for users who get k items."""
    return _TRIALS.setdefault(session, {}).setdefault(k, Trial())
