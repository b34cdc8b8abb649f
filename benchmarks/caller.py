"""Thousands of calls of one row in this process; prints the time of each and the memory after it.

Run as ``python -m benchmarks.caller SCORER MODEL INPUTS CALLS``. SCORER is "tf2spark" (calls of
`score` on a pyarrow table), "pandas" (on a DataFrame), "run" (of its session alone, on tensors) or
"tensorflow" (of the signature of ``tf.saved_model.load``). The row has an array of 128 floats
(INPUTS is "features"), 64 ids ("ids"), or 200 columns of one float each ("columns"). The last line
on stdout is JSON.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTHS = {"features": 128, "ids": 64, "columns": 200}
PARTS = 10


def rss_bytes() -> int:
    """Return the resident memory of this process. Source: proc(5), statm, in pages of 4 kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def make_row(inputs: str) -> dict[str, Any]:
    """Return a row's arrays [1, width] by input, or [1] for each of the columns."""
    rng = np.random.default_rng(1)
    if inputs == "ids":
        return {"ids": rng.integers(0, 20_000, (1, WIDTHS[inputs]))}
    if inputs == "features":
        return {"features": rng.random((1, WIDTHS[inputs]), np.float32)}
    return {f"c{i:03d}": rng.random(1, np.float32) for i in range(WIDTHS[inputs])}


def caller(scorer: str, path: str, inputs: str) -> Callable[[], Any]:
    """Return a function that scores the row and returns its score."""
    callers = {"tf2spark": _ours, "pandas": _ours_on_pandas, "run": _run, "tensorflow": _theirs}
    return callers[scorer](path, make_row(inputs))


def _ours(path: str, row: dict[str, Any]) -> Callable[[], Any]:
    import pyarrow as pa

    import tf2spark

    model = tf2spark.SavedModel(path)
    table = pa.table({name: array.tolist() for name, array in row.items()})
    return lambda: model.score(table, fetch=["output_0"], keep=[])["output_0"][0].as_py()


def _ours_on_pandas(path: str, row: dict[str, Any]) -> Callable[[], Any]:
    import pandas as pd

    import tf2spark

    model = tf2spark.SavedModel(path)
    frame = pd.DataFrame({name: list(array) for name, array in row.items()})
    return lambda: model.score(frame, fetch=["output_0"], keep=[])["output_0"][0]


def _run(path: str, row: dict[str, Any]) -> Callable[[], Any]:
    from attrs import evolve

    from benchmarks.models import serving_signature
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.tensorflow_c.tensor import Tensor
    from tf2spark.worker.model_session import session_of

    model = RunnableModel(path)
    signature = serving_signature(model)
    # With as many threads as `score` uses in process.
    run = session_of(evolve(model.reference(), threads=len(os.sched_getaffinity(0)))).prepare(
        [spec.tensors[0] for spec in signature.inputs],
        [spec.tensors[0] for spec in signature.outputs],
    )
    tensors = [
        Tensor(spec.dtype, row[spec.name].shape, row[spec.name]) for spec in signature.inputs
    ]
    return lambda: run(tensors)[0].data.reshape(-1)[0]


def _theirs(path: str, row: dict[str, Any]) -> Callable[[], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    score = loaded.signatures["serving_default"]

    def call() -> Any:
        feeds = {name: tf.constant(array) for name, array in row.items()}
        return score(**feeds)["output_0"].numpy().reshape(-1)[0]

    call.model = loaded  # type: ignore[attr-defined] # a signature doesn't keep it alive
    return call


def main(scorer: str, path: str, inputs: str, calls_text: str) -> None:
    calls = int(calls_text)
    call = caller(scorer, path, inputs)
    started = time.perf_counter()
    score = np.ravel(call())[0]
    first = time.perf_counter() - started
    seconds, core_seconds, memory, objects = [], [], [], []
    for _ in range(PARTS):
        for _ in range(calls // PARTS):
            started, cpu_started = time.perf_counter(), time.process_time()
            call()
            core_seconds.append(time.process_time() - cpu_started)
            seconds.append(time.perf_counter() - started)
        memory.append(rss_bytes())
        gc.collect()
        objects.append(len(gc.get_objects()))
    result = {
        "first": first,
        "call": statistics.median(seconds),
        "call_cpu": statistics.median(core_seconds),
        "memory": memory,
        "objects": objects,
        "score": float(score),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
