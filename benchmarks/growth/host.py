"""Growth on a host: workers side by side, and the size of the model."""

from __future__ import annotations

from attrs import evolve

from benchmarks import data, models
from benchmarks.cases.compiled import AS_IS, COMPILED, opened
from benchmarks.cases.rows import PEER, US
from benchmarks.growth.common import grow, said, tell, tell_memory
from benchmarks.harness import Bench, Contender
from benchmarks.reports import Growth, Report, markdown_table

_IDS = {"embedding-64mb": 250_000, "embedding-256mb": 1_000_000, "embedding-1gb": 4_000_000}
_SIZES_MB = {"embedding-64mb": 64, "embedding-256mb": 256, "embedding-1gb": 1024}


def workers(bench: Bench) -> Report:
    """Python workers of one Spark process, each with a core's share of the same table."""
    small, many = bench.scale == "small", bench.choose_rows(small=100_000, full=1_000_000)
    bench = evolve(bench, rows=None, runs=min(bench.runs, 3) if small else bench.runs)
    report = Report(
        f"growth-workers: workers on a host of 2 cores, {many:,} dense rows",
        runs=said(bench),
    )
    table = data.folder_of(data.dense(bench.spark, bench.folder, many))
    path = models.path_of(bench.folder, "mlp-128")

    def contenders(cores: int) -> list[Contender]:
        return [_apart(bench, how, path, table, cores) for how in (US, PEER)]

    found = grow(bench, report, (1, 2) if small else (1, 2, 4), contenders)
    tell(report, "growth-workers", "workers", found, lambda _: many)
    tell_memory(report, "growth-workers-memory", "workers", found)
    report.add("A host has no more to give once each of its cores has a worker.")
    return report


def _apart(bench: Bench, how: str, path: str, table: str, cores: int) -> Contender:
    given = {"how": how, "model": path, "table": table, "cores": cores}
    process = bench.apart(f"{how} {cores}", "in_spark", given)
    return Contender(how, apart=process, python=False, peer=None if how == US else how)


def model_size(bench: Bench) -> Report:
    """Embedding tables of 64 MB to 1 GB: to open, to run, and what a worker takes of memory."""
    names = list(_SIZES_MB)[: 2 if bench.scale == "small" else 3]
    report = Report(
        "growth-model: embedding tables, as they are and compiled, one worker",
        runs="one process each, 50 batches of 4,096 rows",
    )
    found = {
        which: [opened(place(bench.folder, name), 4096, 50, _IDS[name]) for name in names]
        for which, place in ((AS_IS, models.path_of), (COMPILED, models.package_of))
    }
    for one in (each for runs in found.values() for each in runs):
        one["written"] = one["written_bytes"] / 1e6
    keys = {"opened": "s to open", "batch": "s a batch", "written": "MB of memory"}
    lines = [
        [f"{_SIZES_MB[name]:,}", which, *(f"{found[which][at][key]:,.4g}" for key in keys)]
        for at, name in enumerate(names)
        for which in found
    ]
    report.add(markdown_table(["MB", "", *keys.values()], lines))
    report.add("Memory is what the worker wrote itself; of a mapped file no worker has its own.")
    xs = tuple(float(_SIZES_MB[name]) for name in names)
    for key, y in (("opened", "seconds to open"), ("written", "MB of memory")):
        values = {which: tuple(one[key] for one in each) for which, each in found.items()}
        report.growths.append(Growth(f"growth-model-{key}", "MB of weights", y, xs, values))
    return report
