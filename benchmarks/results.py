"""The cases' results, one JSON file per case; `RESULTS.md` and the plots are written from them.

Results of full runs are next to this file; those of small runs go to the folder `small`, which
isn't committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict

from benchmarks import ratio_plot
from benchmarks.reports import Growth, Ratio, Report, markdown_table

HERE = Path(__file__).parent
README_PLOT = HERE.parent / "docs" / "images" / "speed.svg"

_HEAD = """# Benchmarks

tf2spark and the tools that people use today, alternating in one run on the same Parquet files. Each
contender has Python workers (or a process) of its own, and those on Spark write to its `noop` sink.
After a warm-up, each ran as often as its section says; the tables show medians and ranges.
*Core-seconds* are the CPU time of all processes of a contender: they say what a job costs, and they
hardly depend on what else the machine is doing. The answers were compared in every case.
`make bench` runs everything again, `make bench PEER=mlflow` one peer, `make bench CASES="dense"`
some cases, and `SCALE=full` runs them at the size shown here.
"""


def home_of(scale: str) -> Path:
    """Return the folder of the results of full or small runs."""
    return HERE if scale == "full" else HERE / scale


def save(home: Path, report: Report, written_by: str) -> None:
    """Write a case's JSON."""
    folder = home / "results"
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "name": report.name,
        "text": report.text(),
        "written_by": written_by,
        "targets": report.targets,
        "ratios": [asdict(ratio) for ratio in report.ratios],
        "figures": report.figures,
        "growths": [asdict(growth) for growth in report.growths],
    }
    (folder / f"{report.name}.json").write_text(json.dumps(result, indent=1) + "\n")


def load(home: Path) -> list[dict[str, Any]]:
    """Return the saved results, in the order of the cases."""
    from benchmarks.cases import CASES

    files = [home / "results" / f"{name}.json" for name in CASES]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def write_document(home: Path) -> None:
    """Write `RESULTS.md` from the saved results."""
    loaded = load(home)
    parts = [_HEAD.strip(), "![Time of each peer relative to tf2spark](plots/ratios.svg)"]
    parts += [_goals(loaded), _ratios(loaded)]
    for result in loaded:
        parts.append(result["text"])
        names = [growth["name"] for growth in result["growths"]]
        parts += [f"![{name}](plots/{name}.svg)" for name in names]
        parts.append(result["written_by"])
    (home / "RESULTS.md").write_text("\n\n".join(parts) + "\n")


def write_ratio_plots(home: Path, readme_plot: Path | None = None) -> None:
    """Draw the ratios of all cases, and those that README.md opens with."""
    loaded = ratios(load(home))
    plots = {home / "plots" / "ratios.svg": (loaded, "log scale; above 1, tf2spark is faster")}
    if readme_plot is not None:
        headlines = ratio_plot.headlines(loaded)
        plots[readme_plot] = (headlines, "2 cores, the same files, equal answers; log scale")
    for file, (chosen, note) in plots.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        title = "Time taken, relative to tf2spark"
        file.write_text(ratio_plot.draw(chosen, title, note), encoding="utf-8")


def ratios(loaded: list[dict[str, Any]]) -> list[Ratio]:
    """Return the ratios of all cases."""
    return [Ratio(**ratio) for result in loaded for ratio in result["ratios"]]


def growths(loaded: list[dict[str, Any]]) -> list[Growth]:
    """Return the growth curves of all cases."""
    return [
        Growth(
            growth["name"],
            growth["x"],
            growth["y"],
            tuple(growth["xs"]),
            {name: tuple(values) for name, values in growth["lines"].items()},
        )
        for result in loaded
        for growth in result["growths"]
    ]


def _goals(loaded: list[dict[str, Any]]) -> str:
    lines = [
        f"- {result['name']}: {what[0].lower()}{what[1:]}: {ratio:.2f} x "
        f"(goal: {goal:g} x{'' if ratio >= goal else ', **missed**'})"
        for result in loaded
        for what, ratio, goal in result["targets"]
    ]
    return "\n".join(["## Goals", "", *lines])


def _ratios(loaded: list[dict[str, Any]]) -> str:
    lines = [
        [
            ratio.job,
            ratio.peer,
            f"{ratio.times:.2f}",
            f"{ratio.low:.2f} to {ratio.high:.2f}",
            f"{ratio.core_seconds:.2f}",
        ]
        for ratio in ratios(loaded)
    ]
    head = ["job", "peer", "its time / ours", "across rounds", "its core-seconds / ours"]
    return "## The peers\n\n" + markdown_table(head, lines)
