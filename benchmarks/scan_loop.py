"""The best items by inner products on one core: in float32, and scanned in bfloat16.

Run as ``python -m benchmarks.scan_loop JOB``, with JOB as JSON. It prints the CPU seconds of each
round as JSON: of the pair loop in float32, of the scan with all that follows it, and of the two
matrix products alone. All alternate in one process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import asdict, frozen

from benchmarks.gemm_floor import pin_to_one_core
from benchmarks.own_process import run_module

_BATCH_USERS = 1024


@frozen
class Job:
    """The model that multiplies, its width, users, items and k, and the rounds to time."""

    model: str
    width: int
    users: int
    items: int
    k: int
    runs: int


@frozen
class Seconds:
    """CPU seconds of each round; and how many candidates a user has, and users without a proof."""

    product: list[float]
    loop: list[float]
    coarse_product: list[float]
    scan: list[float]
    candidates: int
    unproven: int


def time_scan(job: Job) -> Seconds:
    """Run the job in a process of its own."""
    arguments = json.dumps(asdict(job))
    return Seconds(**run_module("benchmarks.scan_loop", arguments, action="timing the scan"))


def main(job: Job) -> None:
    from tf2spark.recommend.arguments import make_arguments
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.runnable.recommend import prepare, ranking_request
    from tf2spark.worker.model_session import open_model

    users, items = _vectors("user", job.users, job.width), _vectors("item", job.items, job.width)
    arguments = make_arguments(job.k, "user", "item_id", None, None, None, "failfast")
    model = RunnableModel(job.model)
    request = ranking_request(model, None, None, None)
    prepared = prepare(model, users, items, request, arguments, None, None)
    plan, batches = prepared.plan, users.to_batches(max_chunksize=_BATCH_USERS)
    with closing(open_model(plan.users.model, Path(plan.users.model.path))) as session:
        print(json.dumps(asdict(_timed(plan, session, batches, job))))


def _timed(plan: Any, session: Any, batches: list[pa.RecordBatch], job: Job) -> Seconds:
    from tf2spark.conversion.casts import to_bfloat16
    from tf2spark.dtypes import BFLOAT16
    from tf2spark.tensorflow_c.tensor import Tensor
    from tf2spark.worker.ranking import coarse_scan
    from tf2spark.worker.ranking.trial import Trial
    from tf2spark.worker.recommend.recommend_loop import recommend_batches
    from tf2spark.worker.recommend.split_scores import split_blocks

    blocks = split_blocks(plan, plan.strategy, session)
    ranker = coarse_scan.coarse_ranker(plan, session)
    assert ranker is not None
    rounded = [
        to_bfloat16(np.asarray(rows.column(0).flatten()).reshape(-1, job.width)) for rows in batches
    ]
    halves = [bits[start : start + 512] for bits in rounded for start in (0, 512)]
    users = [Tensor(BFLOAT16, bits.shape, bits) for bits in halves if len(bits)]

    def multiply() -> None:
        for batch in batches:
            for _ in blocks(batch):
                pass

    def multiply_coarsely() -> None:
        for bits in users:
            for _ in ranker.pairs.scan(bits):
                pass

    def recommend(*, scans: bool) -> None:
        coarse_scan.multiplies_bfloat16 = lambda: scans  # type: ignore[assignment]
        for _ in recommend_batches(plan, session, batches):
            pass

    # The scan is taken, where there is one.
    Trial.run = lambda self, first, second, rows: second()  # type: ignore[method-assign]
    works: list[Callable[[], None]] = [
        multiply,
        lambda: recommend(scans=False),
        multiply_coarsely,
        lambda: recommend(scans=True),
    ]
    times: list[list[float]] = [[] for _ in works]
    for turn in range(-1, job.runs):  # the first round warms up
        for work, seconds in zip(works, times, strict=True):
            before = time.process_time()
            work()
            if turn >= 0:
                seconds.append(time.process_time() - before)
    unproven = sum(int(ranker.rank(batch, None, None)[1].sum()) for batch in batches)
    product, loop, coarse_product, scan = times
    return Seconds(product, loop, coarse_product, scan, ranker.candidates, unproven)


def _vectors(name: str, rows: int, width: int) -> pa.Table:
    """Return a table of random vectors; items also have an id."""
    random = np.random.default_rng(rows)
    values = pa.array(random.standard_normal(rows * width, dtype=np.float32))
    vectors = pa.FixedSizeListArray.from_arrays(values, width)
    if name == "user":
        return pa.table({"user": vectors})
    return pa.table({"item": vectors, "item_id": np.arange(rows)})


if __name__ == "__main__":
    pin_to_one_core()
    main(Job(**json.loads(sys.argv[1])))
