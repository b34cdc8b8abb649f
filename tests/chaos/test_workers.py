"""Python workers that end or hang in the middle of a job cost no row.

`make test` has a short form: `spark/test_clusters.py` kills a worker, `spark/test_task_timeout.py`
has a model that hangs, `worker/test_hang_watch.py` stops a worker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.figures import Figures, record
from chaos.sessions import run_program

_ENDS = ("SIGKILL", "SIGSEGV", "exit", "abort", "exit0")


def run_jobs(master: str, folder: Path, jobs: int, *how: str) -> dict[str, Any]:
    """Run jobs in which workers end; each job had such a worker, and all rows are right."""
    report: dict[str, Any] = run_program(
        "workers_job.py", master, str(folder), str(jobs), *how, seconds=120 + 30 * jobs
    )
    assert report["jobs"] == jobs
    assert report["faults"] >= jobs
    wrong = report.get("lost", 0), report.get("doubled", 0), report.get("changed", 0)
    assert wrong == (0, 0, 0)
    return report


@pytest.mark.chaos
def test_workers_that_end_or_stop_cost_no_row(tmp_path: Path) -> None:
    """In each kind of job, in different ways."""
    report = run_jobs("local[2,4]", tmp_path, 4, "SIGSTOP", *_ENDS)
    assert len(report["ends"]) > 3
    assert "SIGSTOP" in report["ends"]


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_a_hundred_jobs(tmp_path: Path) -> None:
    """On two executors, in every way."""
    report = run_jobs("local-cluster[2,1,900]", tmp_path, 100, *_ENDS)
    assert report["ends"].keys() == set(_ENDS)
    told = ", ".join(f"{count} {how}" for how, count in sorted(report["ends"].items()))
    record("workers", Figures(report["jobs"], report["faults"], report["rows"], note=told))


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_hangs(tmp_path: Path) -> None:
    """Stopped workers are killed, and their tasks run again; a model that hangs ends its job."""
    stopped = run_jobs("local-cluster[2,1,900]", tmp_path / "stopped", 9, "SIGSTOP")
    limit_seconds = 5
    hung: dict[str, Any] = run_program(
        "hanging_job.py", str(tmp_path / "hung"), str(limit_seconds), seconds=600
    )
    for job in hung.values():
        first, *stack = job["message"].splitlines()
        assert f"made no progress for {limit_seconds} s in a run of 2 rows from row 2" in first
        assert any("in execute" in line for line in stack)
        assert job["attempts"] == 4
    jobs, faults = stopped["jobs"] + len(hung), stopped["faults"] + 4 * len(hung)
    told = (f"{name}: {job['seconds']:.0f} s for 4 attempts" for name, job in hung.items())
    note = f"with a limit of {limit_seconds} s, {', '.join(told)}"
    record("hangs", Figures(jobs, faults, stopped["rows"], note=note))
