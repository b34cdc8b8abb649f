"""Run contenders alternately, whether they use our Spark session or a process of their own."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import Factory, frozen
from pyspark.sql import DataFrame, SparkSession

from benchmarks.environments import Unavailable
from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.memory_watch import Kind, MemoryWatch, process_tree
from benchmarks.peer_process import PeerProcess
from benchmarks.pools import pool, worker_memory
from benchmarks.reports import Report
from benchmarks.timing import Timing

Scale = Literal["small", "full"]
_numbers = itertools.count()
# Spark ends workers that were idle for 60 s.
_KEPT_SECONDS = 30.0


@frozen
class Bench:
    """The settings that every case gets.

    Attributes:
        spark: The session of the whole run.
        folder: Where models and tables are kept between runs.
        scale: "small" to check that everything works, "full" for numbers.
        runs: Timed runs of each contender, after a warm-up.
        rows: Number of rows instead of the case's own, or None.
        peer: The only peer to run, or None for all.
    """

    spark: SparkSession
    folder: Path
    scale: Scale
    runs: int
    rows: int | None = None
    peer: str | None = None

    def choose_rows(self, *, small: int, full: int) -> int:
        return self.rows or (small if self.scale == "small" else full)

    def peer_process(
        self, name: str, module: str, arguments: Mapping[str, Any], **options: Any
    ) -> PeerProcess:
        """Return a peer with a process of its own, which starts when it first runs."""
        log = self.folder / "logs" / f"{name} {next(_numbers)}.log".replace(" ", "-")
        return PeerProcess(f"benchmarks.peers.{module}", arguments, log, **options)


@frozen
class Contender:
    """One implementation of the job, in our Spark session or in a process of its own.

    Attributes:
        name: Its name in tables.
        job: Makes the lazy table whose writing is timed. It is called once, in the contender's own
            pool of Python workers, so that no contender runs in a process that another one has
            warmed up or filled.
        conf: Settings of the session while it is timed.
        python: Whether it runs in Python workers, whose memory can then be measured.
        pool: The pool of workers that it shares with others; None for workers of its own.
        process: The process that does the job, where our session doesn't.
        peer: Its name for ``--peer``; None for us, floors, and whatever always runs.
    """

    name: str
    job: Callable[[], DataFrame] | None = None
    conf: Mapping[str, str] = Factory(dict)
    python: bool = True
    pool: str | None = None
    process: PeerProcess | None = None
    peer: str | None = None


@frozen
class _Ready:
    """A contender that has been warmed up."""

    contender: Contender
    pool: str
    table: DataFrame | None


def alternate(bench: Bench, contenders: Sequence[Contender], report: Report) -> dict[str, Timing]:
    """Time the contenders in rounds; each round starts with another contender.

    Those in our session write their whole table to Spark's ``noop`` sink. Each has an untimed run
    first, which starts the workers, loads the models and warms up the JVM, and another one at the
    end, in which only memory is watched. Spark ends workers that were idle for a minute, so a
    contender that waited for long has an untimed run before a timed one. A peer that can't run is
    listed in the report with the reason.
    """
    ready, last_runs = [], dict[str, float]()
    for contender in contenders:
        if (warmed_up := _warm_up(bench, contender, report)) is not None:
            ready.append(warmed_up)
            last_runs[contender.name] = time.perf_counter()
    timings = {entry.contender.name: Timing(entry.contender.name) for entry in ready}
    for turn in range(bench.runs):
        first = turn % len(ready)
        for entry in [*ready[first:], *ready[:first]]:
            name = entry.contender.name
            if time.perf_counter() - last_runs[name] > _KEPT_SECONDS:
                _run(bench, entry)
            timing = timings[name]
            seconds, core_seconds = _time(bench, entry)
            last_runs[name] = time.perf_counter()
            timing.seconds.append(seconds)
            timing.core_seconds.append(core_seconds)
    for entry in ready:
        timing = timings[entry.contender.name]
        _watch_memory(bench, entry, timing)
        print(f"  {timing.name}: {timing.median:.2f} s, {timing.cores:.2f} core-s", file=sys.stderr)
    return timings


def end(contenders: Sequence[Contender]) -> None:
    """End the processes of those that have their own."""
    for contender in contenders:
        if contender.process is not None:
            contender.process.end()


def _warm_up(bench: Bench, contender: Contender, report: Report) -> _Ready | None:
    pool_name = contender.pool or f"{contender.name} {next(_numbers)}"
    if bench.peer and contender.peer not in (None, bench.peer):
        return None
    try:
        if contender.process is not None:
            contender.process.start()
            report.versions.update(contender.process.versions)
        ready = _Ready(contender, pool_name, _make_table(bench.spark, contender, pool_name))
        _run(bench, ready)
    except Unavailable as reason:
        print(f"  {contender.name}: not run: {reason}", file=sys.stderr)
        report.add(f"Not run: {contender.name}: {reason}")
        end([contender])
        return None
    return ready


def _make_table(spark: SparkSession, contender: Contender, pool_name: str) -> DataFrame | None:
    if contender.job is None:
        return None
    # With the contender's settings, because `score` reads some of them when it makes the table.
    with pool(spark, pool_name), session_conf(spark, contender.conf):
        return contender.job()


def _run(bench: Bench, ready: _Ready) -> None:
    if ready.table is None:
        assert ready.contender.process is not None
        ready.contender.process.run()
        return
    with session_conf(bench.spark, ready.contender.conf):
        ready.table.write.format("noop").mode("overwrite").save()


def _time(bench: Bench, ready: _Ready) -> tuple[float, float]:
    """Return the wall-clock and CPU seconds of a run."""
    start, cpu = time.perf_counter(), cpu_seconds_of_tree()
    _run(bench, ready)
    return time.perf_counter() - start, cpu_seconds_of_tree() - cpu


def _watch_memory(bench: Bench, ready: _Ready, timing: Timing) -> None:
    """Run once more and watch the memory of the processes that score."""
    if ready.contender.process is not None:
        root = ready.contender.process.pid
        with MemoryWatch(lambda: process_tree(root)) as watch:
            _run(bench, ready)
        timing.peak_bytes = watch.scoring_peak(root)
    elif ready.contender.python:
        _run(bench, ready)  # Spark ends workers after an idle minute, so these may be new
        timing.memory = worker_memory(bench.spark, ready.pool)
        pids: dict[int, Kind] = {worker["pid"]: "worker" for worker in timing.memory}
        with MemoryWatch(lambda: pids) as watch:
            _run(bench, ready)
        timing.peak_bytes = max(watch.peak_bytes.values(), default=0)


@contextmanager
def session_conf(spark: SparkSession, conf: Mapping[str, str]) -> Iterator[None]:
    """Change settings of the session inside the block."""
    before = {name: spark.conf.get(name, None) for name in conf}
    for name, value in conf.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old_value in before.items():
            if old_value is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old_value)


def answers(bench: Bench, contender: Contender, *, by: str, score: str) -> npt.NDArray[Any]:
    """Return the contender's scores, ordered by the column `by`."""
    if contender.process is not None:
        answer = peer_answers(contender.process)
        return answer["score"][np.argsort(answer["id"])]
    table = _make_table(bench.spark, contender, contender.name)
    assert table is not None
    with session_conf(bench.spark, contender.conf):
        arrow = table.select(by, score).toArrow()
    order = np.argsort(arrow[by].to_numpy())
    return arrow[score].to_numpy()[order]


def peer_answers(process: PeerProcess) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a peer's answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answer.npz"
        process.answer(file)
        with np.load(file) as arrays:
            return dict(arrays)
