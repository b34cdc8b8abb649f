from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cases.models import case, path_of

_TESTS = Path(__file__).parents[1]
_BATCHES = 20_000

pytestmark = pytest.mark.slow


def report_of(job: str, *arguments: str) -> Any:
    """Run a job of `services` in a process of its own, and return what it reports."""
    done = subprocess.run(
        [sys.executable, str(_TESTS / "services" / job), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "feed"),
    [
        ("keras_lookups", {}),
        ("deepfm_padded", {"feat_ids": "features.indices", "feat_vals": "features.values"}),
        ("refuses_id", {}),
    ],
)
def test_memory_stays_flat(name: str, feed: dict[str, str], tmp_path: Path) -> None:
    """20,000 batches (strings, vectors, refused rows) end with the memory of the first thousand."""
    model_case = case(name)
    pq.write_table(model_case.table(8), tmp_path / "table.parquet")
    # The bisection of a refused row takes many runs, so fewer batches do as many.
    batches = _BATCHES if model_case.refused is None else _BATCHES // 10
    table = str(tmp_path / "table.parquet")
    report = report_of(
        "leak_job.py", str(path_of(model_case)), table, json.dumps(feed), str(batches)
    )
    assert report["rows"] == 8 * batches
    assert report["late_kib"] - report["early_kib"] < 8 * 1024


def test_memory_of_recommend_stays_flat() -> None:
    """Batch after batch of users ends with the memory of the first ones."""
    report = report_of("recommend_leak_job.py", "400")
    assert report["users"] == 400 * 128
    assert report["late_kib"] - report["early_kib"] < 8 * 1024


def test_calls_of_recommend_leave_nothing_behind() -> None:
    """After forty catalogs, a process has the memory, sessions and folders of the first ten."""
    early, *_, late = report_of("recommend_calls_job.py", "40")
    assert late["sessions"] == early["sessions"]
    assert late["folders"] == early["folders"]
    assert late["kib"] - early["kib"] < 16 * 1024
