"""The call of `recommend` itself, which plans, checks and computes the items; no user is scored.

Each model has a fresh driver, in which Spark is warm. TensorFlow is imported once a process, so its
import stands apart. Goals are half of what the first call took in the past, and 0.3 s for a second
call of equal shape. CPU time hardly depends on what else the machine is doing.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from benchmarks import catalogs, data, models
from benchmarks.call_driver import CallJob, timed_calls
from benchmarks.cases import recommend_deepfm, recommend_scale, recommend_wide_deep
from benchmarks.harness import Bench
from benchmarks.recommender_models import FEATURES
from benchmarks.reports import Report, markdown_table

_ROOT = Path(__file__).resolve().parents[2]
_USERS, _ITEMS, _RUNS = 400, 5_000, 3
GOAL_FIRST_SECONDS, GOAL_SECOND_SECONDS = 2.0, 0.3


def run(bench: Bench) -> Report:
    items = bench.choose_rows(small=1_000, full=_ITEMS)
    report = Report(
        f"recommend-call: the call alone, {items:,} items",
        runs=f"{min(bench.runs, _RUNS)} drivers of each model, one after the other",
    )
    jobs = list(_jobs(bench, items))
    # Each driver calls the next model as well, as another one in the same process.
    others = [*jobs[1:], jobs[0]]
    runs = {
        name: [timed_calls(job, other) for _ in range(min(bench.runs, _RUNS))]
        for (name, job), (_, other) in zip(jobs, others, strict=True)
    }
    lines, medians = [], []
    imports = [run["import"] for of_model in runs.values() for run in of_model]
    lines.append(["TensorFlow's import", "", *_medians(imports)])
    for (name, _), (before, _) in zip(jobs, [jobs[-1], *jobs[:-1]], strict=True):
        for order in ("first", "second"):
            times = _medians([run[order] for run in runs[name]])
            lines.append([name, order, *times])
            medians.append((name, order, float(times[0])))
        lines.append(
            [name, "after another model", *_medians([run["other"] for run in runs[before]])]
        )
    head = ["", "call", "s", "CPU s of the driver's Python", "CPU s with Spark's"]
    report.add(markdown_table(head, lines))
    for name, order, seconds in medians:
        goal = GOAL_FIRST_SECONDS if order == "first" else GOAL_SECOND_SECONDS
        what = f"The {order} call, {goal:g} s relative to its {seconds:.2f} s ({name})"
        report.target(what, 1, goal / seconds)
    return report


def _medians(steps: list[dict[str, float]]) -> list[str]:
    keys = ("seconds", "process_cpu", "cpu")
    return [f"{statistics.median(step[key] for step in steps):.2f}" for key in keys]


def _jobs(bench: Bench, items: int) -> Iterator[tuple[str, CallJob]]:
    spark, folder = bench.spark, bench.folder
    vectors = partial(catalogs.vectors, width=FEATURES)
    made: list[tuple[str, str, Callable[..., DataFrame], Mapping[str, Any]]] = [
        ("two towers", "catalog-towers", vectors, recommend_scale.FEED),
        ("DeepFM", "catalog-deepfm", catalogs.fields, recommend_deepfm.FEED),
        ("wide-and-deep", "catalog-wide-deep", catalogs.ids, recommend_wide_deep.FEED),
    ]
    for name, model, make, feed in made:
        users = data.folder_of(make(spark, folder, "user", _USERS))
        catalog = data.folder_of(make(spark, folder, "item", items))
        yield name, CallJob(models.path_of(folder, model), users, catalog, {"feed": feed})
    # Models and tables of the tests.
    sys.path.append(str(_ROOT / "tests"))
    from cases import recommenders
    from cases.recommenders.running import path_of as model_of

    for name, case_name in (("a ranker of strings", "titles"), ("a GRU", "history_gru")):
        case = recommenders.case(case_name)
        users = _written(case.users(_USERS), folder / "tables" / f"call-{case_name}-users")
        catalog = _written(case.items(items), folder / "tables" / f"call-{case_name}-items-{items}")
        options = {"feed": case.feed, "score": case.score}
        yield name, CallJob(str(model_of(case)), users, catalog, options)


def _written(table: pa.Table, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "0.parquet")
    return str(folder)
