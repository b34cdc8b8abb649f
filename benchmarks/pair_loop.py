"""The pair loop of two towers on one core: TensorFlow's GEMM alone, and with the best k kept.

Run as ``python -m benchmarks.pair_loop JOB``, with JOB as JSON. It prints the CPU seconds of each
round as JSON: those of the GEMM, and those of the loop, which runs the same blocks and keeps the
best k. Both alternate in one process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import numpy as np
from attrs import asdict, frozen

from benchmarks.gemm_floor import pin_to_one_core
from benchmarks.models import serving_signature
from benchmarks.own_process import run_module
from benchmarks.recommender_models import TOWER

_BATCH_USERS = 1024


@frozen
class Job:
    """The model that multiplies, the number of items and k, and the rounds to time."""

    model: str
    items: int
    k: int
    runs: int


@frozen
class Seconds:
    """CPU seconds of each round, and the pairs of a round."""

    gemm: list[float]
    loop: list[float]
    pairs: int
    block_users: int
    block_items: int


def time_pair_loop(job: Job) -> Seconds:
    """Run the job in a process of its own."""
    arguments = json.dumps(asdict(job))
    return Seconds(**run_module("benchmarks.pair_loop", arguments, action="timing the pair loop"))


def main(job: Job) -> None:
    from tf2spark.conversion.rows import Array
    from tf2spark.dtypes import FLOAT32
    from tf2spark.recommend.block_sizes import block_shape
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.tensorflow_c.tensor import Tensor
    from tf2spark.worker.model_session import session_of
    from tf2spark.worker.ranking.top_k import TopK
    from tf2spark.worker.recommend.split_scores import even_size, round_up, slice_rows

    most_users, most_items = block_shape(4)
    block_users = even_size(_BATCH_USERS, most_users)
    block_items = round_up(even_size(job.items, most_items))
    model = RunnableModel(job.model)
    signature = serving_signature(model)
    run = session_of(model.reference()).prepare(
        [spec.tensors[0] for spec in signature.inputs],
        [spec.tensors[0] for spec in signature.outputs],
    )
    random = np.random.default_rng(1)

    def normal(rows: int) -> Tensor:
        # Aligned to 64 bytes, as files of items are when they are mapped.
        memory = np.empty(rows * TOWER + 16, np.float32)
        first = -memory.ctypes.data // 4 % 16
        values = memory[first : first + rows * TOWER].reshape(rows, TOWER)
        values[...] = random.standard_normal(values.shape, dtype=np.float32)
        return Tensor(FLOAT32, values.shape, values)

    users, items = normal(_BATCH_USERS), normal(job.items)

    def blocks() -> Iterator[tuple[int, int, Array]]:
        for start in range(0, _BATCH_USERS, block_users):
            for first in range(0, job.items, block_items):
                parts = {
                    "user": slice_rows(users, start, start + block_users),
                    "item": slice_rows(items, first, first + block_items),
                }
                (scores,) = run([parts[spec.name] for spec in signature.inputs])
                assert isinstance(scores, Tensor)
                yield start, first, scores.data

    top = TopK(0, job.k, np.float32)

    def multiply() -> None:
        for _ in blocks():
            pass

    def keep_best() -> None:
        for start, first, scores in blocks():
            if not first:
                norms = np.linalg.norm(users.data[start : start + len(scores)], axis=1)
                top.restart(len(scores), forecast=True, norms=norms)
            top.add(scores, first)
            if first + scores.shape[1] == job.items:
                top.result()

    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(-2, job.runs):  # the first rounds warm up
        for work, seconds in zip((multiply, keep_best), times, strict=True):
            before = time.process_time()
            work()
            if turn >= 0:
                seconds.append(time.process_time() - before)
    result = Seconds(*times, _BATCH_USERS * job.items, block_users, block_items)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    pin_to_one_core()
    main(Job(**json.loads(sys.argv[1])))
