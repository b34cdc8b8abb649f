"""`spark.worker_checks`: what workers report, and which executors have answered."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyspark.cloudpickle
import pytest

from tf2spark.spark import worker_checks
from tf2spark.spark.worker_checks import OpenedModel, WorkerPython

NO_SESSION: Any = None


def test_the_inspector_does_not_need_tf2spark(tmp_path: Path) -> None:
    """It travels by value, and runs in a Python that has no tf2spark."""
    dumps: Any = pyspark.cloudpickle.dumps
    inspect_python = worker_checks._make_inspector(str(tmp_path / "cache"), 0.0)
    (tmp_path / "inspector").write_bytes(dumps(inspect_python))
    program = """
import json, sys
sys.modules["tf2spark"] = None
from pyspark.cloudpickle import loads
(answer,) = loads(open(sys.argv[1], "rb").read())([0])
print(json.dumps(answer))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "inspector")],
        capture_output=True,
        text=True,
        check=True,
    )
    _, *fields = json.loads(done.stdout)
    worker = WorkerPython(*fields)
    assert (worker.executable, worker.python) == (sys.executable, platform.python_version())
    assert dict(worker.packages)["pyarrow"]
    assert "libtensorflow_cc" in worker.library
    assert worker.cache == str(tmp_path / "cache")
    assert worker.cache_free_bytes is not None


def test_asking_ends_when_all_executors_have_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Executors are told apart by host and id; one that answers twice counts once."""
    monkeypatch.setattr(worker_checks, "executor_count", lambda spark: 2)
    rounds = [[(1, "a", "x"), (1, "a", "x")], [(1, "b", "x")], [(9, "never", "x")]]
    answers = worker_checks._ask_all_executors(NO_SESSION, lambda: rounds.pop(0))
    assert answers == [(1, "a", "x"), (1, "a", "x"), (1, "b", "x")]


def test_asking_ends_when_an_executor_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is busy with other work isn't waited for."""
    monkeypatch.setattr(worker_checks, "executor_count", lambda spark: 2)
    answers = worker_checks._ask_all_executors(NO_SESSION, lambda: [(1, "a")])
    assert answers == [(1, "a")] * worker_checks._MAX_ROUNDS


def test_a_hosts_slowest_answer_counts() -> None:
    """The slowest worker unpacked the model; an error counts more than any time."""
    quick, slow = (1, "a", 0.1, ""), (2, "a", 2.5, "")
    assert worker_checks._slowest([quick, slow, quick]) == OpenedModel("a", 2.5, "", 2)
    failed = (1, "a", 0.2, "no memory")
    assert worker_checks._slowest([slow, failed]) == OpenedModel("a", 0.2, "no memory", 2)
