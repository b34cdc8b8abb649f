"""Run contenders in turns, whether they share our Spark session or live in a process apart."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import Factory, frozen
from pyspark.sql import DataFrame, SparkSession

from benchmarks.apart import Apart
from benchmarks.environments import Unavailable
from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.peaks import Kind, Watch, processes_below
from benchmarks.pools import pool, worker_memory
from benchmarks.reports import Report
from benchmarks.timed import Timed

Scale = Literal["small", "full"]


@frozen
class Bench:
    """What every case is given.

    Attributes:
        spark: The one session of the whole run.
        folder: Where models and tables are kept between runs.
        scale: "small" to see that it works, "full" for numbers.
        runs: Timed runs of each contender, after one that warms it up.
        rows: Rows instead of the case's own number, or None.
        peer: The only peer that runs beside us, or None for all.
    """

    spark: SparkSession
    folder: Path
    scale: Scale
    runs: int
    rows: int | None = None
    peer: str | None = None

    def choose_rows(self, *, small: int, full: int) -> int:
        return self.rows or (small if self.scale == "small" else full)

    def apart(self, name: str, module: str, given: Mapping[str, Any], **how: Any) -> Apart:
        """Return a peer in a process of its own; it starts when it is first run."""
        log = self.folder / "logs" / f"{name} {next(_numbers)}.log".replace(" ", "-")
        return Apart(f"benchmarks.peers.{module}", given, log, **how)


@frozen
class Contender:
    """One way to do the job, in our Spark session or apart.

    Attributes:
        name: As it is printed.
        job: Makes the lazy table whose writing is timed. Called once, in the contender's own pool
            of Python workers, so that nobody runs in a process that another has warmed or filled.
        conf: Settings of the session while it is timed.
        python: Whether it runs in Python workers, so that their memory can be asked for.
        pool: Workers that it shares with others of this name; workers of its own where None.
        apart: The process that does the job instead, where it isn't done in our session.
        peer: The name by which ``--peer`` asks for it; None for us, floors and what always runs.
    """

    name: str
    job: Callable[[], DataFrame] | None = None
    conf: Mapping[str, str] = Factory(dict)
    python: bool = True
    pool: str | None = None
    apart: Apart | None = None
    peer: str | None = None


@frozen
class _Ready:
    """A contender that has been warmed up."""

    contender: Contender
    in_pool: str
    table: DataFrame | None


def alternate(bench: Bench, contenders: Sequence[Contender], report: Report) -> dict[str, Timed]:
    """Time the contenders in turns, the first one of a round changing from round to round.

    Those in our session write their whole table to Spark's ``noop`` sink. One untimed run of each
    comes first: it starts the workers, loads the models and warms the JVM. One more comes last, in
    which only memory is watched. A peer that can't run is named in the report, with the reason.
    """
    ready = [one for each in contenders if (one := _warm(bench, each, report)) is not None]
    found = {one.contender.name: Timed(one.contender.name) for one in ready}
    for turn in range(bench.runs):
        first = turn % len(ready)
        for one in [*ready[first:], *ready[:first]]:
            timed = found[one.contender.name]
            seconds, core_seconds = _seconds(bench, one)
            timed.seconds.append(seconds)
            timed.core_seconds.append(core_seconds)
    for one in ready:
        timed = found[one.contender.name]
        _watch(bench, one, timed)
        print(f"  {timed.name}: {timed.median:.2f} s, {timed.cores:.2f} core-s", file=sys.stderr)
    return found


def end(contenders: Sequence[Contender]) -> None:
    """End the processes of those that live apart."""
    for one in contenders:
        if one.apart is not None:
            one.apart.end()


_numbers = itertools.count()


def _warm(bench: Bench, contender: Contender, report: Report) -> _Ready | None:
    in_pool = contender.pool or f"{contender.name} {next(_numbers)}"
    if bench.peer and contender.peer not in (None, bench.peer):
        return None
    try:
        if contender.apart is not None:
            contender.apart.start()
            report.versions.update(contender.apart.versions)
        one = _Ready(contender, in_pool, _prepared(bench.spark, contender, in_pool))
        _run(bench, one)
    except Unavailable as reason:
        print(f"  {contender.name}: not run: {reason}", file=sys.stderr)
        report.add(f"Not run: {contender.name}: {reason}")
        end([contender])
        return None
    return one


def _prepared(spark: SparkSession, contender: Contender, in_pool: str) -> DataFrame | None:
    if contender.job is None:
        return None
    # With its settings: our own way reads some of them when the table is made.
    with pool(spark, in_pool), settings(spark, contender.conf):
        return contender.job()


def _run(bench: Bench, one: _Ready) -> None:
    if one.table is None:
        assert one.contender.apart is not None
        one.contender.apart.run()
        return
    with settings(bench.spark, one.contender.conf):
        one.table.write.format("noop").mode("overwrite").save()


def _seconds(bench: Bench, one: _Ready) -> tuple[float, float]:
    start, cpu = time.perf_counter(), cpu_seconds_of_tree()
    _run(bench, one)
    return time.perf_counter() - start, cpu_seconds_of_tree() - cpu


def _watch(bench: Bench, one: _Ready, timed: Timed) -> None:
    """Run once more and watch the memory of those who score."""
    if one.contender.apart is not None:
        root = one.contender.apart.pid
        with Watch(lambda: processes_below(root)) as watch:
            _run(bench, one)
        timed.peak_bytes = watch.of_those_who_score(root)
    elif one.contender.python:
        _run(bench, one)  # Spark ends workers that were idle for a minute; these are new then.
        timed.memory = worker_memory(bench.spark, one.in_pool)
        pids: dict[int, Kind] = {each["pid"]: "worker" for each in timed.memory}
        with Watch(lambda: pids) as watch:
            _run(bench, one)
        timed.peak_bytes = max(watch.most.values(), default=0)


class settings:
    """Change settings of the session for a while."""

    def __init__(self, spark: SparkSession, conf: Mapping[str, str]) -> None:
        self._spark, self._conf = spark, conf

    def __enter__(self) -> None:
        self._before = {name: self._spark.conf.get(name, None) for name in self._conf}
        for name, value in self._conf.items():
            self._spark.conf.set(name, value)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                self._spark.conf.unset(name)
            else:
                self._spark.conf.set(name, value)


def answers(bench: Bench, contender: Contender, *, by: str, score: str) -> npt.NDArray[Any]:
    """Return the contender's scores in the order of the column `by`."""
    if contender.apart is not None:
        found = answers_apart(contender.apart)
        return found["score"][np.argsort(found["id"])]
    table = _prepared(bench.spark, contender, contender.name)
    assert table is not None
    with settings(bench.spark, contender.conf):
        arrow = table.select(by, score).toArrow()
    order = np.argsort(arrow[by].to_numpy())
    return arrow[score].to_numpy()[order]


def answers_apart(apart: Apart) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a peer's answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answer.npz"
        apart.answer(file)
        with np.load(file) as found:
            return dict(found)
