"""``python -m benchmarks [CASE ...]``: run cases, print what came of them."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import machine, results
from benchmarks.cases import CASES, EXTRA, PEERS
from benchmarks.environments import PLOTS, make_all, python_of
from benchmarks.harness import Bench
from benchmarks.pools import start_session
from benchmarks.reports import Report

_ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run what the command line says; 1 where answers differ."""
    asked = _arguments()
    place = results.place_of(asked.scale)
    if asked.draw:
        draw(place)
        return 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    if not asked.cases and not asked.peer:
        make_all()
    spark = start_session(asked.cores)
    bench = Bench(spark, asked.folder, asked.scale, asked.runs, asked.rows, asked.peer)
    reports = []
    for name in asked.cases or _cases_of(asked.peer):
        reports.append(_run(name, bench, asked))
        print(f"\n{reports[-1].text()}\n", flush=True)
    spark.stop()
    if asked.write:
        draw(place)
        print(f"written: {place / 'RESULTS.md'}", file=sys.stderr)
    wrong = [report.name for report in reports if not report.agreed]
    print(f"{len(reports)} cases in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    print(f"answers differ: {', '.join(wrong)}" if wrong else "all answers agree", file=sys.stderr)
    return 1 if wrong else 0


def _run(name: str, bench: Bench, asked: argparse.Namespace) -> Report:
    busy, start = machine.busy_share(), time.perf_counter()
    print(f"{name}: running ({busy:.0%} of the CPUs were busy before)", file=sys.stderr, flush=True)
    report = CASES[name](bench)
    runs = report.runs or f"{bench.runs} runs of each after a warm-up, in turns"
    report.add(
        f"{runs}; "
        f"{busy:.0%} of the CPUs were busy with something else just before; "
        f"the case took {time.perf_counter() - start:.0f} s."
    )
    if asked.write:  # after each case, so that an interrupted run keeps what it has measured
        place = results.place_of(asked.scale)
        results.keep(place, report, _written_by(report, asked))
        results.write_document(place)
    return report


def draw(place: Path) -> None:
    """Write `RESULTS.md` and its plots from the kept results."""
    results.write_document(place)
    folders = [str(place / name) for name in ("results", "plots")]
    command = [python_of(PLOTS), "-m", "benchmarks.plots", *folders]
    subprocess.run(command, check=True, cwd=_ROOT)


def _cases_of(peer: str | None) -> list[str]:
    if peer is None:
        return [name for name in CASES if name not in EXTRA]
    return [name for name in CASES if peer in PEERS.get(name, ())]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=_help())
    peers = sorted({peer for names in PEERS.values() for peer in names})
    parser.add_argument("--peer", choices=peers, help="only this peer, in the cases that have it")
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--rows", type=int, help="rows instead of the case's own number")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--cores", type=int, default=2, help="cores of Spark (default: 2)")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write RESULTS.md and its plots: full runs to benchmarks/, else to benchmarks/small/",
    )
    parser.add_argument("--draw", action="store_true", help="only write these anew")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "tf2spark-benchmarks",
        help="where models and tables are kept between runs",
    )
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    return asked


def _help() -> str:
    return f"of {', '.join(CASES)}; all but {', '.join(sorted(EXTRA))} where none is named"


def _written_by(report: Report, asked: argparse.Namespace) -> str:
    command = ["python -m benchmarks", report.name, f"--scale {asked.scale}"]
    command += [f"--rows {asked.rows}"] if asked.rows else []
    command += [f"--runs {asked.runs} --write"]
    versions = [machine.versions(), *(f"{name} {one}" for name, one in report.versions.items())]
    return f"Written by `{' '.join(command)}` on {machine.name()}; {', '.join(versions)}."


if __name__ == "__main__":
    sys.exit(main())
