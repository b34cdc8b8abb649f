"""What cases found, kept as JSON, a file a case; `RESULTS.md` and the plots are written from it.

Full runs are kept beside this file, small ones in a folder `small` that isn't committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict

from benchmarks.reports import Growth, Ratio, Report, markdown_table

HERE = Path(__file__).parent

_HEAD = """# Benchmarks

tf2spark and what people use today, in turns in one run on the same Parquet files; each contender
in Python workers (or a process) of its own, those on Spark writing to its `noop` sink. After a
warm-up each ran as often as its section says; tables show medians and ranges. *Core-seconds* are
the CPU time of all processes of a contender: they say what a job costs and hardly change with what
else the machine does. The answers were compared in every case. `make bench` runs all of it again,
`make bench PEER=mlflow` one peer, `make bench CASES="dense"` some cases, `SCALE=full` at this size.
"""


def place_of(scale: str) -> Path:
    """Return the folder of the results of full or small runs."""
    return HERE if scale == "full" else HERE / scale


def keep(place: Path, report: Report, written_by: str) -> None:
    """Write a case's JSON."""
    folder = place / "results"
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "name": report.name,
        "text": report.text(),
        "written_by": written_by,
        "targets": report.targets,
        "ratios": [asdict(one) for one in report.ratios],
        "growths": [asdict(one) for one in report.growths],
    }
    (folder / f"{report.name}.json").write_text(json.dumps(found, indent=1) + "\n")


def kept(place: Path) -> list[dict[str, Any]]:
    """Return what the files have, in the order of the cases."""
    from benchmarks.cases import CASES

    files = [place / "results" / f"{name}.json" for name in CASES]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def write_document(place: Path) -> None:
    """Write `RESULTS.md` from the files."""
    found = kept(place)
    parts = [_HEAD.strip(), "![How many times as long the peers take](plots/ratios.svg)"]
    parts += [_targets(found), _ratios(found)]
    for one in found:
        parts.append(one["text"])
        parts += [f"![{each['name']}](plots/{each['name']}.svg)" for each in one["growths"]]
        parts.append(one["written_by"])
    (place / "RESULTS.md").write_text("\n\n".join(parts) + "\n")


def ratios(found: list[dict[str, Any]]) -> list[Ratio]:
    """Return the ratios of all cases."""
    return [Ratio(**each) for one in found for each in one["ratios"]]


def growths(found: list[dict[str, Any]]) -> list[Growth]:
    """Return the growths of all cases."""
    return [Growth(**each) for one in found for each in one["growths"]]


def _targets(found: list[dict[str, Any]]) -> str:
    lines = ["## What was asked"]
    lines += [
        f"- {one['name']}: {what[0].lower()}{what[1:]}: {times:.2f} x, {wanted:g} asked"
        f"{'' if times >= wanted else ' (**missed**)'}"
        for one in found
        for what, times, wanted in one["targets"]
    ]
    return "\n".join([lines[0], "", *lines[1:]])


def _ratios(found: list[dict[str, Any]]) -> str:
    lines = [
        [
            each.job,
            each.peer,
            f"{each.times:.2f}",
            f"{each.low:.2f} to {each.high:.2f}",
            f"{each.core_seconds:.2f}",
        ]
        for each in ratios(found)
    ]
    head = ["job", "peer", "its time / ours", "by round", "its core-seconds / ours"]
    return "## The peers\n\n" + markdown_table(head, lines)
