"""What a call is warned of: each warning comes once per model."""

from __future__ import annotations

import sys
import warnings

from tf2spark.binding.advice.feeds import fetch_advice
from tf2spark.binding.feeds import Output
from tf2spark.binding.options import BATCH_ROWS, Options
from tf2spark.binding.request import Request
from tf2spark.errors import Audience, OutputsLeftOutWarning, RowsDependWarning, argument


def _audience(options: Options) -> Audience:
    return options.audience or "python"


class CallWarnings:
    """The warnings of the calls of one model, which their messages name by its path."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._given: set[type[Warning]] = set()

    def warn_of_rows(self, through: str, options: Options) -> None:
        """Warn that rows depend on each other, `through` some ops."""
        advice = argument("rows", "batch") + " says that this is meant"
        self._warn(
            f'the rows of "{self._path}" depend on each other{through}: the scores of a '
            f"row change with its batch, which has up to {options.batch_rows or BATCH_ROWS:,} rows "
            f"and is scored as a whole or not at all; {advice.text_for(_audience(options))}",
            RowsDependWarning,
        )

    def warn_of_left_out(self, request: Request, options: Options) -> None:
        """Warn of outputs that no column can hold, where a request fetches all others."""
        reasons = "; ".join(reason for _, reason in request.left_out)
        names = [fetched.spec.name for fetched in request.outputs]
        advice = "write " + fetch_advice({name: Output(name) for name in names})
        advice += " to say that this is meant"
        self._warn(
            f"not all outputs become columns: {reasons}; {advice.text_for(_audience(options))}",
            OutputsLeftOutWarning,
        )

    def _warn(self, message: str, category: type[Warning]) -> None:
        if category not in self._given:
            self._given.add(category)
            warnings.warn(message, category, stacklevel=_stack_level())


def _stack_level() -> int:
    """Return the level, for the caller's `warnings.warn`, of the line that calls tf2spark."""
    frame, level = sys._getframe(1), 1
    package = __name__.partition(".")[0]
    while frame.f_globals.get("__name__", "").partition(".")[0] == package and frame.f_back:
        frame, level = frame.f_back, level + 1
    return level
