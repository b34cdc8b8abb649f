"""docs/streams.md with a real broker: rows of a topic, scored into another one."""

from __future__ import annotations

import json
import os
import re
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
    """Every message of the first topic has its score in the second, and another one its reason."""
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
    scored = {key: value for key, value in report["messages"] if key is not None}
    assert len(report["messages"]) == len(scored) + 1 == 201
    for key, price in report["expected"].items():
        assert scored[key]["price"] == pytest.approx(price, rel=1e-5)
    (refused,) = [value for key, value in report["messages"] if key is None]
    assert "price" not in refused
    assert re.search(r'partition=0, offset=\d+: column "features" is null', refused["_error"])
