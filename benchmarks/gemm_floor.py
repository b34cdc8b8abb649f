"""TensorFlow alone on one core: a model fed the same block again and again, by the C API.

Run as ``python -m benchmarks.gemm_floor MODEL SHAPES``, SHAPES as JSON: input to shape. It prints
the CPU seconds of a run as JSON: the median, the fastest and the slowest of those that were timed.
On one core that is the time it takes, without the time that other processes took meanwhile.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from attrs import frozen

_ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 2.0


@frozen
class Floor:
    """CPU seconds of one run of a block."""

    median: float
    fastest: float
    slowest: float


def floor(path: str, shapes: Mapping[str, Sequence[int]]) -> Floor:
    """Time a model on blocks of these shapes, in a process of its own, on one core."""
    paths = os.pathsep.join([str(_ROOT), str(_ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "benchmarks.gemm_floor", path, json.dumps(dict(shapes))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"timing {path} failed:\n{done.stderr}")
    return Floor(**json.loads(done.stdout.splitlines()[-1]))


def one_core() -> None:
    """Keep this process, and the threads that it starts, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(path: str, shapes: Mapping[str, Sequence[int]]) -> None:
    from tf2spark.runnable_model import RunnableModel
    from tf2spark.tensorflow_c.tensor import Tensor
    from tf2spark.worker.model_session import session_of

    model = RunnableModel(path)
    (signature,) = [one for one in model.contract.signatures if one.name == "serving_default"]
    draw = np.random.default_rng(1)
    fed = [
        Tensor(
            spec.dtype,
            tuple(shapes[spec.name]),
            draw.standard_normal(shapes[spec.name], dtype=np.float32),
        )
        for spec in signature.inputs
    ]
    run = session_of(model.reference()).prepare(
        [spec.tensors[0] for spec in signature.inputs],
        [spec.tensors[0] for spec in signature.outputs],
    )
    times: list[float] = []
    until = time.perf_counter() + _SECONDS
    while len(times) < 10 or time.perf_counter() < until:
        before = time.process_time()
        run(fed)
        times.append(time.process_time() - before)
    timed = times[3:]
    found = {"median": statistics.median(timed), "fastest": min(timed), "slowest": max(timed)}
    print(json.dumps(found))


if __name__ == "__main__":
    one_core()
    main(sys.argv[1], json.loads(sys.argv[2]))
