"""Many executors: a model is sent once by the driver, or once a host by YARN."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

import tf2spark
from cases.models import case, path_of
from chaos.sessions import run_program
from services.hdfs import bytes_sent, hdfs
from services.standalone import standalone
from services.yarn import spark_conf, yarn
from tf2spark.package.manifest import FILES

_EXECUTORS, _YARN_EXECUTORS = 8, 4


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_the_driver_sends_a_model_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight executors on hosts of their own, one fetches it from the driver."""
    monkeypatch.setenv("SPARK_DAEMON_MEMORY", "128m")
    hosts = [f"127.0.1.{number + 1}" for number in range(_EXECUTORS)]
    with standalone(tmp_path / "spark", workers=_EXECUTORS, memory="1g", hosts=hosts) as master:
        model, work = path_of(case("mlp_128")), tmp_path / "work"
        work.mkdir()
        arguments = [master, str(model), "64", "seeded", str(_EXECUTORS), str(work)]
        report = run_program("shipping_job.py", *arguments, seconds=600)
    assert report["executors"] == _EXECUTORS
    assert report["rows"] == 64 * _EXECUTORS
    assert report["wrong"] == 0
    assert report["copies"] == 1
    # All of its bytes pass the proxies, which count them.
    assert report["model_bytes"] <= sum(report["sent_bytes"]) < 2 * report["model_bytes"]


def write_package(folder: Path, uri: str) -> tuple[list[str], int]:
    """Write a package with 20 MB of weights; return the URIs of its files, and its size."""
    ids = keras.Input((4,), dtype="int64", name="ids")
    summed = keras.layers.Flatten()(keras.layers.Embedding(80_000, 64)(ids))
    keras.Model(ids, keras.layers.Dense(1)(summed)).export(str(folder / "big"), verbose=False)
    local = tf2spark.SavedModel(folder / "big").compile(folder / "local.tf2spark")
    command = [sys.executable, "-m", "tf2spark", "compile", str(folder / "big"), uri]
    subprocess.run(command, check=True, env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"})
    assert local.contract.package is not None
    files = [file.stored for file in local.contract.package.files]
    return [f"{uri}/{FILES}/{name}" for name in files], local.contract.package.size_bytes


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Path]]:
    """HDFS and YARN: the folder of both, the URL of one and the configuration of the other."""
    folder = tmp_path_factory.mktemp("hadoop")
    with hdfs(folder / "hdfs") as url, yarn(folder / "yarn", url, memory_mib=6144) as conf:
        yield folder, url, conf


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_yarn_brings_a_package_once_a_host(cluster: tuple[Path, str, Path], tmp_path: Path) -> None:
    """Two executors share what ``spark.yarn.dist.files`` names, and the driver fetches nothing."""
    folder, url, conf = cluster
    package = f"{url}/big.tf2spark"
    files, size_bytes = write_package(tmp_path, package)
    settings = spark_conf(f"{url}/staging") | {
        "spark.executor.instances": "2",
        "spark.executor.memoryOverhead": "900m",
        "spark.scheduler.minRegisteredResourcesRatio": "1",
        "spark.yarn.dist.files": ",".join(files),
    }
    before = bytes_sent(folder / "hdfs")
    report = run_program(
        "../services/reads_job.py",
        *("yarn", package, *(f"{key}={value}" for key, value in settings.items())),
        seconds=400,
        environment={"HADOOP_CONF_DIR": str(conf)},
    )
    read_bytes = bytes_sent(folder / "hdfs") - before
    assert report == {"scored": 64, "executors": 2}
    # PySpark's own files and checksums are added to the package.
    assert size_bytes <= read_bytes < 1.5 * size_bytes


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_executors_on_yarn_pass_a_model_on(cluster: tuple[Path, str, Path], tmp_path: Path) -> None:
    """The driver sends a model at most twice; the host keeps one copy, and rows are right."""
    _, url, conf = cluster
    settings = spark_conf(f"{url}/staging") | {
        "spark.executor.instances": str(_YARN_EXECUTORS),
        "spark.executor.memoryOverhead": "512m",
    }
    work = tmp_path / "work"
    work.mkdir()
    report = run_program(
        "shipping_job.py",
        *("yarn", str(path_of(case("mlp_128"))), "64", "seeded", str(_YARN_EXECUTORS), str(work)),
        *(f"{key}={value}" for key, value in settings.items()),
        seconds=400,
        environment={"HADOOP_CONF_DIR": str(conf)},
    )
    assert report["executors"] == _YARN_EXECUTORS
    assert (report["rows"], report["wrong"]) == (64 * _YARN_EXECUTORS, 0)
    assert report["copies"] == 1
    assert report["model_bytes"] <= sum(report["sent_bytes"]) < 2 * report["model_bytes"]
