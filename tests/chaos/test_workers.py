"""Python workers that end in the middle of a job cost no row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.figures import Figures, record
from chaos.sessions import run_program
from chaos.workers_job import ENDS


def run_jobs(master: str, folder: Path, jobs: int) -> dict[str, Any]:
    """Run jobs in which workers end; each job had such a worker, and all rows are right."""
    report: dict[str, Any] = run_program(
        "workers_job.py", master, str(folder), str(jobs), seconds=60 + 20 * jobs
    )
    assert report["jobs"] == jobs
    assert report["faults"] >= jobs
    wrong = report.get("lost", 0), report.get("doubled", 0), report.get("changed", 0)
    assert wrong == (0, 0, 0)
    return report


@pytest.mark.cluster
def test_workers_that_end_cost_no_row(tmp_path: Path) -> None:
    """In each kind of job, in different ways."""
    report = run_jobs("local[2,4]", tmp_path, 6)
    assert len(report["ends"]) > 3


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_a_hundred_jobs(tmp_path: Path) -> None:
    """On two executors, in every way."""
    report = run_jobs("local-cluster[2,1,900]", tmp_path, 100)
    assert report["ends"].keys() == set(ENDS)
    told = ", ".join(f"{count} {how}" for how, count in sorted(report["ends"].items()))
    record("workers", Figures(report["jobs"], report["faults"], report["rows"], note=told))
