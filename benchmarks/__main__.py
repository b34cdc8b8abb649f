"""``python -m benchmarks [CASE ...]``: run cases, print what came of them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.cases import CASES
from benchmarks.harness import Bench, Report
from benchmarks.pools import start_session

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """Run what the command line says; 1 where answers differ."""
    asked = _arguments()
    asked.folder.mkdir(parents=True, exist_ok=True)
    spark = start_session(asked.cores)
    bench = Bench(spark, asked.folder, asked.scale, asked.runs, asked.rows)
    reports = []
    for name in asked.cases or CASES:
        reports.append(_run(name, bench))
        print(f"\n{reports[-1].text()}\n", flush=True)
        if asked.write:
            # After each case, so that an interrupted run keeps what it has measured.
            RESULTS.write_text(_document(reports, asked))
    spark.stop()
    return 0 if all(report.agreed for report in reports) else 1


def _run(name: str, bench: Bench) -> Report:
    busy, start = machine.busy_share(), time.perf_counter()
    print(f"{name}: running ({busy:.0%} of the CPUs were busy before)", file=sys.stderr, flush=True)
    report = CASES[name](bench)
    runs = report.runs or f"{bench.runs} runs of each after a warm-up, in turns"
    report.add(
        f"{runs}; "
        f"{busy:.0%} of the CPUs were busy with something else just before; "
        f"the case took {time.perf_counter() - start:.0f} s."
    )
    return report


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all")
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--rows", type=int, help="rows instead of the case's own number")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--cores", type=int, default=2, help="cores of Spark (default: 2)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
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


def _document(reports: list[Report], asked: argparse.Namespace) -> str:
    """Write the results, with those that the file has of other cases."""
    sections = _sections(RESULTS.read_text() if RESULTS.exists() else "")
    command = ["python -m benchmarks", "CASE", f"--scale {asked.scale}"]
    command += [f"--rows {asked.rows}"] if asked.rows else []
    command += [f"--runs {asked.runs} --write"]
    for report in reports:
        name = report.title.partition(":")[0]
        call = " ".join(command).replace("CASE", name)
        written = f"Written by `{call}` on {machine.name()}; {machine.versions()}."
        sections[name] = (f"{report.text()}\n\n{written}", _targets(report))
    targets = [one for name in sections for one in sections[name][1]]
    head = [
        "# Benchmarks",
        "All contenders of a case ran in turns in one Spark session, on the same Parquet files, "
        "each in Python workers of its own, writing to Spark's `noop` sink; see `benchmarks/`.",
        "\n".join(targets),
    ]
    return "\n\n".join([*head, *(text for text, _ in sections.values())]) + "\n"


def _sections(document: str) -> dict[str, tuple[str, list[str]]]:
    """Return the text and the targets of each case that a document has."""
    head, *rest = document.split("\n## ")
    found = {}
    for text in rest:
        name = text.partition(":")[0]
        targets = [line for line in head.splitlines() if line.startswith(f"- {name}: ")]
        found[name] = (f"## {text.strip()}", targets)
    return found


def _targets(report: Report) -> list[str]:
    name = report.title.partition(":")[0]
    return [
        f"- {name}: {what[0].lower()}{what[1:]}: {ratio:.2f} x, {wanted:g} asked"
        f"{'' if ratio >= wanted else ' (**missed**)'}"
        for what, ratio, wanted in report.targets
    ]


if __name__ == "__main__":
    sys.exit(main())
