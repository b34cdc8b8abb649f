"""`recommend` without Spark, in a process of its own on one core, for two numbers of users.

Run as ``python -m benchmarks.recommend_opener JOB``, JOB as JSON. It prints the CPU seconds of
each call as JSON, one list a number of users. What a pair costs is the difference: opening the
model, planning and the items' values are in both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from attrs import asdict, frozen

from benchmarks.gemm_floor import one_core

_ROOT = Path(__file__).resolve().parent.parent


@frozen
class Job:
    """A model, files of users and items (Arrow IPC), and the two numbers of users.

    Attributes:
        model: SavedModel or package.
        feed: The `feed` of `recommend`.
        k: How many a user.
        users: The file of users, at least `many` of them.
        items: The file of items.
        few: The smaller number of users.
        many: The larger one.
        runs: Timed calls of each, in turns, after one to warm up.
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
    """Return the rate of each round, from the difference between the two numbers of users."""
    paths = os.pathsep.join([str(_ROOT), str(_ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "benchmarks.recommend_opener", json.dumps(asdict(job))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"recommending with {job.model} failed:\n{done.stderr}")
    few, many = json.loads(done.stdout.splitlines()[-1])
    # One fixed part for all rounds: what varies is in the larger one.
    fixed = statistics.median(few)
    return [(job.many - job.few) / (seconds - fixed) for seconds in many]


def main(job: Job) -> None:
    import tf2spark

    users, items = (pa.ipc.open_file(path).read_all() for path in (job.users, job.items))
    model: Any = tf2spark.SavedModel(job.model)
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(-1, job.runs):
        for count, times in zip((job.few, job.many), found, strict=True):
            before = time.process_time()
            made = model.recommend(users.slice(0, count), items, job.k, feed=job.feed)
            seconds = time.process_time() - before
            assert made.num_rows == count, made.num_rows
            if turn >= 0:
                times.append(seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    one_core()
    main(Job(**json.loads(sys.argv[1])))
