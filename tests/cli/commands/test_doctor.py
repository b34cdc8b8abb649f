from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from attrs import evolve
from pyspark.sql import SparkSession

from cases.models.saving import save_function
from hostile.corpus import CORPUS
from hostile.harness import set_trap
from tf2spark.cli import checks
from tf2spark.cli.checks import (
    judge_pyspark,
    judge_versions,
    judge_worker,
    pandas,
    spark_home,
)
from tf2spark.cli.commands.doctor import judge_opened
from tf2spark.cli.main import run
from tf2spark.spark.worker_checks import OpenedModel, WorkerPython, inspect_workers

Capture = pytest.CaptureFixture[str]

WORKER = WorkerPython(
    "host1",
    "/usr/bin/python3",
    platform.python_version(),
    (
        ("tf2spark", "0.1.0"),
        ("pyarrow", "26.0.1"),
        ("numpy", "2.4.6"),
        ("pandas", "2.3.3"),
        ("tensorflow", "2.21.0"),
    ),
    "/lib/libtensorflow_cc.so.2",
    "avx2",
    None,
    "/tmp",
    5 << 30,
)


def without(worker: WorkerPython, *names: str) -> WorkerPython:
    packages = tuple((name, "" if name in names else version) for name, version in worker.packages)
    return evolve(worker, packages=packages)


@pytest.mark.usefixtures("spark")
class TestModel:
    def test_is_not_opened_if_its_init_op_is_unsafe(self, tmp_path: Path, capsys: Capture) -> None:
        """What loading would run is checked on the driver; an op that is vouched for runs."""
        with set_trap(tmp_path) as trap:
            model = CORPUS["WriteFile-init_op"].write(tmp_path / "model", trap.targets)
            assert run(["doctor", str(model)]) == 1
            out = capsys.readouterr().out
            assert re.search(r"^missing  model .*WriteFile", out, re.M | re.S)
            assert "--allow-op WriteFile" in out
            assert not Path(trap.targets.written).exists()
            assert run(["doctor", str(model), "--allow-op", "WriteFile"]) == 0
            assert Path(trap.targets.written).exists()

    def test_that_is_not_there_is_a_finding(self, tmp_path: Path, capsys: Capture) -> None:
        """The other findings are printed all the same."""
        assert run(["doctor", str(tmp_path / "nothing")]) == 1
        out = capsys.readouterr().out
        assert re.search("^missing  model ", out, re.M)
        assert re.search("^ok       worker on ", out, re.M)


@pytest.mark.usefixtures("spark")
class TestDoctor:
    def test_reports_this_machine_and_the_workers(self, capsys: Capture) -> None:
        """If nothing is missing it ends with 0 and a line for every part."""
        assert run(["doctor"]) == 0
        out = capsys.readouterr().out
        for part in ("Python", "pyarrow", "PySpark", "pandas", "Java", "TensorFlow", "worker on"):
            assert any(line.startswith(f"ok       {part}") for line in out.splitlines()), part
        assert out.endswith("ready to score\n")

    def test_json_is_for_programs(self, capsys: Capture) -> None:
        """--json prints the same findings."""
        assert run(["doctor", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["ready"] is True
        java = next(entry for entry in report["findings"] if entry["name"] == "Java")
        assert java["status"] == "ok"
        assert java["advice"] is None

    def test_workers_are_checked_where_they_run(self, spark: SparkSession) -> None:
        """The answer comes from a worker's own Python, and has its packages and library."""
        (worker,) = inspect_workers(spark)
        assert worker.executable == sys.executable
        assert all(version for _, version in worker.packages)
        assert "libtensorflow_cc" in worker.library


def test_missing_java_is_reported_without_starting_spark(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Without Java it ends with 1, says how to get one, and leaves out the Spark job."""
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "missing  Java" in out
    assert "pip install 'tf2spark[java]'" in out
    assert "first fix Java" in out
    assert out.endswith("to fix before tf2spark can score here: 2\n")


@pytest.mark.spark
def test_failing_job_is_reported(tmp_path: Path) -> None:
    """An executor's Python that doesn't start is a finding, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tf2spark", "doctor", "--master", "local[1]"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYSPARK_PYTHON": "/nowhere/python"},
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "/nowhere/python" in done.stdout


@pytest.mark.spark
def test_too_little_memory_is_reported() -> None:
    """A memory limit too low for TensorFlow is reported with the setting to write."""
    limit = "spark.executor.pyspark.memory=1g"
    command = ["doctor", "--master", "local[1]", "--conf", limit]
    done = subprocess.run(
        [sys.executable, "-m", "tf2spark", *command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(rf"^missing  memory +{limit} limits a worker's address", done.stdout, re.M)
    assert "→ set spark.executor.pyspark.memory=2g or more" in done.stdout


@pytest.mark.parametrize("is_model", [True, False])
def test_no_spark_opens_the_model_on_this_machine(
    tmp_path: Path, capsys: Capture, is_model: bool
) -> None:
    """A model that was named isn't ignored: it opens here, or is missing."""
    model = tmp_path / "model"
    if is_model:
        spec = tf.TensorSpec([None], tf.float32, "x")
        save_function(model, lambda x: {"y": x * 2}, spec)
    assert run(["doctor", str(model), "--no-spark"]) == (0 if is_model else 1)
    shown = capsys.readouterr().out
    assert re.search(r"ok +model +\S+ opened in" if is_model else "missing +model +there is", shown)


def test_no_spark_checks_this_machine_only(capsys: Capture) -> None:
    """--no-spark leaves the job out."""
    assert run(["doctor", "--no-spark"]) == 0
    assert "worker on" not in capsys.readouterr().out


class TestWorker:
    def test_complete_worker_is_ok(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker that has everything needs no advice."""
        findings = list(judge_worker(WORKER))
        assert {(finding.status, finding.advice) for finding in findings} == {("ok", "")}
        assert [finding.found for finding in findings[1:]] == ["/tmp, 5 GiB free", "avx2"]

    def test_missing_packages_are_named(self) -> None:
        """What an executor lacks is named, with the Python to install it into."""
        finding, *_ = judge_worker(evolve(without(WORKER, "pyarrow"), library=""))
        assert finding.status == "missing"
        assert finding.advice == (
            "install into /usr/bin/python3 there: pip install pyarrow tensorflow-cpu; or name "
            "another Python with --conf spark.pyspark.python=PATH"
        )

    def test_tf2spark_itself_is_not_needed(self) -> None:
        """It ships with the job, whatever the executor has."""
        finding, *_ = judge_worker(without(WORKER, "tf2spark"))
        assert finding.status == "ok"

    def test_another_python_is_named(self) -> None:
        """PySpark refuses workers of another Python than the driver's."""
        finding, *_ = judge_worker(evolve(WORKER, python="3.9.1"))
        assert finding.status == "missing"
        assert "PySpark needs the driver's Python" in finding.advice

    def test_a_cache_that_cant_be_written_is_named(self) -> None:
        """The advice is the setting that moves it."""
        _, finding, _ = judge_worker(evolve(WORKER, cache_free_bytes=None))
        assert (finding.status, finding.found) == ("missing", "/tmp is not writable")
        assert "spark.tf2spark.cache.dir" in finding.advice

    def test_several_versions_of_tensorflow_are_named_by_host(self) -> None:
        """Each host's, as a warning; hosts without any are reported as such already."""
        packages = tuple(dict(WORKER.packages, tensorflow="2.16.2").items())
        older = evolve(WORKER, host="host2", packages=packages)
        none = evolve(without(WORKER, "tensorflow"), host="host3")
        (finding,) = judge_versions([WORKER, older, none])
        assert finding.status == "warning"
        assert finding.found == "several versions: 2.21.0 on host1; 2.16.2 on host2"
        assert not list(judge_versions([WORKER, none, evolve(WORKER, host="host4")]))

    def test_a_model_that_opens_says_how_fast(self) -> None:
        """A model that was opened there is fine; one that wasn't says why."""
        assert judge_opened("m", OpenedModel("h", 0.25, "")).found == "m opened in 0.2 s"
        assert judge_opened("m", OpenedModel("h", 0.25, "", 3)).name == "model on h, 3 executors"
        finding = judge_opened("m", OpenedModel("h", 0.25, "it is damaged"))
        assert (finding.status, finding.advice) == ("missing", "it is damaged")


class TestVersions:
    @pytest.mark.parametrize(
        ("version", "status"),
        [("3.4.4", "missing"), ("3.5.9", "ok"), ("4.3.0", "ok"), ("4.4.0", "warning")],
    )
    def test_pyspark(self, version: str, status: str) -> None:
        """3.5 to 4.3 are tested, older ones can't work, newer ones may."""
        assert judge_pyspark(version).status == status

    @pytest.mark.parametrize(
        ("version", "spark", "status"),
        [
            (None, "4.3.0", "missing"),
            (None, None, "warning"),
            ("2.3.3", "4.3.0", "ok"),
            ("3.1.1", "4.3.0", "warning"),
            ("3.1.1", "3.5.9", "warning"),
        ],
    )
    def test_pandas(self, version: str | None, spark: str | None, status: str) -> None:
        """PySpark requires pandas, older than 3."""
        assert pandas(version, spark).status == status

    def test_spark_home_of_another_version(self, tmp_path: Path) -> None:
        """A SPARK_HOME that doesn't match PySpark is reported, with both ways out."""
        (tmp_path / "jars").mkdir()
        (tmp_path / "jars" / "spark-core_2.13-4.1.0.jar").touch()
        (finding,) = spark_home(str(tmp_path), "4.3.0")
        assert finding.status == "missing"
        assert finding.found == f"Spark 4.1.0 in {tmp_path}, but PySpark is 4.3.0"
        assert finding.advice == "unset SPARK_HOME, or pip install pyspark==4.1.0"
        (same,) = spark_home(str(tmp_path), "4.1.0")
        assert same.status == "ok"

    def test_spark_home_without_spark(self, tmp_path: Path) -> None:
        """A SPARK_HOME without a Spark in it is a warning; no SPARK_HOME is no finding."""
        (finding,) = spark_home(str(tmp_path), "4.3.0")
        assert finding.status == "warning"
        assert list(spark_home(None, "4.3.0")) == []

    def test_missing_package(self) -> None:
        """A package that isn't installed says how to install it."""
        finding = checks._package("no-such-package-of-ours", "pip install it")
        assert (finding.status, finding.advice) == ("missing", "pip install it")

    def test_missing_tensorflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without TensorFlow the finding says what to install."""
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        finding = checks.tensorflow()
        assert finding.status == "missing"
        assert "pip install tensorflow-cpu" in finding.advice
