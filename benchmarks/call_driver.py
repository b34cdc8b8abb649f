"""Calls of `recommend` in a fresh driver, whose Spark is warm; no user is scored.

Run as ``python -m benchmarks.call_driver JOBS``, with JOBS pickled, as hexadecimal digits. The
last line on stdout is JSON: for each step of `STEPS` the wall-clock seconds, and the CPU seconds of
this process alone and with Spark's.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
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


STEPS = ("import", "first", "second", "other")
"""TensorFlow's import, two equal calls of the first job, and a call of the other one."""


def timed_calls(job: CallJob, other: CallJob) -> dict[str, dict[str, float]]:
    """Return what each step takes, in seconds."""
    result = run_module(
        "benchmarks.call_driver", pickle.dumps((job, other)).hex(), action=f"calling {job.model}"
    )
    return dict(zip(STEPS, result, strict=True))


def main(job: CallJob, other: CallJob) -> None:
    import tf2spark
    from tf2spark.locations.optional_imports import compiler_module

    spark = start_session(2)
    models = [tf2spark.SavedModel(each.model) for each in (job, other)]
    tables = [
        [spark.read.parquet(path) for path in (each.users, each.items)] for each in (job, other)
    ]
    for table in [*tables[0], *tables[1]]:  # Spark's code is compiled by more than a job
        for _ in range(5):
            table.limit(64).toArrow()

    def call(number: int, options: Mapping[str, Any]) -> object:
        model: Any = models[number]
        return model.recommend(*tables[number], 10, **options)

    first, after = partial(call, 0, job.options), partial(call, 1, other.options)
    print(json.dumps([_timed(step) for step in (compiler_module, first, first, after)]), flush=True)


def _timed(step: Callable[[], object]) -> dict[str, float]:
    started, own, tree = time.perf_counter(), time.process_time(), cpu_seconds_of_tree()
    step()
    return {
        "seconds": time.perf_counter() - started,
        "process_cpu": time.process_time() - own,
        "cpu": cpu_seconds_of_tree() - tree,
    }


if __name__ == "__main__":
    main(*pickle.loads(bytes.fromhex(sys.argv[1])))
