"""A model as it is against its package: to open it, to run it, and what it takes of memory.

Each run is a process of its own with the worker's session and no Spark: Spark is the same for both.
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

AS_IS, COMPILED = "as it is", "compiled"
WORKERS = 4
_ROOT = Path(__file__).resolve().parents[2]


def run(bench: Bench) -> Report:
    report = Report("compiled: a SavedModel as it is against its package, one worker")
    names = {"mlp-128": 4096, "wide-deep": 4096, "lstm": 512, "embedding-1gb": 4096}
    if bench.scale == "small":
        names = {"mlp-128": 4096, "lstm": 512, "embedding-256mb": 4096}
    lines: list[list[str]] = []
    compared: list[list[str]] = []
    slowest = float("inf")
    for name, rows in names.items():
        found = _alternate(bench, name, rows)
        for which, runs in found.items():
            lines.append([name, which, *_cells(runs)])
        report.agreed &= _agree(found)
        ratio, low, high = _faster(found)
        compared.append([name, f"{ratio:.2f}", f"{low:.2f} to {high:.2f}"])
        slowest = min(slowest, ratio)
    head = ["model", "", "open s", "first batch s", "batch ms", "private MB"]
    head += ["of these not of files", "shared MB"]
    report.add(markdown_table(head, lines))
    report.add(markdown_table(["as it is / compiled, steady batches", "median", "range"], compared))
    # Two digits: runs of one and the same model differ by more.
    what = "Steady batches of the slowest compiled model against it as it is"
    report.target(what, 1, round(slowest, 2))
    _shared_weights(bench, report, list(names)[-1])
    return report


def _alternate(bench: Bench, name: str, rows: int) -> dict[str, list[dict[str, Any]]]:
    places = {
        AS_IS: models.path_of(bench.folder, name),
        COMPILED: models.package_of(bench.folder, name),
    }
    found: dict[str, list[dict[str, Any]]] = {AS_IS: [], COMPILED: []}
    for turn in range(-1, bench.runs):
        for which, path in places.items():
            one = opened(path, rows, 50)
            if turn >= 0:
                found[which].append(one)
    return found


def opened(path: str, rows: int, runs: int, ids: int = 1_000_000) -> dict[str, Any]:
    """Open a model in a process of its own, run batches, and return what `opener` found."""
    done = subprocess.run(
        [*_command(path, rows, runs), str(ids)],
        capture_output=True,
        text=True,
        check=True,
        env=_environment(),
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _command(path: str, rows: int, runs: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.opener", path, str(rows), str(runs)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _median(runs: list[dict[str, Any]], key: str) -> float:
    return statistics.median(one[key] for one in runs)


def _faster(found: dict[str, list[dict[str, Any]]]) -> tuple[float, float, float]:
    """Return the ratio of the median steady batches, and its range from round to round."""
    rounds = zip(found[AS_IS], found[COMPILED], strict=True)
    ratios = [one["batch"] / other["batch"] for one, other in rounds]
    medians = _median(found[AS_IS], "batch"), _median(found[COMPILED], "batch")
    return medians[0] / medians[1], min(ratios), max(ratios)


def _cells(runs: list[dict[str, Any]]) -> list[str]:
    return [
        f"{_median(runs, 'opened'):.2f}",
        f"{_median(runs, 'first'):.2f}",
        f"{_median(runs, 'batch') * 1e3:.2f}",
        f"{_median(runs, 'private_bytes') / 1e6:.0f}",
        f"{_median(runs, 'written_bytes') / 1e6:.0f}",
        f"{_median(runs, 'shared_bytes') / 1e6:.0f}",
    ]


def _agree(found: dict[str, list[dict[str, Any]]]) -> bool:
    sums = [one["sum"] for runs in found.values() for one in runs]
    return max(sums) - min(sums) <= 1e-4 * max(sums)


def _shared_weights(bench: Bench, report: Report, name: str) -> None:
    """Run several workers at once and add up their shares of memory."""
    lines = []
    for which, path in (
        (AS_IS, models.path_of(bench.folder, name)),
        (COMPILED, models.package_of(bench.folder, name)),
    ):
        total = sum(_together(path))
        lines.append([which, f"{total / 1e6:,.0f}"])
    report.add(f"### {name}, {WORKERS} workers of a host at once")
    report.add(markdown_table(["", "memory of all together (PSS), MB"], lines))


def _together(path: str) -> list[int]:
    workers = [
        subprocess.Popen(
            _command(path, 4096, 0),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        for _ in range(WORKERS)
    ]
    for one in workers:
        assert one.stdout is not None
        one.stdout.readline()
    shares = []
    for one in workers:
        assert one.stdin is not None
        assert one.stdout is not None
        one.stdin.write("\n")
        one.stdin.flush()
        shares.append(int(one.stdout.readline()))
    for one in workers:
        one.communicate()
    return shares
