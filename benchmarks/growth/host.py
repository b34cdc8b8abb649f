"""Growth on one host: the number of workers, and the size of the model."""

from __future__ import annotations

from attrs import evolve

from benchmarks import data, models
from benchmarks.cases.compiled import PACKAGE, SAVED_MODEL, run_opener
from benchmarks.cases.rows import PEER, US
from benchmarks.growth.common import add_memory, add_times, grow, runs_text
from benchmarks.harness import Bench, Contender
from benchmarks.reports import Growth, Report, markdown_table

_IDS = {"embedding-64mb": 250_000, "embedding-256mb": 1_000_000, "embedding-1gb": 4_000_000}
_SIZES_MB = {"embedding-64mb": 64, "embedding-256mb": 256, "embedding-1gb": 1024}


def workers(bench: Bench) -> Report:
    """Python workers of one Spark process, each with one core's share of the same table."""
    small, rows = bench.scale == "small", bench.choose_rows(small=100_000, full=1_000_000)
    bench = evolve(bench, rows=None, runs=min(bench.runs, 3) if small else bench.runs)
    report = Report(
        f"growth-workers: workers on a host of 2 cores, {rows:,} dense rows",
        runs=runs_text(bench),
    )
    table = data.folder_of(data.dense(bench.spark, bench.folder, rows))
    path = models.path_of(bench.folder, "mlp-128")

    def contenders(cores: int) -> list[Contender]:
        return [_contender(bench, name, path, table, cores) for name in (US, PEER)]

    points = grow(bench, report, (1, 2) if small else (1, 2, 4), contenders)
    add_times(report, "growth-workers", "workers", points, lambda _: rows)
    add_memory(report, "growth-workers-memory", "workers", points)
    report.add("Throughput stops growing once every core of the host has a worker.")
    return report


def _contender(bench: Bench, name: str, path: str, table: str, cores: int) -> Contender:
    arguments = {"scorer": name, "model": path, "table": table, "cores": cores}
    process = bench.peer_process(f"{name} {cores}", "in_spark", arguments)
    return Contender(name, process=process, python=False, peer=None if name == US else name)


def model_size(bench: Bench) -> Report:
    """Embedding tables of 64 MB to 1 GB: the time to open and run them, and a worker's memory."""
    names = list(_SIZES_MB)[: 2 if bench.scale == "small" else 3]
    report = Report(
        "growth-model: embedding tables, SavedModels and packages, one worker",
        runs="One process each, 50 batches of 4,096 rows",
    )
    runs = {
        opened: [run_opener(path_of(bench.folder, name), 4096, 50, _IDS[name]) for name in names]
        for opened, path_of in ((SAVED_MODEL, models.path_of), (PACKAGE, models.package_of))
    }
    for result in (result for results in runs.values() for result in results):
        result["written"] = result["written_bytes"] / 1e6
    keys = {"opened": "s to open", "batch": "s per batch", "written": "MB of memory"}
    lines = [
        [f"{_SIZES_MB[name]:,}", opened, *(f"{runs[opened][index][key]:,.4g}" for key in keys)]
        for index, name in enumerate(names)
        for opened in runs
    ]
    report.add(markdown_table(["MB of weights", "", *keys.values()], lines))
    report.add("Memory is what the worker wrote itself; mapped files are shared by all workers.")
    xs = tuple(float(_SIZES_MB[name]) for name in names)
    for key, y in (("opened", "seconds to open"), ("written", "MB of memory")):
        values = {
            opened: tuple(result[key] for result in results) for opened, results in runs.items()
        }
        report.growths.append(Growth(f"growth-model-{key}", "MB of weights", y, xs, values))
    return report
