"""Shared by the cases that score rows: contenders, tables, ratios and the comparison of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.contenders import PLAIN
from benchmarks.harness import Bench, Contender, alternate, answers, end
from benchmarks.reports import Report, compare, markdown_table, ratio_of, times_table
from benchmarks.stages import READING, RUNNING, Stages
from benchmarks.timing import Timing

US, PEER = "tf2spark", "predict_batch_udf"
# Our speed where the worker can't read the files: other tables, other file systems, Connect.
US_SPARK_READS = 'tf2spark, read="spark"'
READ = "reading only"
START_UP = "tf2spark, a thousand rows"
FLOOR, UDF_FLOOR = "no-op mapInArrow", "no-op arrow_udf"
_FLOORS = (READ, FLOOR, UDF_FLOOR, START_UP)


def run_rows(
    bench: Bench,
    report: Report,
    job: str,
    contenders: Sequence[Contender],
    rows: Mapping[str, int] | int,
    goals: Mapping[str, float],
    groups: Sequence[Sequence[Contender]] = (),
) -> dict[str, Timing]:
    """Time the contenders alternately; report times, ratios to ours, goals and agreement.

    Args:
        bench: The run's settings.
        report: Where the results go.
        job: The job's name in plots.
        contenders: All contenders, ours first.
        rows: Number of rows, or that of each contender.
        goals: The smallest acceptable ratio, by contender.
        groups: Contenders whose answers are compared with each other; by default, all of them.
    """
    try:
        timings = alternate(bench, contenders, report)
        report.add(times_table(timings, rows))
        _add_ratios(report, job, timings, rows, goals)
        _add_rows_per_core(report, job, timings)
        for group in groups or [contenders]:
            scoring = [contender for contender in group if _has_answers(contender, timings)]
            _compare_answers(bench, report, scoring)
    finally:
        end(contenders)
    return timings


def _has_answers(contender: Contender, timings: Mapping[str, Timing]) -> bool:
    return contender.name not in _FLOORS and (contender.name in timings or contender.peer is None)


def _compare_answers(bench: Bench, report: Report, contenders: Sequence[Contender]) -> None:
    scores = {
        contender.name: answers(bench, contender, by="id", score="score")
        for contender in contenders
    }
    compare(report, scores)


def _add_ratios(
    report: Report,
    job: str,
    timings: Mapping[str, Timing],
    rows: Mapping[str, int] | int,
    goals: Mapping[str, float],
) -> None:
    ratios, lines = [], []
    for name in timings:
        if name in (US, *_FLOORS):
            continue
        counts = () if isinstance(rows, int) else (rows[name], rows[US])
        ratio = report.ratio(job, name, timings[name], timings[US], *counts)
        cells = [
            f"{ratio.times:.2f}",
            f"{ratio.low:.2f} to {ratio.high:.2f}",
            f"{ratio.core_seconds:.2f}",
        ]
        if name != US_SPARK_READS and US_SPARK_READS in timings:
            other = ratio_of(job, name, timings[name], timings[US_SPARK_READS], *counts)
            cells += [f"{other.times:.2f}", f"{other.core_seconds:.2f}"]
        ratios.append(ratio)
        lines.append([name, *cells, *["-"] * (5 - len(cells))])
    head = ["time per row / ours", "median", "across rounds", "core-seconds"]
    report.add(markdown_table([*head, f"/ {US_SPARK_READS}", "core-seconds"], lines))
    for ratio in ratios:
        if ratio.peer in goals:
            what = f"Faster than {ratio.peer} ({job})"
            report.target(what, goals[ratio.peer], ratio.times, ratio.spread)


def _add_rows_per_core(report: Report, job: str, timings: Mapping[str, Timing]) -> None:
    """Report our rows per core-second relative to TensorFlow alone, without a job's fixed cost.

    TensorFlow alone has no job to start. Both score the same number of rows.
    """
    if PLAIN not in timings:
        return
    start = timings[START_UP].cores if START_UP in timings else 0.0
    excluded = (
        f", not counting the {start:.2f} core-seconds that our job of a thousand rows takes"
        if start
        else ""
    )
    what = f"Rows per core-second, relative to {PLAIN} ({job})"
    report.target(what, 0.8, timings[PLAIN].cores / (timings[US].cores - start), excluded)


def describe_bottlenecks(timings: Mapping[str, Timing], rows: int, stages: Stages) -> str:
    """Say what our CPU time consists of, and how far we are from the floors."""
    us, read = timings[US].cores, timings[READ].cores
    ours = {name: seconds * rows / 1e6 for name, seconds in stages.items()}
    running, reading, total = ours[RUNNING], ours[READING], sum(ours.values())
    spark_reads = timings[US_SPARK_READS].cores
    floors = [name for name in (FLOOR, UDF_FLOOR) if name in timings]
    lowest = min(floors, key=lambda name: timings[name].cores)
    floor_seconds = timings[FLOOR].median
    return (
        f"Bottlenecks: of our {us:.1f} core-seconds, decoding Parquet takes {reading / us:.0%}, "
        f"running TensorFlow {running / us:.0%} and the rest of our loop "
        f"{(total - running - reading) / us:.0%} (from the stages below); the other "
        f"{max(us - total, 0) / us:.0%} are Spark's tasks and the results' way back through the "
        f"JVM. When Spark reads ({spark_reads:.1f} core-seconds), reading takes "
        f"{read / spark_reads:.0%} and carrying the rows to Python and back "
        f"{(timings[lowest].cores - read) / spark_reads:.0%} (what {lowest} takes beyond reading). "
        f"In wall-clock time we take {timings[US].median / floor_seconds:.2f} x as long as a no-op "
        f"mapInArrow, and {timings[US_SPARK_READS].median / floor_seconds:.2f} x when Spark reads."
    )
