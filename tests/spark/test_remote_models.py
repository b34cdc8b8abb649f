"""Models and packages on a local disk, a real HDFS and a real S3 server: one contract for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import keras
import pytest
from attrs import frozen
from hdfs_native.fsspec import HdfsFileSystem

import tf2spark
from cases.models import case, path_of
from services.hdfs import bytes_sent, hdfs
from services.lean_python import lean_python
from services.s3 import s3
from services.yarn import spark_conf as yarn_conf
from services.yarn import yarn

_JOB = Path(__file__).parents[1] / "services" / "storage_job.py"
_READS_JOB = _JOB.with_name("reads_job.py")


def run_job(master: str, bases: list[str], python: str, conf: Mapping[str, str]) -> Any:
    """Return what the job saw in each of these folders."""
    model = str(path_of(case("mlp_128")))
    settings = [f"{key}={value}" for key, value in conf.items()]
    settings.append(f"scan={path_of(case('keras_mlp'))}")
    reports = run_python(_JOB, master, model, ",".join(bases), python, *settings)
    return [{"base": base, **reports[base]} for base in bases]


Report = dict[str, Any]
"""What the job saw, by name, and "base": the URI or folder that it worked in."""


class StorageContract:
    """What holds for models and packages on every kind of storage.

    A subclass has a fixture `report`, which runs the job there.
    """

    # The first words of the message about a path where nothing is.
    missing = 'ModelNotFoundError: there is nothing at "{base}/nowhere"'

    def test_a_base_path_gives_its_latest_version(self, report: Report) -> None:
        """The largest number wins, and the contract says where it is."""
        assert report["version"] == 12
        assert report["path"] == f"{report['base']}/ctr/12"

    def test_a_savedmodel_scores(self, report: Report) -> None:
        """Rows that are read from and written to the storage have the scores of one process."""
        assert report["scored"] is True

    def test_a_package_is_written_and_read(self, report: Report) -> None:
        """A package that was written opens as the same, and scores in this process too."""
        assert report["same_digest"] is True
        assert report["in_this_process"] is True
        assert report["files"].count("manifest.json") == 1

    def test_a_package_that_is_overwritten_serves_its_jobs(self, report: Report) -> None:
        """A job that was set up before scores with the package that it was set up with."""
        assert report["overwritten"] == ["s"]
        assert report["by_package_that_was_overwritten"] is True

    def test_stages_are_saved_with_their_model_or_by_reference(self, report: Report) -> None:
        """A pipeline scores after it was moved and saved over itself; a reference names a path."""
        assert report["stage_moved_and_saved_over_itself"] is True
        assert report["stage_by_reference"] is True
        assert report["referring_to"] == f"{report['base']}/ctr/12"
        assert report["stage_folders"] == ["metadata"]
        assert report["stage_exists"].startswith("OutputError: ")
        assert "ModelError: " in report["stage_damaged"]

    def test_a_run_killed_between_its_renames_is_finished(self, report: Report) -> None:
        """The next run finds the new table, and nothing next to it."""
        assert (report["rows_after_kill"], report["left_after_kill"]) == (5, 1)

    def test_rows_are_added_and_partitions_replaced(self, report: Report) -> None:
        """Other rows stay; a bucket that isn't there is named before anything is written."""
        assert report["appended"] == [[0, 1], [0, 1, 10, 11]]
        assert report["replaced"] == [0, 11, 20]
        assert report["no_bucket"] in (
            "",  # elsewhere than on S3
            'StorageError: "s3a://no-such-bucket/out" is in a bucket that does not exist',
        )

    def test_nothing_is_renamed_onto_or_into_another(self, report: Report) -> None:
        """An output that appears meanwhile stays, and doesn't get the new one inside."""
        assert report["renamed"] == "no"

    @pytest.mark.parametrize(
        ("problem", "words"),
        [
            ("no_version", 'ModelNotFoundError: "{base}/ctr" has no version 4; it has 3, 12'),
            ("half", "ModelError: the graph of"),
            ("unwritten", 'ModelError: "{base}/unwritten" is an incomplete package: it has files/'),
            ("partial", 'ModelError: "{base}/partial" is incomplete: files/'),
            ("flipped", 'ModelError: "{base}/flipped/files/'),
            ("exists", "OutputError: {base}/ctr.tf2spark already exists"),
            ("no_package", "OutputError: {base}/ctr exists and is not a tf2spark package"),
            ("unknown_scheme", 'SetupError: Hadoop here knows no file system for "swift://'),
            ("missing_jar", "spark.jars.packages=org.apache.hadoop:hadoop-aliyun:"),
        ],
        ids=lambda text: text if " " not in text else "",
    )
    def test_a_problem_is_named(self, report: Report, problem: str, words: str) -> None:
        """One message names the path, what is wrong with it, and what to add."""
        assert words.format(base=report["base"]) in report[problem]

    def test_an_op_library_is_read(self, report: Report) -> None:
        """A library on the storage goes to the workers, and into this process."""
        assert report["words"] == [2, 3, 4]
        assert 'op_libraries=["tensorflow_text"]' in report["no_library"]
        assert (
            'there is no file at "{base}/words/none.so"'.format(**report)
            in (report["library_not_there"])
            or 'there is no op library at "{base}/words/none.so"'.format(**report)
            in (report["library_not_there"])
        )
        assert "is a folder; name the file in it" in report["library_is_folder"]

    @pytest.mark.parametrize("ending", ["keras", "h5"])
    def test_a_keras_file_is_compiled(self, report: Report, ending: str) -> None:
        """From the storage to the storage; where it is opened, the message says so."""
        base = report["base"]
        assert report[f"{ending}_scored"] in ([3.0], [[3.0]])
        advice = f'tf2spark.compile_model("{base}/keras/model.{ending}", "model.tf2spark")'
        assert "is a Keras model, not a SavedModel" in report[f"{ending}_opened"]
        assert advice in report[f"{ending}_opened"]
        assert f'"{base}/keras/model.h5" is a Keras model' in report["keras_folder"]

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("model.tflite", "is a TFLite model"),
            ("model.onnx", "is an ONNX model"),
            ("weights", "is a Keras model, not a SavedModel"),
            ("model.tar.gz", "is an archive; unpack it"),
            ("pointer.keras", "is a Git LFS pointer"),
            ("notes.txt", "a SavedModel is a folder, but"),
            ("step-1.index", "is a TensorFlow checkpoint"),
            ("step-1", "is a TensorFlow checkpoint"),
            ("step", "/step/step-1.index"),
            ("variables", "is only a part of the SavedModel"),
            ("variables.index", "is only a part of the SavedModel"),
            ("saved_model.pb", "a SavedModel is a folder, but"),
        ],
    )
    def test_other_formats_are_named(self, report: Report, name: str, words: str) -> None:
        """As on a local disk, by the content or the name of the file."""
        assert words in report[f"other:{name}"]

    def test_a_missing_model_is_named(self, report: Report) -> None:
        """A path where nothing is gets an error of its own class."""
        assert self.missing.format(base=report["base"]) in report["missing"]


class RemoteContract(StorageContract):
    """What holds in addition where files aren't on a disk of this machine."""

    def test_workers_read_tables_themselves(self, report: Report) -> None:
        """Rows of many types, by partitions and filters, are those that Spark reads."""
        scan = report["scan"]
        assert scan["reader"] == "worker", scan["reason"]
        assert [scan[name] for name in ("rows", "few_columns", "partition", "filter")] == [True] * 4
        assert scan["rows_of_filter"] > 100

    def test_tfrecord_files_are_written_and_read(self, report: Report) -> None:
        """By the data source, and as the command line writes them; nothing else is left."""
        assert report["records"] == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 4, 5, 5], [0, 1]]
        assert report["records_cli"] == report["records_glob"] == 12
        assert report["records_hidden"] == []
        assert "there is no such file or folder" in report["records_missing"]

    def test_no_plan_shows_a_secret(self, report: Report) -> None:
        """Workers get the keys of Hadoop's configuration, which nothing shows."""
        assert report["scan"]["shown_secrets"] == []


@frozen
class Hdfs:
    """A running HDFS: its URL, and the folder of its daemons' logs."""

    url: str
    folder: Path


@pytest.fixture(scope="module")
def running_hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    """One HDFS for all tests here."""
    folder = tmp_path_factory.mktemp("hdfs")
    with hdfs(folder) as url:
        yield Hdfs(url, folder)


@pytest.fixture(scope="module")
def big_package(running_hdfs: Hdfs, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """A package with 20 MB of weights on HDFS: its URI, and its size."""
    uri = f"{running_hdfs.url}/big.tf2spark"
    return uri, write_big_package(tmp_path_factory.mktemp("big"), uri)


@pytest.fixture(scope="module")
def local_reports(tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """S3 and a folder of this machine, by a session whose workers are on the driver's machine.

    S3 comes first: what its job has cached would help the other.
    """
    with s3(tmp_path_factory.mktemp("s3")) as server:
        bases = [server.path("m"), str(tmp_path_factory.mktemp("disk") / "m")]
        reports: list[Report] = run_job("local[2]", bases, sys.executable, server.conf())
    return reports


@pytest.mark.cluster
class TestLocalDisk(StorageContract):
    """A folder of this machine, which is read without Hadoop."""

    missing = "ModelNotFoundError: "

    @pytest.fixture(scope="class")
    @classmethod
    def report(cls, local_reports: list[Report]) -> Report:
        return local_reports[1]


@pytest.mark.cluster
class TestHdfs(RemoteContract):
    """HDFS, with executors in processes of their own."""

    @pytest.fixture(scope="class")
    @classmethod
    def report(cls, running_hdfs: Hdfs, tmp_path_factory: pytest.TempPathFactory) -> Report:
        python = str(lean_python(tmp_path_factory.mktemp("python") / "lean"))
        base = f"{running_hdfs.url}/m"
        (report,) = run_job("local-cluster[2,1,900]", [base], python, {})
        return dict(report)


@pytest.mark.cluster
class TestS3(RemoteContract):
    """S3, with everything in one process."""

    @pytest.fixture(scope="class")
    @classmethod
    def report(cls, local_reports: list[Report]) -> Report:
        return local_reports[0]

    def test_a_run_killed_between_its_renames_is_finished(self, report: Report) -> None:
        """Not here: parts of tables may have both names, so the next run leaves them alone."""
        assert (report["rows_after_kill"], report["left_after_kill"]) == (None, 2)

    def test_a_wrong_key_names_the_settings(self, report: Report) -> None:
        """S3 rejects another secret, and the message says which settings to check."""
        assert "may not be read with these credentials" in report["wrong_key"]
        assert "spark.hadoop.fs.s3a.secret.key" in report["wrong_key"]


@pytest.mark.cluster
@pytest.mark.parametrize("kind", ["local-cluster", pytest.param("yarn", marks=pytest.mark.chaos)])
def test_a_package_is_read_once_an_executor(
    kind: str, tmp_path: Path, running_hdfs: Hdfs, big_package: tuple[str, int]
) -> None:
    """Two executors with two slots each read the package from its storage once, like the driver.

    On YARN both are on one host and in the same folder of the application. Spark gives each its own
    folder in there, so that neither finds what the other has fetched.
    """
    package, size_bytes = big_package
    with cluster(kind, tmp_path, running_hdfs.url) as (master, settings, environment):
        before = bytes_sent(running_hdfs.folder)
        report = run_python(_READS_JOB, master, package, *settings, environment=environment)
        read_bytes = bytes_sent(running_hdfs.folder) - before
    assert report == {"scored": 64, "executors": 2}
    # Spark fetches files for the driver as well. Checksums and, on YARN, PySpark are added to that.
    assert 3 * size_bytes <= read_bytes < 3.5 * size_bytes


@contextmanager
def cluster(kind: str, folder: Path, url: str) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Yield the master, the settings and the environment of a job with two executors."""
    if kind == "local-cluster":
        yield "local-cluster[2,2,900]", [], {}
        return
    with yarn(folder, url) as conf:
        two = {"spark.executor.instances": "2", "spark.executor.memoryOverhead": "900m"}
        settings = yarn_conf(f"{url}/staging") | two
        settings["spark.scheduler.minRegisteredResourcesRatio"] = "1"
        yield "yarn", [f"{k}={v}" for k, v in settings.items()], {"HADOOP_CONF_DIR": str(conf)}


def write_big_package(folder: Path, uri: str) -> int:
    """Put a package with 20 MB of weights into an HDFS, without a Spark, and return its size."""
    ids = keras.Input((4,), dtype="int64", name="ids")
    summed = keras.layers.Flatten()(keras.layers.Embedding(80_000, 64)(ids))
    keras.Model(ids, keras.layers.Dense(1)(summed)).export(str(folder / "big"), verbose=False)
    package = tf2spark.SavedModel(folder / "big").compile(folder / "big.tf2spark")
    address = urlsplit(uri)
    hdfs_files = HdfsFileSystem(address.hostname, address.port, skip_instance_cache=True)
    hdfs_files.put(f"{folder}/big.tf2spark", address.path, recursive=True)
    assert package.contract.package is not None
    return package.contract.package.size_bytes


def run_python(*arguments: object, environment: Mapping[str, str] | None = None) -> Any:
    """Run a program in the tests' Python, and return what its last line says, as JSON."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=400,
        env={
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYTHONPATH": str(_JOB.parents[1]),
            **(environment or {}),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])
