"""Streams of a Spark Connect client, whose tasks get none of the session's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tf2spark
from cases.models import case, path_of
from cases.streams import write_files

pytestmark = pytest.mark.cluster

_JOB = Path(__file__).parents[2] / "services" / "connect_stream_job.py"
_FILES, _ROWS = 2, 20


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of rows, each of which is a micro-batch."""
    return write_files(tmp_path_factory.mktemp("connect") / "source", _FILES, rows=_ROWS)


@pytest.fixture(scope="module")
def report(source: Path) -> dict[str, Any]:
    """What a client of a server on this machine saw."""
    model = str(path_of(case("keras_mlp")))
    done = subprocess.run(
        [sys.executable, str(_JOB), model, str(source), str(source.parent)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_the_session_is_one_of_connect(report: dict[str, Any]) -> None:
    """No JVM is in the client's process."""
    assert report["session"].startswith("pyspark.sql.connect.")


@pytest.mark.parametrize("way", ["stream", "foreach_batch"])
def test_scores_are_those_of_a_table(way: str, report: dict[str, Any], source: Path) -> None:
    """Each row once, with the bits that the same files have as a table, and in this process."""
    assert report[way] == report["table"]
    here = tf2spark.SavedModel(path_of(case("keras_mlp"))).score(
        pa.concat_tables(pq.read_table(path) for path in sorted(source.iterdir()))
    )
    scores = np.asarray(here["output_0"], np.float32)
    want = [list(pair) for pair in zip(range(_FILES * _ROWS), scores.view(np.int32), strict=True)]
    assert report[way] == want


def test_rows_are_observed(report: dict[str, Any]) -> None:
    """In each micro-batch, though only by their position."""
    assert report["observed"] == [_ROWS] * _FILES


def test_a_model_that_workers_do_not_find(report: dict[str, Any]) -> None:
    """The query ends with one sentence, which names the path."""
    message = report["without_the_model"]
    assert message.startswith("ModelError: "), message
    assert "/gone/model" in message
