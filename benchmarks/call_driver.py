"""Two equal calls of `recommend` in a fresh driver, whose Spark is warm; no user is scored.

Run as ``python -m benchmarks.call_driver JOB``, with JOB pickled, as hexadecimal digits. The last
line on stdout is JSON: of both calls the wall-clock seconds, and the CPU seconds of this process
alone and with Spark's.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.own_process import run_module
from benchmarks.pools import start_session


@frozen
class CallJob:
    """A model, folders of users and of items (Parquet), and the call's other arguments."""

    model: str
    users: str
    items: str
    options: Mapping[str, Any]


def two_calls(job: CallJob) -> list[dict[str, float]]:
    """Return what the first and the second call take, in seconds."""
    result = run_module(
        "benchmarks.call_driver", pickle.dumps(job).hex(), action=f"calling {job.model}"
    )
    return list(result)


def main(job: CallJob) -> None:
    import tf2spark

    spark = start_session(2)
    tables = [spark.read.parquet(path) for path in (job.users, job.items)]
    for table in tables:  # Spark's classes are loaded, and its code compiled, by more than a job
        for _ in range(5):
            table.limit(64).toArrow()
    calls = []
    model: Any = tf2spark.SavedModel(job.model)
    for _ in range(2):
        started, own, tree = time.perf_counter(), time.process_time(), cpu_seconds_of_tree()
        model.recommend(*tables, 10, **job.options)
        calls.append(
            {
                "seconds": time.perf_counter() - started,
                "process_cpu": time.process_time() - own,
                "cpu": cpu_seconds_of_tree() - tree,
            }
        )
    print(json.dumps(calls), flush=True)


if __name__ == "__main__":
    main(pickle.loads(bytes.fromhex(sys.argv[1])))
