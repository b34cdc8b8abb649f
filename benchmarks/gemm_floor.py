"""TensorFlow alone on one core: the C API runs a model on the same block again and again.

Run as ``python -m benchmarks.gemm_floor MODEL SHAPES``, with SHAPES as JSON from inputs to shapes.
It prints the CPU seconds per run as JSON: the median, fastest and slowest of the timed runs.
On one core, CPU time is wall-clock time minus the time taken by other processes.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np
from attrs import frozen

from benchmarks.models import serving_signature
from benchmarks.own_process import run_module

_SECONDS = 2.0


@frozen
class Floor:
    """CPU seconds per run of a block."""

    median: float
    fastest: float
    slowest: float


def floor(path: str, shapes: Mapping[str, Sequence[int]]) -> Floor:
    """Time a model on a block of these shapes, in a process of its own, on one core."""
    arguments = path, json.dumps(dict(shapes))
    return Floor(**run_module("benchmarks.gemm_floor", *arguments, action=f"timing {path}"))


def pin_to_one_core() -> None:
    """Pin this process, and the threads that it starts, to one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(path: str, shapes: Mapping[str, Sequence[int]]) -> None:
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.tensorflow_c.tensor import Tensor
    from tf2spark.worker.model_session import session_of

    model = RunnableModel(path)
    signature = serving_signature(model)
    rng = np.random.default_rng(1)
    feeds = [
        Tensor(
            spec.dtype,
            tuple(shapes[spec.name]),
            rng.standard_normal(shapes[spec.name], dtype=np.float32),
        )
        for spec in signature.inputs
    ]
    run = session_of(model.reference()).prepare(
        [spec.tensors[0] for spec in signature.inputs],
        [spec.tensors[0] for spec in signature.outputs],
    )
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < 10 or time.perf_counter() < end:
        before = time.process_time()
        run(feeds)
        times.append(time.process_time() - before)
    timed = times[3:]  # the first runs warm up
    result = {"median": statistics.median(timed), "fastest": min(timed), "slowest": max(timed)}
    print(json.dumps(result))


if __name__ == "__main__":
    pin_to_one_core()
    main(sys.argv[1], json.loads(sys.argv[2]))
