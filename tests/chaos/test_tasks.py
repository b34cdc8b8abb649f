"""Very many tasks, empty partitions, a very long one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.figures import Figures, record
from chaos.sessions import run_program


def run_tasks(folder: Path, partitions: int, tasks: int, rows: int) -> dict[str, Any]:
    """Run the jobs: rows are complete, and a worker opens the model once, for rows only."""
    report: dict[str, Any] = run_program(
        "tasks_job.py", str(folder), str(partitions), str(tasks), str(rows), seconds=1200
    )
    assert (report["rows_of_empty"], report["rows_of_filled"]) == (0, 10)
    assert (report["rows_of_tasks"], report["rows_of_long"]) == (tasks, rows)
    assert report["opened_for_empty"] == 0
    assert report["opened"] == report["workers"]
    return report


@pytest.mark.chaos
def test_workers_open_a_model_once_and_for_rows_only(tmp_path: Path) -> None:
    """Empty partitions open none."""
    run_tasks(tmp_path, 20, 20, 20_000)


@pytest.mark.chaos
@pytest.mark.timeout(1500)
def test_ten_thousand_tasks(tmp_path: Path) -> None:
    """And one partition of 10,000,000 rows."""
    report = run_tasks(tmp_path, 1_000, 10_000, 10_000_000)
    rows = sum(report[f"rows_of_{name}"] for name in ("empty", "filled", "tasks", "long"))
    overhead_ms = report["task_overhead_ms"]
    assert overhead_ms < 10
    compared = "more" if overhead_ms > 0 else "less"
    note = (
        f"{report['opened']} loads by {report['workers']} workers, "
        f"{abs(overhead_ms):.1f} ms a task {compared} than an empty function, "
        f"10,000,000 rows in {report['long_seconds']:.0f} s"
    )
    record("tasks", Figures(4, 0, rows, note=note))
