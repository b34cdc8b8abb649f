"""Thousands of calls of one row each in a process: what a call costs beside the run, and memory.

Each contender has a process of its own, in which nothing else runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from attrs import frozen

from benchmarks import models
from benchmarks.cases.compiled import opener_environment
from benchmarks.harness import Bench
from benchmarks.reports import Report, markdown_table

PEERS = ("tensorflow",)
OURS, PANDAS, RUN, THEIRS = "tf2spark", "pandas", "run", "tensorflow"
TITLES = {
    OURS: "tf2spark, `score` on pyarrow",
    PANDAS: "tf2spark, `score` on pandas",
    RUN: "the run of its session alone",
    THEIRS: "tf.saved_model.load, its signature",
}


@frozen
class Row:
    """A model, and the row that it scores: see `benchmarks.caller`."""

    model: str
    inputs: str
    description: str


ROWS = (
    Row("mlp-128", "features", "an MLP of 128 floats"),
    Row("columns-200", "columns", "200 columns of a float each"),
    Row("transformer", "ids", "the Transformer of the case heavy"),
)
GOAL_MS, GOAL_GROWTH = 3.0, 1.02


def run(bench: Bench) -> Report:
    calls = bench.choose_rows(small=500, full=10_000)
    report = Report(
        f"calls: {calls:,} calls of one row in a process", runs="each ran once, after the other"
    )
    lines, targets = [], []
    for row in ROWS:
        path = models.path_of(bench.folder, row.model)
        results = {scorer: call_often(scorer, path, row.inputs, calls) for scorer in TITLES}
        for scorer, result in results.items():
            lines.append([row.description, TITLES[scorer], *_cells(result)])
        scores = [result["score"] for result in results.values()]
        report.agreed &= max(scores) - min(scores) <= 1e-5
        targets.append((row, results))
    head = ["a row", "", "first call ms", "median call ms", "its CPU ms", "RSS MB after a tenth"]
    head += ["in the end"]
    report.add(markdown_table([*head, "more objects"], lines))
    for row, results in targets:
        for scorer, table in ((OURS, "pyarrow"), (PANDAS, "pandas")):
            ours = results[scorer]
            # CPU time, which hardly depends on what else the machine is doing.
            beside = (ours["call_cpu"] - results[RUN]["call_cpu"]) * 1e3
            what = f"A call beside its run, {GOAL_MS:g} ms relative to its {beside:.2f} CPU ms"
            where = f"{row.description}, {table}"
            report.target(f"{what} ({where})", 1, GOAL_MS / max(beside, 0.01))
            growth = ours["memory"][-1] / ours["memory"][0]
            what = f"RSS of the first tenth relative to that of the end ({where})"
            report.target(what, 1 / GOAL_GROWTH, 1 / growth)
    return report


def call_often(scorer: str, path: str, inputs: str, calls: int) -> dict[str, Any]:
    """Run `benchmarks.caller` in a process of its own and return its result."""
    command = [sys.executable, "-m", "benchmarks.caller", scorer, path, inputs, str(calls)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=opener_environment()
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _cells(result: dict[str, Any]) -> list[str]:
    memory, objects = result["memory"], result["objects"]
    return [
        f"{result['first'] * 1e3:.0f}",
        f"{result['call'] * 1e3:.2f}",
        f"{result['call_cpu'] * 1e3:.2f}",
        f"{memory[0] / 1e6:.0f}",
        f"{memory[-1] / 1e6:.0f}",
        f"{objects[-1] - objects[0]:,}",
    ]
