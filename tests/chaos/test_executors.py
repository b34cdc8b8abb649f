"""Executors, hosts and the model's folder are lost in the middle of jobs; tasks lag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.executors_job import FAULTS
from chaos.figures import Figures, record
from chaos.sessions import run_program
from services.standalone import standalone

_ROWS, _REFUSED = 20_000, 20


def run_jobs(folder: Path, *names: str) -> dict[str, Any]:
    """Run jobs with faults on a standalone cluster of two hosts."""
    jobs = folder / "jobs"
    jobs.mkdir()
    with standalone(folder / "cluster", hosts=("127.0.0.1", "127.0.0.2")) as master:
        report: dict[str, Any] = run_program(
            "executors_job.py", master, str(jobs), *names, seconds=900
        )
    assert report["hosts"] == ["127.0.0.1", "127.0.0.2"]
    for name in names:
        for job in report[name]:
            check_whole(job)
    return report


def check_whole(job: dict[str, Any]) -> None:
    """The fault happened; all rows are right, and counted once, those that can't be scored too."""
    assert job["injected"], job
    assert (job["lost"], job["doubled"], job["changed"]) == (0, 0, 0), job
    assert (job["counted"], job["refused"]) == (_ROWS, _REFUSED), job
    assert len(job["digests"]) == 1, job


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_lost_executors_and_hosts(tmp_path: Path) -> None:
    """Every fault, one after the other, in one session."""
    report = run_jobs(tmp_path, *FAULTS)
    (overwritten,) = report["overwritten_model"]
    assert overwritten["before"] == f"sha256:{overwritten['digests'][0]}" != overwritten["after"]
    for name in FAULTS:
        jobs = report[name]
        rows, injected = (sum(job["rows"] for job in jobs), sum(len(j["injected"]) for j in jobs))
        record(name, Figures(len(jobs), injected, rows))
