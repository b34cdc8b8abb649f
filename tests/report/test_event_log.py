"""Event logs that Spark has written, explained in a paragraph."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cases.hanging_models import write_deadlock
from tf2spark.errors import ContractError
from tf2spark.report.event_log import explain_log, newest_log

_JOB = """
import sys
from pyspark.sql import SparkSession
import tf2spark

log, model = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[2,2]").appName("nightly").config("spark.ui.enabled", "false")
    .config("spark.eventLog.enabled", "true").config("spark.eventLog.dir", log)
    .config("spark.eventLog.rolling.enabled", "true").getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")
rows = spark.createDataFrame([(float(x),) for x in (1, 2, 3, 666)], "x FLOAT").repartition(4, "x")
model = tf2spark.SavedModel(model, allow_ops=["Unstage"])
spark.sparkContext.setJobDescription("the good one")
model.score(rows.where("x < 600"), task_timeout=30).count()
spark.sparkContext.setJobDescription("the bad one")
try:
    model.score(rows, task_timeout=1).collect()
except Exception:
    spark.sparkContext.setJobDescription("afterwards")
    spark.range(10).count()
spark.stop()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the log of an application in which a job fails, and a later one doesn't."""
    path = tmp_path_factory.mktemp("events")
    model = write_deadlock(tmp_path_factory.mktemp("model") / "model")
    subprocess.run(
        [sys.executable, "-c", _JOB, str(path), str(model)],
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        timeout=300,
        check=True,
    )
    return path


@pytest.mark.cluster
def test_the_failed_job_is_explained(folder: Path) -> None:
    """Which it was, why it failed, what was tried again, where, and how long tasks took."""
    (file,) = newest_log(folder).glob("events_*")  # it hasn't rolled, so that is all
    text = explain_log(file, lambda failure: f"{len(failure)} characters\nof text")
    assert re.fullmatch(
        r'Application "nightly" on Spark [\d.]+, job \d+ \(the bad one\): it failed: \d+ '
        r"characters\. 2 attempts of tasks failed \(2 on \S+\), 2 of partition \d\. "
        # On a machine that is too busy, the worker is killed before it has told its error.
        r"(In \d of them the Python worker ended .*crashed\. )?Of \d tasks? "
        r"that succeeded, the middle one took [\d.]+ s and the slowest, of partition \d, [\d.]+ s\."
        r"( That is skewed.*)?",
        text,
    )


@pytest.mark.cluster
def test_doctor_prints_the_message_of_the_worker(folder: Path) -> None:
    """As the failed command did."""
    command = [sys.executable, "-m", "tf2spark", "doctor", "--event-log", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert "(the bad one): it failed: " in done.stdout
    assert "made no progress for 1 s in a run of 1 rows from row 0 of partition" in done.stdout


def test_what_is_no_event_log_is_said(tmp_path: Path) -> None:
    """A folder without logs, and another file."""
    with pytest.raises(ContractError, match=r"there is no event log in .*eventLog.enabled=true"):
        newest_log(tmp_path)
    (tmp_path / "notes").write_text("nothing\n[1]\n{}\n")
    with pytest.raises(ContractError, match="notes is no event log of Spark, or no job ran"):
        explain_log(newest_log(tmp_path), str)
