"""``python -m benchmarks [CASE ...]``: run cases and print their reports."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import core_hours, machine, results
from benchmarks.cases import CASES, EXTRA, PEERS
from benchmarks.environments import PLOTS, make_all, python_of
from benchmarks.harness import Bench
from benchmarks.pools import start_session
from benchmarks.remote_stores import s3a_jars
from benchmarks.reports import Report

_ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Do what the command line says; return 1 if answers differ."""
    arguments = _parse_arguments()
    home = results.home_of(arguments.scale)
    if arguments.draw:
        draw(home)
        return 0
    arguments.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    if not arguments.cases and not arguments.peer:
        make_all()
    cases = arguments.cases or _cases_with(arguments.peer)
    # A session can't be given jars later.
    jars = {"spark.jars": s3a_jars()} if "remote" in cases else {}
    spark = start_session(arguments.cores, jars)
    bench = Bench(
        spark, arguments.folder, arguments.scale, arguments.runs, arguments.rows, arguments.peer
    )
    reports = []
    for name in cases:
        reports.append(_run(name, bench, arguments))
        print(f"\n{reports[-1].text()}\n", flush=True)
    spark.stop()
    if arguments.write:
        draw(home)
        print(f"written: {home / 'RESULTS.md'}", file=sys.stderr)
    wrong = [report.name for report in reports if not report.agreed]
    print(f"{len(reports)} cases in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    print(f"answers differ: {', '.join(wrong)}" if wrong else "all answers agree", file=sys.stderr)
    return 1 if wrong else 0


def _run(name: str, bench: Bench, arguments: argparse.Namespace) -> Report:
    busy, start = machine.busy_share(), time.perf_counter()
    print(f"{name}: running ({busy:.0%} of the CPUs were busy before)", file=sys.stderr, flush=True)
    report = CASES[name](bench)
    runs = report.runs or f"{bench.runs} runs of each after a warm-up, alternating"
    report.add(
        f"{runs}; "
        f"{busy:.0%} of the CPUs were busy with something else just before; "
        f"the case took {time.perf_counter() - start:.0f} s."
    )
    if arguments.write:  # after each case, so that an interrupted run keeps what it has measured
        home = results.home_of(arguments.scale)
        results.save(home, report, _provenance(report, arguments))
        results.write_document(home)
    return report


def draw(home: Path) -> None:
    """Write `RESULTS.md` and its plots from the saved results."""
    results.write_document(home)
    results.write_ratio_plots(home, results.README_PLOT if home == results.HERE else None)
    if home == results.HERE:
        core_hours.write_page(results.load(home))
    folders = [str(home / name) for name in ("results", "plots")]
    command = [python_of(PLOTS), "-m", "benchmarks.plots", *folders]
    subprocess.run(command, check=True, cwd=_ROOT)


def _cases_with(peer: str | None) -> list[str]:
    if peer is None:
        return [name for name in CASES if name not in EXTRA]
    return [name for name in CASES if peer in PEERS.get(name, ())]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=_cases_help())
    peers = sorted({peer for names in PEERS.values() for peer in names})
    parser.add_argument("--peer", choices=peers, help="only this peer, in the cases that have it")
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--rows", type=int, help="number of rows, instead of the case's own")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--cores", type=int, default=2, help="Spark's cores (default: 2)")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write RESULTS.md and its plots, to benchmarks/ for full runs, to benchmarks/small/ "
        "for small ones",
    )
    parser.add_argument(
        "--draw", action="store_true", help="write them from the saved results, without a run"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "tf2spark-benchmarks",
        help="where models and tables are kept between runs",
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(
            f"unknown case: {', '.join(sorted(unknown))}; the cases are {', '.join(CASES)}"
        )
    return arguments


def _cases_help() -> str:
    return f"any of {', '.join(CASES)}; by default all but {', '.join(sorted(EXTRA))}"


def _provenance(report: Report, arguments: argparse.Namespace) -> str:
    """Say which command wrote the results, on which machine and with which versions."""
    command = ["python -m benchmarks", report.name, f"--scale {arguments.scale}"]
    command += [f"--rows {arguments.rows}"] if arguments.rows else []
    command += [f"--runs {arguments.runs} --write"]
    peers = (f"{package} {version}" for package, version in report.versions.items())
    versions = ", ".join([machine.versions(), *peers])
    return f"Written by `{' '.join(command)}` on {machine.name()}; {versions}."


if __name__ == "__main__":
    sys.exit(main())
