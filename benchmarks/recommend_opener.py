"""`recommend` without Spark, in a process of its own on one core, for two numbers of users.

Run as ``python -m benchmarks.recommend_opener JOB``, with JOB as JSON. It prints the CPU seconds of
each call as JSON, one list per number of users. The difference is what pairs cost, because opening
the model, planning and computing the items' values are part of both.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from attrs import asdict, frozen

from benchmarks.gemm_floor import pin_to_one_core
from benchmarks.own_process import run_module


@frozen
class Job:
    """A model, files of users and items (Arrow IPC), and the two numbers of users.

    Attributes:
        model: A SavedModel or a package.
        feed: The `feed` of `recommend`.
        k: Recommendations per user.
        users: The file of users, with at least `many` rows.
        items: The file of items.
        few: The smaller number of users.
        many: The larger one.
        runs: Timed calls with each number of users, alternating, after a warm-up.
    """

    model: str
    feed: Mapping[str, Any]
    k: int
    users: str
    items: str
    few: int
    many: int
    runs: int


def users_per_second(job: Job) -> list[float]:
    """Return the users per CPU second in each round, from the difference between both calls."""
    few, many = run_module(
        "benchmarks.recommend_opener",
        json.dumps(asdict(job)),
        action=f"recommending with {job.model}",
    )
    # The same fixed cost for all rounds, because the smaller call varies little.
    fixed = statistics.median(few)
    return [(job.many - job.few) / (seconds - fixed) for seconds in many]


def main(job: Job) -> None:
    import tf2spark

    users, items = (pa.ipc.open_file(path).read_all() for path in (job.users, job.items))
    model: Any = tf2spark.SavedModel(job.model)
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(-1, job.runs):
        for count, times in zip((job.few, job.many), seconds, strict=True):
            before = time.process_time()
            table = model.recommend(users.slice(0, count), items, job.k, feed=job.feed)
            elapsed = time.process_time() - before
            assert table.num_rows == count, table.num_rows
            if turn >= 0:
                times.append(elapsed)
    print(json.dumps(seconds))


if __name__ == "__main__":
    pin_to_one_core()
    main(Job(**json.loads(sys.argv[1])))
