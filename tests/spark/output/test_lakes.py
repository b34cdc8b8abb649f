"""Delta and Iceberg, on a Spark for which both have a release: that of `make test-oldest`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyspark
import pytest

from services.jars import fetch

_JOB = Path(__file__).parents[2] / "services" / "lake_job.py"
_SPARK = ".".join(pyspark.__version__.split(".")[:2])
_JARS = {
    "3.5": (
        "io.delta:delta-spark_2.12:3.1.0",
        "io.delta:delta-storage:3.1.0",
        "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.6.1",
    ),
    "4.1": (
        "io.delta:delta-spark_4.1_2.13:4.4.0",
        "io.delta:delta-storage:4.4.0",
        "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0",
    ),
}

pytestmark = [
    pytest.mark.oldest,
    pytest.mark.cluster,
    pytest.mark.skipif(_SPARK not in _JARS, reason=f"they have no release for Spark {_SPARK}"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the job saw: see `lake_job`."""
    jars = ",".join(map(str, fetch("lakes", _JARS[_SPARK])))
    folder = tmp_path_factory.mktemp("lakes")
    command = [sys.executable, str(_JOB), str(folder), jars]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["delta", "iceberg", "path"])
class TestLakes:
    def test_every_mode_writes_its_rows(self, name: str, report: Any) -> None:
        """A new table, rows that are added, partitions and whole tables that are replaced."""
        steps = report[name]
        assert (steps["new"], steps["appended"]) == ([0, 1], [0, 1, 10, 11])
        assert (steps["partitions"], steps["overwritten"]) == ([0, 11, 20], [30])

    def test_a_job_that_fails_changes_nothing(self, name: str, report: Any) -> None:
        """Their own commit comes after the last row."""
        assert report[name]["failed"] == ["refused", [0, 11, 20]]

    def test_what_does_not_fit_is_refused(self, name: str, report: Any) -> None:
        """An output that exists, other columns, and the table that is read."""
        steps = report[name]
        assert "already exists" in steps["again"]
        assert " is the input" in steps["itself"] or " is the same as the input" in steps["itself"]
        assert steps["other"].startswith(("OutputError", "ContractError", "AnalysisException"))
