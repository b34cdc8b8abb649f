from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import frozen

from cases.models import case, path_of
from cases.models.custom_ops import text_library, write_word_model
from services.lean_python import lean_python
from services.standalone import standalone
from services.yarn import spark_conf as yarn_conf
from services.yarn import yarn

_JOB = Path(__file__).parents[1] / "services" / "cluster_job.py"
_SHIPPING_JOB = Path(__file__).parents[1] / "services" / "shipping_job.py"
_ROWS = 6_000
# Rows and the columns that Spark reads lie outside of Java's heap.
_OFF_HEAP = (
    "spark.memory.offHeap.enabled=true",
    "spark.memory.offHeap.size=128m",
    "spark.sql.columnVector.offheap.enabled=true",
)


@frozen
class Cluster:
    """A cluster that runs: its master, a folder for the test's files, and a session's settings."""

    master: str
    folder: Path
    settings: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def standalone_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One standalone cluster for all tests here; each job gets executors of its own."""
    with standalone(tmp_path_factory.mktemp("standalone")) as master:
        yield master


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Spark's own cluster manager, which the driver starts with executors that have a GPU."""
    folder = tmp_path_factory.mktemp("cluster")
    write_table(folder)
    return Cluster("local-cluster[2,1,900]", folder, (*gpu_settings(folder), *_OFF_HEAP))


def gpu_settings(folder: Path) -> tuple[str, ...]:
    """Have every executor's host report the GPU 3, which two tasks share; there is no such GPU."""
    script = folder / "gpus"
    script.write_text("""#!/bin/sh\necho '{"name": "gpu", "addresses": ["3"]}'\n""")
    script.chmod(0o755)
    return (
        "spark.worker.resource.gpu.amount=1",
        f"spark.worker.resource.gpu.discoveryScript={script}",
        "spark.executor.resource.gpu.amount=1",
        "spark.task.resource.gpu.amount=0.5",
    )


def write_table(folder: Path) -> None:
    """Write the rows to score: several partitions of them."""
    table = case("mlp_128").table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
    pq.write_table(table, folder / "table.parquet", row_group_size=_ROWS // 8)


@pytest.fixture(scope="module")
def report(cluster: Cluster) -> Any:
    """Score with a model at a path that the workers can read, and kill one of them."""
    return run_job(_JOB, cluster, *cluster.settings)


def run_job(job: Path, cluster: Cluster, *more: str, **environment: str) -> Any:
    """Score a table of many partitions and return what the driver reported."""
    model, table = str(path_of(case("mlp_128"))), str(cluster.folder / "table.parquet")
    done = subprocess.run(
        [sys.executable, str(job), cluster.master, model, table, *more],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.cluster
def test_doctor_reports_every_executor(standalone_master: str, tmp_path: Path) -> None:
    """Both executors are reported, which have no tf2spark of their own, and the model opens."""
    python, model = str(lean_python(tmp_path / "lean")), str(path_of(case("mlp_128")))
    command = ["doctor", model, "--master", standalone_master, "--json"]
    command += ["--conf", "spark.executor.memory=600m"]
    done = subprocess.run(
        [sys.executable, "-m", "tf2spark", *command],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": python},
        check=False,
    )
    told = json.loads(done.stdout)
    assert told["ready"] is True, done.stdout
    names = {one["name"].partition(" on ")[0]: one for one in told["findings"]}
    assert names["worker"]["name"].endswith(", 2 executors")
    assert names["model"]["name"].endswith(", 2 executors")
    assert "tf2spark" not in names["worker"]["found"].partition(": ")[2]
    assert re.search(r"opened in \d+\.\d s$", names["model"]["found"])


@pytest.mark.cluster
class TestCluster:
    def test_scores_on_executors_of_their_own(self, report: dict[str, Any]) -> None:
        """The job ran on two executors and several partitions, not in the driver."""
        assert report["executors"] == 2
        assert report["partitions"] > 2

    def test_scores_are_those_of_one_process(self, report: dict[str, Any]) -> None:
        """Every carrier gives the bits of this process, also from memory outside of Java's heap."""
        assert report["same"]
        assert report["same_by_map_in_arrow"]
        assert report["same_in_a_function"]
        assert report["packed"]
        assert report["late"]
        assert report["same_of_late_columns"]

    def test_killed_worker_costs_nothing_but_time(self, report: dict[str, Any]) -> None:
        """A Python worker that dies with the model open leaves no row out and none twice."""
        assert report["killed"] == 1
        assert report["same_after_kill"]

    def test_rows_of_a_failed_attempt_are_not_counted(self, report: dict[str, Any]) -> None:
        """Observed metrics are those of the attempts that succeeded."""
        assert report["counted_after_kill"] == _ROWS

    def test_workers_never_import_tensorflow(self, report: dict[str, Any]) -> None:
        """After scoring, a worker has TensorFlow's library mapped and no module of its Python."""
        assert "libtensorflow mapped" in report["modules"]
        assert not any("tensorflow," in one or "." in one for one in report["modules"])

    def test_spark_udf_scores_and_says_what_is_faster(self, report: dict[str, Any]) -> None:
        """MLflow's UDF gives the scores of `score`; each worker's log names the faster call."""
        assert report["spark_udf_difference"] < 1e-5
        assert "come faster from tf2spark.SavedModel(uri).score(df)" in report["executor_logs"]

    def test_sessions_use_the_gpu_that_spark_assigned(self, report: dict[str, Any]) -> None:
        """The options of a worker's session name the task's GPU."""
        from tensorflow.core.protobuf import config_pb2

        (options,) = report["session_options"]
        gpus = config_pb2.ConfigProto.FromString(bytes.fromhex(options)).gpu_options
        assert gpus.visible_device_list == "3"
        assert gpus.allow_growth


class ShippingContract:
    """What holds for the jobs of every kind of session.

    A subclass has a fixture `shipped`, which runs the job; its executors have neither the model's
    folder nor tf2spark.
    """

    @pytest.mark.parametrize("job", ["savedmodel", "package", "by_map_in_arrow"])
    def test_models_are_shipped(self, shipped: dict[str, Any], job: str) -> None:
        """A model whose folder is gone when the job starts scores as in one process."""
        assert shipped[job] is True

    @pytest.mark.parametrize("library", ["op_library_file", "op_library_module"])
    def test_op_libraries_are_loaded(self, shipped: dict[str, Any], library: str) -> None:
        """Executors load a file that is gone on the driver, and a module of their own Python."""
        assert shipped[library] is True

    def test_recommend_ships_model_and_catalog(self, shipped: dict[str, Any]) -> None:
        """Users on executors meet the items' values, which came with the job."""
        assert shipped["recommends"] is True

    def test_a_udf_ships_its_model(self, shipped: dict[str, Any]) -> None:
        """A column function ships its model, too."""
        assert shipped["rows_by_udf"] == _ROWS

    def test_tfrecord_files_are_written_and_read(self, shipped: dict[str, Any]) -> None:
        """By a data source that came with the job."""
        assert shipped["records"] == ["w0", "w1", "w2", "w3", "w4"]

    def test_tf2spark_travels_with_the_job(self, shipped: dict[str, Any]) -> None:
        """Executors that lack tf2spark and attrs get both from the job."""
        (origins,) = shipped["module_paths"]
        assert re.findall(r"tf2spark-[\w.]+-\w{16}\.zip/(\w+)/", origins) == ["tf2spark", "needs"]


def shipped_on(master: str, folder: Path, *settings: str, **environment: str) -> Any:
    """Run the job with executors that have neither the model's folder nor tf2spark.

    One of its models has a custom op.
    """
    write_table(folder)
    words = folder / "with_library"
    words.mkdir()
    write_word_model(words / "words")
    shutil.copy(text_library(), words / "our_ops.so")
    python = str(lean_python(folder / "lean"))
    more = (python, f"words={words}", *settings)
    return run_job(_SHIPPING_JOB, Cluster(master, folder), *more, **environment)


@pytest.mark.cluster
class TestStandaloneShipping(ShippingContract):
    """Spark's own cluster manager."""

    @pytest.fixture(scope="class")
    @classmethod
    def shipped(cls, standalone_master: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
        return shipped_on(standalone_master, tmp_path_factory.mktemp("shipping"))


@pytest.mark.cluster
class TestConnectShipping(ShippingContract):
    """A Spark Connect client, which has no JVM."""

    @pytest.fixture(scope="class")
    @classmethod
    def shipped(cls, tmp_path_factory: pytest.TempPathFactory) -> Any:
        return shipped_on("connect:local[2]", tmp_path_factory.mktemp("shipping"))

    def test_a_stage_is_saved_by_reference(self, shipped: dict[str, Any]) -> None:
        """A pipeline is saved over another, loaded, and scores; the model isn't saved with it."""
        assert shipped["stage"] is True
        assert shipped["copied_stage"] == (
            "a Spark Connect client has no access to the cluster's file systems, so it can't save "
            'the model with the stage; setSaveModel("reference") saves the path and digest of the '
            "model"
        )


@pytest.mark.cluster
class TestYarnShipping(ShippingContract):
    """YARN, in client mode."""

    @pytest.fixture(scope="class")
    @classmethod
    def shipped(cls, tmp_path_factory: pytest.TempPathFactory) -> Any:
        folder = tmp_path_factory.mktemp("shipping")
        with yarn(folder, "file:///") as conf:
            settings = yarn_conf((folder / "staging").as_uri()) | {"spark.yarn.am.cores": "1"}
            arguments = [f"{key}={value}" for key, value in settings.items()]
            return shipped_on("yarn", folder, *arguments, HADOOP_CONF_DIR=str(conf))
