"""Models of the corpus that do harm for the time being, each with what happens.

Their tests are expected to fail; whoever closes a hole removes its line.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

# Those that hang are not run, as each would take the whole time limit.
_HANG = {
    "identities_as_a_path": "origins.py follows each path anew: 35 s, and four times as long for "
    "twice as many",
    "an_output_of_exabytes": "each failing allocation takes TensorFlow 10 s, and rows are bisected",
}
_CRASH = {
    "queue_of_overflowing_shapes": "TensorFlow aborts: the shape of a queue overflows",
    "a_million_threads": "TensorFlow aborts: BatchFunction starts a million threads",
    "v1_loop_with_2147483647_parallel_iterations": "TensorFlow aborts",
    "v1_loop_with_-1_parallel_iterations": "TensorFlow divides by zero",
    "v1_loop_with_0_parallel_iterations": "TensorFlow reads where nothing is",
}
_COMPILE = {
    "WriteFile-queue_runner": "KeyError from TensorFlow's Python, which reads the collection",
}


def parameters(names: Iterable[str], *, compiled: bool = False) -> list[Any]:
    """Return the names as parameters of a test; those of open holes are marked."""
    failing = _HANG | _CRASH | (_COMPILE if compiled else {})
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=failing[name], run=name not in _HANG))
        if name in failing
        else name
        for name in names
    ]
