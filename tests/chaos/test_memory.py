"""The least memory that is documented is enough, and less is refused before a job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from cases.models.saving import save_function
from chaos.figures import Figures, record
from chaos.large_models import write_large_model
from chaos.sessions import run_program
from services.yarn import spark_conf, yarn
from tf2spark.spark.facts.containers import OVERHEAD
from tf2spark.spark.memory_limit import _LEAST_MIB

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
_WIDE_ENTRIES = 75_000_000  # of four bytes: 300 MB
_ROWS, _WIDE_ROWS = 2_000, 3
_LARGE_MIB = 512


def write_sums(path: Path) -> Path:
    """Write a model that adds up rows of any width."""
    spec = tf.TensorSpec([None, None], tf.float32, name="x")
    save_function(path, lambda x: {"sum": tf.reduce_sum(x, axis=1)}, spec)
    return path


def write_table(path: Path, rows: int, entries: int) -> Path:
    """Write rows whose entries are all their id."""
    for row in range(rows):
        values = pa.FixedSizeListArray.from_arrays(
            pa.repeat(pa.scalar(float(row), pa.float32()), entries), entries
        ).cast(pa.list_(pa.float32()))
        table = pa.table({"id": pa.array([row]), "x": values})
        if row == 0:
            writer = pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()
    return path


def run(
    master: str,
    model: Path,
    table: Path,
    settings: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    listed = [f"{key}={value}" for key, value in settings.items()]
    arguments = [master, str(model), str(table), *listed]
    report: dict[str, Any] = run_program(
        "memory_job.py", *arguments, seconds=400, environment=environment
    )
    return report


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sums(tmp_path_factory.mktemp("model") / "sums")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 16 entries."""
    rows = pa.table({"id": range(_ROWS), "x": [[float(row)] * 16 for row in range(_ROWS)]})
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    pq.write_table(rows.set_column(1, "x", rows["x"].cast(pa.list_(pa.float32()))), path)
    return path


@pytest.fixture(scope="module")
def notes() -> dict[str, str]:
    """What the tests have measured, by job."""
    return {}


def test_an_address_space_that_is_documented_is_enough(
    model: Path, table: Path, notes: dict[str, str]
) -> None:
    """Two gibibytes (RLIMIT_AS); less than TensorFlow reserves is refused, and no job runs."""
    limit = "spark.executor.pyspark.memory"
    enough = run("local-cluster[1,1,3000]", model, table, {limit: "2g"})
    assert enough["scores"]["7"] == 7 * 16
    assert len(enough["scores"]) == _ROWS
    less = run("local-cluster[1,1,3000]", model, table, {limit: "1600m"})
    assert less["jobs"] == 0
    assert f"{limit}=1600m limits a worker's address space to 1,600 MiB" in less["error"]
    assert "TensorFlow needs 1,640 MiB" in less["error"]
    notes["address space"] = f"refused: {limit}=1600m"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """YARN, which watches memory: the settings of its jobs, and the folder of its configuration."""
    folder = tmp_path_factory.mktemp("yarn")
    with yarn(folder, "file:///", watches_memory=True) as conf:
        yield spark_conf((folder / "staging").as_uri()), str(conf)


def test_yarn_with_its_checks_lets_the_documented_memory_run(
    model: Path, table: Path, cluster: tuple[dict[str, str], str], notes: dict[str, str]
) -> None:
    """An overhead of 1 GiB, which YARN watches."""
    settings, conf = cluster
    assert settings["spark.executor.memoryOverhead"] == "1g"
    seen = run("yarn", model, table, settings, {"HADOOP_CONF_DIR": conf})
    assert len(seen["scores"]) == _ROWS
    assert 0 < seen["peak_bytes"] < 1 << 30
    # What is refused is held against less than both have had.
    assert seen["peak_bytes"] + seen["jvm_bytes"] > _LEAST_MIB["YARN"] << 20
    notes["yarn"] = f"on YARN {seen['peak_bytes'] / 2**20:.0f} MiB in the Python worker"


def test_an_overhead_in_which_a_model_does_not_fit_is_refused(
    table: Path, tmp_path: Path, cluster: tuple[dict[str, str], str], notes: dict[str, str]
) -> None:
    """No job runs; YARN would end the executor; what the message and the manual name is enough."""
    settings, conf = cluster
    large, overhead = write_large_model(tmp_path / "large", _LARGE_MIB, "x"), OVERHEAD
    low = settings | {"spark.executor.memory": "512m", overhead: "100m"}
    environment = {"HADOOP_CONF_DIR": conf}
    refused = run("yarn", large, table, low, environment)
    assert refused["jobs"] == 0
    assert "YARN ends an executor that uses more than 768 MiB" in refused["error"]
    named = re.search(rf"set {overhead}=(\d+)m or more", refused["error"])
    assert named is not None
    unchecked = low | {"spark.tf2spark.memoryCheck": "false", "spark.task.maxFailures": "1"}
    ended = run("yarn", large, table, unchecked | {"seconds": "60"}, environment)
    assert "physical memory" in ended["error"]
    enough = run("yarn", large, table, settings | {overhead: f"{named[1]}m"}, environment)
    assert len(enough["scores"]) == _ROWS
    assert "error" not in enough
    notes["overhead"] = f"{overhead}=100m for a model of {_LARGE_MIB} MiB"


def test_wide_rows(model: Path, tmp_path: Path, notes: dict[str, str]) -> None:
    """Rows of 300 MB, which a worker reads one after the other."""
    wide = write_table(tmp_path / "wide.parquet", _WIDE_ROWS, _WIDE_ENTRIES)
    seen = run("local[1]", model, wide, {"spark.driver.memory": "1g"})
    expected = {str(row): pytest.approx(row * _WIDE_ENTRIES, rel=1e-3) for row in range(_WIDE_ROWS)}
    assert seen["scores"] == expected
    gibibytes = seen["peak_bytes"] / 2**30
    assert gibibytes > 0.3
    notes["wide rows"] = f"with rows of 300 MB {gibibytes:.1f} GiB"


def test_figures(notes: dict[str, str]) -> None:
    """They go into docs/reliability.md."""
    assert len(notes) == 4
    record("memory", Figures(7, 3, 3 * _ROWS + _WIDE_ROWS, note=", ".join(notes.values())))
