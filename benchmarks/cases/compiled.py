"""A SavedModel and its package: the time to open and run them, and their memory.

Each run is a process of its own with the worker's session and without Spark, which would be the
same for both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.harness import Bench
from benchmarks.reports import Report, markdown_table

SAVED_MODEL, PACKAGE = "SavedModel", "package"
WORKERS = 4
_ROOT = Path(__file__).resolve().parents[2]
Runs = dict[str, list[dict[str, Any]]]
"""The results of `opener`, by what was opened."""


def run(bench: Bench) -> Report:
    report = Report("compiled: a SavedModel and its package, one worker")
    batch_rows = {"mlp-128": 4096, "wide-deep": 4096, "lstm": 512, "embedding-1gb": 4096}
    if bench.scale == "small":
        batch_rows = {"mlp-128": 4096, "lstm": 512, "embedding-256mb": 4096}
    lines: list[list[str]] = []
    ratio_lines: list[list[str]] = []
    slowest = float("inf")
    for name, rows in batch_rows.items():
        runs = _alternate(bench, name, rows)
        for opened, results in runs.items():
            lines.append([name, opened, *_cells(results)])
        report.agreed &= _sums_agree(runs)
        ratio, low, high = _speedup(runs)
        ratio_lines.append([name, f"{ratio:.2f}", f"{low:.2f} to {high:.2f}"])
        slowest = min(slowest, ratio)
    head = ["model", "", "open s", "first batch s", "batch ms", "private MB"]
    head += ["of which not file-backed", "shared MB"]
    report.add(markdown_table(head, lines))
    head = ["SavedModel time / package time, steady batches", "median", "range"]
    report.add(markdown_table(head, ratio_lines))
    # Two digits, because runs of the same model differ by more.
    what = "Steady batches of the slowest package, relative to its SavedModel"
    report.target(what, 1, round(slowest, 2))
    _add_total_memory(bench, report, list(batch_rows)[-1])
    return report


def _alternate(bench: Bench, name: str, rows: int) -> Runs:
    paths = {
        SAVED_MODEL: models.path_of(bench.folder, name),
        PACKAGE: models.package_of(bench.folder, name),
    }
    runs: Runs = {SAVED_MODEL: [], PACKAGE: []}
    for turn in range(-1, bench.runs):
        for opened, path in paths.items():
            result = run_opener(path, rows, 50)
            if turn >= 0:
                runs[opened].append(result)
    return runs


def run_opener(path: str, rows: int, runs: int, ids: int = 1_000_000) -> dict[str, Any]:
    """Open a model in a process of its own, run batches, and return the result of `opener`."""
    done = subprocess.run(
        [*_command(path, rows, runs), str(ids)],
        capture_output=True,
        text=True,
        check=True,
        env=opener_environment(),
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _command(path: str, rows: int, runs: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.opener", path, str(rows), str(runs)]


def opener_environment() -> dict[str, str]:
    """Return the variables of a process without Spark."""
    return {**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _median(results: list[dict[str, Any]], key: str) -> float:
    return statistics.median(result[key] for result in results)


def _speedup(runs: Runs) -> tuple[float, float, float]:
    """Return the ratio of the median steady batches, and its range across rounds."""
    rounds = zip(runs[SAVED_MODEL], runs[PACKAGE], strict=True)
    ratios = [saved_model["batch"] / package["batch"] for saved_model, package in rounds]
    median = _median(runs[SAVED_MODEL], "batch") / _median(runs[PACKAGE], "batch")
    return median, min(ratios), max(ratios)


def _cells(results: list[dict[str, Any]]) -> list[str]:
    return [
        f"{_median(results, 'opened'):.2f}",
        f"{_median(results, 'first'):.2f}",
        f"{_median(results, 'batch') * 1e3:.2f}",
        f"{_median(results, 'private_bytes') / 1e6:.0f}",
        f"{_median(results, 'written_bytes') / 1e6:.0f}",
        f"{_median(results, 'shared_bytes') / 1e6:.0f}",
    ]


def _sums_agree(runs: Runs) -> bool:
    sums = [result["sum"] for results in runs.values() for result in results]
    return max(sums) - min(sums) <= 1e-4 * max(sums)


def _add_total_memory(bench: Bench, report: Report, name: str) -> None:
    """Run several workers at the same time and report the sum of their shares of memory."""
    lines = []
    for opened, path in (
        (SAVED_MODEL, models.path_of(bench.folder, name)),
        (PACKAGE, models.package_of(bench.folder, name)),
    ):
        total = sum(_pss_bytes_of_workers(path))
        lines.append([opened, f"{total / 1e6:,.0f}"])
    report.add(f"### {name}, {WORKERS} workers on one host at once")
    report.add(markdown_table(["", "total memory (PSS), MB"], lines))


def _pss_bytes_of_workers(path: str) -> list[int]:
    workers = [
        subprocess.Popen(
            _command(path, 4096, 0),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=opener_environment(),
        )
        for _ in range(WORKERS)
    ]
    for worker in workers:  # all have the model open before any of them reports
        assert worker.stdout is not None
        worker.stdout.readline()
    shares = []
    for worker in workers:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        shares.append(int(worker.stdout.readline()))
    for worker in workers:
        worker.communicate()
    return shares
