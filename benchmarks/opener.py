"""A worker's life without Spark: open a model, run batches, and print times and memory.

Run as ``python -m benchmarks.opener MODEL ROWS RUNS [IDS]``. MODEL is a SavedModel or a package,
and random ids are less than IDS. The last line on stdout is JSON. If RUNS is 0, the process then
waits for a line on stdin and prints its share of memory.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import serving_signature
from benchmarks.worker_probes import memory_of_this_process
from tf2spark.runnable.model import RunnableModel
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.model_session import session_of


def random_tensor(spec: TensorSpec, rows: int, ids: int = 1_000_000) -> Tensor:
    """Return a tensor for an input: floats around 0, or ids less than `ids`."""
    rng = np.random.default_rng(1)
    shape = (rows, *(size or 1 for size in (spec.shape or (None,))[1:]))
    dtype = spec.dtype.numpy
    assert dtype is not None, spec
    if spec.dtype.is_integer:
        return Tensor(spec.dtype, shape, rng.integers(0, ids, shape).astype(dtype))
    return Tensor(spec.dtype, shape, rng.normal(size=shape).astype(dtype))


def pss_bytes() -> int:
    """Return the proportional set size of this process. Source: proc(5), smaps_rollup."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024


def main(path: str, rows: int, runs: int, ids: int = 1_000_000) -> None:
    model = RunnableModel(path)
    reference = model.reference()
    signature = serving_signature(model)
    tensors = [random_tensor(spec, rows, ids) for spec in signature.inputs]
    started = time.perf_counter()
    session = session_of(reference)
    opened = time.perf_counter()
    run = session.prepare(
        [spec.tensors[0] for spec in signature.inputs],
        [spec.tensors[0] for spec in signature.outputs],
    )
    (first,) = run(tensors)
    scored = time.perf_counter()
    times = []
    for _ in range(max(runs, 5)):
        before = time.perf_counter()
        run(tensors)
        times.append(time.perf_counter() - before)
    result: dict[str, Any] = {
        "opened": opened - started,
        "first": scored - opened,
        "batch": statistics.median(times),
        "sum": float(np.abs(first.data.astype(np.float64)).sum()),
        **memory_of_this_process(),
    }
    print(json.dumps(result), flush=True)
    if runs == 0:
        sys.stdin.readline()
        print(json.dumps(pss_bytes()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
