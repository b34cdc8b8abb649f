"""A driver that is killed in the middle of a stream, and the same query started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

import tf2spark
from cases.models import case, path_of
from cases.streams import finish, start, stream_of, write_files

_JOB = Path(__file__).parents[2] / "services" / "stream_job.py"
_TESTS = Path(__file__).parents[2]
_FILES, _ROWS = 8, 500
_START_SECONDS = 90


def committed(folder: Path) -> int:
    """Return how many micro-batches of a query are complete, by its checkpoint."""
    return len(list((folder / "checkpoint" / "commits").glob("[0-9]*")))


def run_and_kill(source: Path, folder: Path, after_batches: int) -> None:
    """Start the query in a process of its own, and kill that after so many micro-batches."""
    log = folder.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(_JOB), str(path_of(case("keras_mlp"))), str(source), str(folder)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(_TESTS)},
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while committed(folder) < after_batches and time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    # The driver, its JVM and the workers: as if the machine had lost power.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def scores_of(spark: SparkSession, folder: Path) -> list[tuple[int, int]]:
    """Return the rows of an output by id, with the bits of their scores."""
    rows = spark.read.parquet(f"{folder}/scored").orderBy("id").collect()
    bits = np.array([row["output_0"] for row in rows], np.float32).view(np.int32)
    return list(zip((row["id"] for row in rows), bits.tolist(), strict=True))


def test_killed_driver_loses_and_doubles_no_row(
    spark: SparkSession, tmp_path: Path, mlp: tf2spark.SavedModel
) -> None:
    """The query goes on from its checkpoint; ids and bits are those of an undisturbed run."""
    source = write_files(tmp_path / "source", _FILES, rows=_ROWS)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    run_and_kill(source, killed, after_batches=2)
    assert 2 <= committed(killed) < _FILES
    for folder in (killed, undisturbed):
        finish(start(mlp.score(stream_of(spark, source), keep=["id"]), folder))
    assert committed(killed) == committed(undisturbed) == _FILES
    scores = scores_of(spark, killed)
    assert [id for id, _ in scores] == list(range(_FILES * _ROWS))
    assert scores == scores_of(spark, undisturbed)
