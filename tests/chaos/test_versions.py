"""Hosts of a cluster have other versions of TensorFlow and tf2spark, or lack TensorFlow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cases.models import case, path_of
from chaos.figures import Figures, record
from services.mixed_python import (
    VARIABLE,
    dispatcher,
    on_host,
    python_without,
    with_other_tf2spark,
    with_tensorflow,
)
from services.standalone import standalone
from tf2spark import SavedModel

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]
_ROWS = 4_000
_HOSTS = ("host-a", "host-b")
_OLDEST = Path(__file__).parents[2] / "constraints-oldest.txt"


@contextmanager
def cluster(folder: Path, pythons: Sequence[Path]) -> Iterator[list[str]]:
    """Run workers that have these Pythons; yields the options of a command for it."""
    named = [on_host(python, name) for python, name in zip(pythons, _HOSTS, strict=True)]
    environments = [{VARIABLE: str(python)} for python in named]
    hosts = ["127.0.0.1", "127.0.0.2"]
    with standalone(folder, hosts=hosts, environments=environments) as master:
        python = dispatcher(folder / "any")
        settings = {"spark.executor.memory": "600m", "spark.pyspark.python": str(python)}
        settings["spark.pyspark.driver.python"] = sys.executable
        options = [f"{key}={value}" for key, value in settings.items()]
        yield ["--master", master, *(each for pair in options for each in ("--conf", pair))]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if key != "PYSPARK_PYTHON"}
    return subprocess.run(
        [sys.executable, "-m", "tf2spark", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**variables, "SPARK_LOCAL_IP": "127.0.0.1"},
        check=False,
    )


def write_rows(path: Path) -> pa.Table:
    rows = case("keras_mlp").table(_ROWS)
    rows = rows.append_column("id", pa.array(range(_ROWS), pa.int64()))
    pq.write_table(rows, path, row_group_size=_ROWS // 8)
    return rows


def score(path: Path, output: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Score in eight partitions, so that both hosts have some."""
    files = ["--input", str(path), "--output", str(output), "--keep", "id"]
    split = ["--conf", "spark.sql.files.maxPartitionBytes=16k", "--log-format", "json"]
    return run("score", str(path_of(case("keras_mlp"))), *files, *split, *options)


def test_other_versions_are_named_and_rows_are_right(tmp_path: Path) -> None:
    """By `doctor` and before the first job; each host runs the tf2spark of the job."""
    requirement = re.search(r"^tensorflow-cpu==\S+", _OLDEST.read_text(), re.MULTILINE)
    assert requirement is not None
    oldest = requirement[0].partition("==")[2]
    older = with_tensorflow(python_without(tmp_path / "older", "tensorflow"), requirement[0])
    with_other_tf2spark(older)
    newer = python_without(tmp_path / "newer", "nothing")
    rows = write_rows(tmp_path / "rows.parquet")
    with cluster(tmp_path, [older, newer]) as options:
        findings = json.loads(run("doctor", "--json", *options).stdout)["findings"]
        done = score(tmp_path / "rows.parquet", tmp_path / "out", options)
    told = [
        each for each in findings if each["name"] == "TensorFlow" and "several" in each["found"]
    ]
    assert [each["status"] for each in told] == ["warning"]
    assert f"{oldest} on host-a" in told[0]["found"]
    assert re.search(r"[\d.]+ on host-b", told[0]["found"])
    workers = [each["found"] for each in findings if each["name"].startswith("worker on ")]
    assert any("tf2spark 0.0.9" in each for each in workers), workers
    assert done.returncode == 0, done.stderr
    notes = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert any(each["event"] == "note" and oldest in each["message"] for each in notes)
    (tasks,) = (each for each in notes if each["event"] == "tasks")
    assert tasks["models_opened"] == 2
    scored = pq.read_table(tmp_path / "out").sort_by("id")
    expected = SavedModel(path_of(case("keras_mlp"))).score(rows, keep=["id"]).sort_by("id")
    assert scored["id"].equals(expected["id"])
    for name in expected.column_names[1:]:
        pairs = zip(scored[name].to_pylist(), expected[name].to_pylist(), strict=True)
        assert all(got == pytest.approx(want, rel=1e-5, abs=1e-6) for got, want in pairs)
    record("versions", Figures(1, 2, _ROWS, note=f"TensorFlow {oldest} beside another"))


def test_a_host_without_tensorflow_is_named_before_the_job(tmp_path: Path) -> None:
    """By `doctor` and by the first job, which begins no output."""
    lacking = python_without(tmp_path / "lacking", "tensorflow")
    whole = python_without(tmp_path / "whole", "nothing")
    write_rows(tmp_path / "rows.parquet")
    with cluster(tmp_path, [lacking, whole]) as options:
        findings = json.loads(run("doctor", "--json", *options).stdout)["findings"]
        done = score(tmp_path / "rows.parquet", tmp_path / "out", options)
    missing = [each for each in findings if each["status"] == "missing"]
    assert [each["name"] for each in missing] == ["worker on host-a"]
    assert "pip install tensorflow-cpu" in missing[0]["advice"]
    assert done.returncode == 1
    error = json.loads([line for line in done.stderr.splitlines() if line.startswith("{")][-1])
    assert error["event"] == "error"
    assert "executors lack what scoring needs" in error["message"]
    assert "host-a" in error["message"]
    assert "host-b" not in error["message"]
    assert "pip install tensorflow-cpu" in error["message"]
    assert not (tmp_path / "out").exists()
