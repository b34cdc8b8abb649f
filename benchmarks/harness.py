"""Run contenders alternately, and say what came of it: medians, ranges, ratios, agreement."""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import Factory, define, frozen
from pyspark.sql import DataFrame, SparkSession

from benchmarks.machine import cpu_seconds_of_tree
from benchmarks.pools import pool, worker_memory

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
    """

    spark: SparkSession
    folder: Path
    scale: Scale
    runs: int
    rows: int | None = None

    def choose_rows(self, *, small: int, full: int) -> int:
        return self.rows or (small if self.scale == "small" else full)


@frozen
class Contender:
    """One way to do the job.

    Attributes:
        name: As it is printed.
        job: Makes the lazy table whose writing is timed. Called once, in the contender's own pool
            of Python workers, so that nobody runs in a process that another has warmed or filled.
        conf: Settings of the session while it is timed.
        python: Whether it runs in Python workers, so that their memory can be asked for.
        pool: Workers that it shares with others of this name; workers of its own where None.
    """

    name: str
    job: Callable[[], DataFrame]
    conf: Mapping[str, str] = Factory(dict)
    python: bool = True
    pool: str | None = None


@define
class Timed:
    """What was measured of a contender: for each run its time and the CPU time that Spark and
    Python took, in seconds; and its workers' memory."""

    name: str
    seconds: list[float] = Factory(list)
    core_seconds: list[float] = Factory(list)
    memory: list[dict[str, Any]] = Factory(list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def cores(self) -> float:
        """The median of the CPU time of a run, in core-seconds."""
        return statistics.median(self.core_seconds)

    @property
    def private_mb(self) -> float:
        """The largest private memory (USS) of its workers after the runs, in MB."""
        return max((one["private_bytes"] for one in self.memory), default=float("nan")) / 1e6


@define
class Report:
    """What a case prints, in Markdown, whether the answers agreed, and how often it ran what, where
    that isn't as in the other cases."""

    title: str
    runs: str | None = None
    parts: list[str] = Factory(list)
    agreed: bool = True
    targets: list[tuple[str, float, float]] = Factory(list)

    def add(self, text: str) -> None:
        self.parts.append(text)

    def target(self, what: str, wanted: float, ratio: float, spread: str = "") -> None:
        """Print a ratio beside the one that is asked for."""
        self.targets.append((what, ratio, wanted))
        verdict = "met" if ratio >= wanted else "**missed**"
        self.add(f"{what}: **{ratio:.2f} x**{spread} (asked: {wanted:g} x, {verdict}).")

    def text(self) -> str:
        return "\n\n".join([f"## {self.title}", *self.parts])


def alternate(bench: Bench, contenders: Sequence[Contender]) -> dict[str, Timed]:
    """Time the contenders in turns, the first one of a round changing from round to round.

    Each writes its whole table to Spark's ``noop`` sink. One untimed run of each comes first: it
    starts the workers, loads the models and warms the JVM.
    """
    pools = {one.name: one.pool or f"{one.name} {next(_numbers)}" for one in contenders}
    jobs = {one.name: _prepared(bench.spark, one, pools[one.name]) for one in contenders}
    found = {one.name: Timed(one.name) for one in contenders}
    for one in contenders:
        _seconds(bench.spark, jobs[one.name], one.conf)
    for turn in range(bench.runs):
        first = turn % len(contenders)
        for one in [*contenders[first:], *contenders[:first]]:
            timed = found[one.name]
            seconds, core_seconds = _seconds(bench.spark, jobs[one.name], one.conf)
            timed.seconds.append(seconds)
            timed.core_seconds.append(core_seconds)
            # At once: Spark ends workers that were idle for a minute.
            if one.python and turn == bench.runs - 1:
                timed.memory = worker_memory(bench.spark, pools[one.name])
    for timed in found.values():
        print(f"  {timed.name}: {timed.median:.2f} s, {timed.cores:.2f} core-s", file=sys.stderr)
    return found


_numbers = itertools.count()


def _prepared(spark: SparkSession, contender: Contender, in_pool: str) -> DataFrame:
    with pool(spark, in_pool):
        return contender.job()


def _seconds(spark: SparkSession, table: DataFrame, conf: Mapping[str, str]) -> tuple[float, float]:
    with settings(spark, conf):
        start, cpu = time.perf_counter(), cpu_seconds_of_tree()
        table.write.format("noop").mode("overwrite").save()
        return time.perf_counter() - start, cpu_seconds_of_tree() - cpu


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
    table = _prepared(bench.spark, contender, contender.name).select(by, score)
    with settings(bench.spark, contender.conf):
        arrow = table.toArrow()
    order = np.argsort(arrow[by].to_numpy())
    return arrow[score].to_numpy()[order]


def compare(
    report: Report,
    found: Mapping[str, npt.NDArray[Any]],
    *,
    tolerance: float = 1e-5,
) -> None:
    """Say how far the answers lie apart; over `tolerance` (scores are about 1), the case fails."""
    names = list(found)
    first = found[names[0]]
    for name in names[1:]:
        same_rows = len(first) == len(found[name])
        apart = float(np.abs(first - found[name]).max()) if same_rows else float("inf")
        equal = int((first == found[name]).sum()) if same_rows else 0
        fine = apart <= tolerance and bool(np.isfinite(first).all())
        report.agreed &= fine
        report.add(
            f"Answers of {names[0]} and {name}: {'agree' if fine else '**DIFFER**'} in "
            f"{len(first):,} rows; largest difference {apart:.1e}, scores from {first.min():.3f} "
            f"to {first.max():.3f}, {equal / max(len(first), 1):.1%} equal to the bit."
        )


def times_table(found: Mapping[str, Timed], rows: Mapping[str, int] | int) -> str:
    """Write medians, ranges, rows a second and private memory as a table."""
    lines = []
    for name, one in found.items():
        count = rows if isinstance(rows, int) else rows[name]
        lines.append(
            [
                name,
                f"{one.median:.2f}",
                f"{min(one.seconds):.2f} to {max(one.seconds):.2f}",
                f"{count:,}",
                f"{count / one.median:,.0f}",
                f"{one.cores / count * 1e6:.2f}",
                f"{one.private_mb:.0f}" if one.memory else "-",
            ]
        )
    head = [
        "",
        "median s",
        "range s",
        "rows",
        "rows/s",
        "core-seconds a million",
        "private MB of a worker",
    ]
    return markdown_table(head, lines)


def ratio(slow: Timed, fast: Timed, slow_rows: int = 1, fast_rows: int = 1) -> tuple[float, str]:
    """Return the ratio of the median times a row, and its spread from round to round as text."""
    scale = fast_rows / slow_rows
    pairs = [a / b * scale for a, b in zip(slow.seconds, fast.seconds, strict=True)]
    cpu = slow.cores / fast.cores * scale
    spread = f", {min(pairs):.2f} to {max(pairs):.2f} by round, {cpu:.2f} in core-seconds"
    return slow.median / fast.median * scale, spread


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table, aligned so that it reads well as plain text too."""
    rows = [list(head), *[list(line) for line in lines]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]

    def written(row: Sequence[str]) -> str:
        first, *rest = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)
    )
    return "\n".join([written(rows[0]), rule + "|", *map(written, rows[1:])])
