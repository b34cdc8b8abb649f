"""Rows from a real broker, scored into another topic of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cases.models import case, path_of
from services.kafka import kafka, source_jars

_TESTS = Path(__file__).parents[2]


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.skipif("TF2SPARK_TEST_KAFKA" not in os.environ, reason="TF2SPARK_TEST_KAFKA isn't set")
def test_topic_is_scored_into_a_topic(tmp_path: Path) -> None:
    """Every message of the first topic has its score in the second, once."""
    jars = ",".join(map(str, source_jars()))
    with kafka(tmp_path / "kafka") as address:
        job = [str(_TESTS / "services" / "kafka_job.py"), str(path_of(case("keras_mlp")))]
        done = subprocess.run(
            [sys.executable, *job, address, str(tmp_path), jars],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_TESTS), "PYSPARK_PYTHON": sys.executable},
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert len(report["got"]) == len(report["want"])
    got, want = ({row["id"]: row["output_0"] for row in report[key]} for key in ("got", "want"))
    assert got.keys() == want.keys()
    assert all(abs(got[id] - want[id]) < 1e-5 for id in want)
