"""What the cases that score rows have in common: contenders, tables, ratios, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.contenders import PLAIN
from benchmarks.harness import Bench, Contender, alternate, answers, end
from benchmarks.reports import Report, compare, markdown_table, ratio_of, times_table
from benchmarks.stages import READING, Stages
from benchmarks.timed import Timed

US, PEER = "tf2spark", "predict_batch_udf"
# What it is where the worker can't read the files: on other tables, other file systems, Connect.
US_BY_SPARK = 'tf2spark, read="spark"'
READ = "only reading"
START_UP = "tf2spark, a thousand rows"
FLOOR, COLUMN_FLOOR = "nothing, by mapInArrow", "nothing, by arrow_udf"
_FLOORS = (READ, FLOOR, COLUMN_FLOOR, START_UP)


def run_rows(
    bench: Bench,
    report: Report,
    job: str,
    contenders: Sequence[Contender],
    rows: Mapping[str, int] | int,
    asked: Mapping[str, float],
    groups: Sequence[Sequence[Contender]] = (),
) -> dict[str, Timed]:
    """Time the contenders in turns; report times, ratios to ours, what was asked, and agreement.

    Args:
        bench: The run.
        report: Where it goes.
        job: What the plot calls it.
        contenders: Ours first.
        rows: Rows of each contender.
        asked: The ratio that is asked for, by contender.
        groups: Those whose answers are compared with each other; all of them by default.
    """
    try:
        found = alternate(bench, contenders, report)
        report.add(times_table(found, rows))
        _against(report, job, found, rows, asked)
        _per_core(report, job, found)
        for group in groups or [contenders]:
            _agree(bench, report, [one for one in group if _scored(one, found)])
    finally:
        end(contenders)
    return found


def _scored(one: Contender, found: Mapping[str, Timed]) -> bool:
    return one.name not in _FLOORS and (one.name in found or one.peer is None)


def _agree(bench: Bench, report: Report, contenders: Sequence[Contender]) -> None:
    scores = {one.name: answers(bench, one, by="id", score="score") for one in contenders}
    compare(report, scores)


def _against(
    report: Report,
    job: str,
    found: Mapping[str, Timed],
    rows: Mapping[str, int] | int,
    asked: Mapping[str, float],
) -> None:
    lines = []
    for name in found:
        if name in (US, *_FLOORS):
            continue
        counts = () if isinstance(rows, int) else (rows[name], rows[US])
        one = report.ratio(job, name, found[name], found[US], *counts)
        cells = [f"{one.times:.2f}", f"{one.low:.2f} to {one.high:.2f}", f"{one.core_seconds:.2f}"]
        if name != US_BY_SPARK and US_BY_SPARK in found:
            other = ratio_of(job, name, found[name], found[US_BY_SPARK], *counts)
            cells += [f"{other.times:.2f}", f"{other.core_seconds:.2f}"]
        lines.append([name, *cells, *["-"] * (5 - len(cells))])
    head = ["its time a row / ours", "median", "by round", "core-seconds"]
    report.add(markdown_table([*head, f"/ {US_BY_SPARK}", "core-seconds"], lines))
    for one in [each for each in report.ratios if each.job == job and each.peer in asked]:
        report.target(f"Faster than {one.peer}, {job}", asked[one.peer], one.times, one.spread)


def _per_core(report: Report, job: str, found: Mapping[str, Timed]) -> None:
    """Hold us against TensorFlow alone, which has no job to start, beyond what a job's start takes.

    Rows of both are as many.
    """
    if PLAIN not in found:
        return
    start = found[START_UP].cores if START_UP in found else 0.0
    said = f", without the {start:.2f} core-seconds that our job of a thousand rows takes"
    what = f"Of {PLAIN}, rows a core-second, {job}"
    each = found[PLAIN].cores / (found[US].cores - start)
    report.target(what, 0.8, each, said if start else "")


def bound(found: Mapping[str, Timed], rows: int, stages: Stages) -> str:
    """Say what our CPU time consists of, and how far we lie from the floors."""
    us, read = found[US].cores, found[READ].cores
    ours = {name: seconds * rows / 1e6 for name, seconds in stages.items()}
    run, reading, whole = ours["TensorFlow's run"], ours[READING], sum(ours.values())
    by_spark = found[US_BY_SPARK].cores
    lower = min((found[one].cores, one) for one in (FLOOR, COLUMN_FLOOR) if one in found)
    return (
        f"What bounds us: of our {us:.1f} core-seconds, decoding Parquet takes {reading / us:.0%}, "
        f"TensorFlow's run {run / us:.0%}, the rest of our loop {(whole - run - reading) / us:.0%} "
        f"(by the stages below); {max(us - whole, 0) / us:.0%} are Spark's tasks and the way of "
        f"the results back through the JVM. Where Spark reads ({by_spark:.1f} core-seconds), its "
        f"reading takes {read / by_spark:.0%}, carrying the rows to Python and back "
        f"{(lower[0] - read) / by_spark:.0%} (what {lower[1]} takes beyond reading). By the clock "
        f"we take {found[US].median / found[FLOOR].median:.2f} of a mapInArrow that does nothing, "
        f"with Spark reading {found[US_BY_SPARK].median / found[FLOOR].median:.2f}."
    )
