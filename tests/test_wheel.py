"""The wheel that `make wheel` builds, installed where nothing of the checkout can be imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import frozen

import tf2spark
from cases.models import case, path_of
from services.lean_python import lean_python

pytest.importorskip("hatchling")

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "src"
_SHIPPING_JOB = _ROOT / "tests" / "services" / "shipping_job.py"
_ROWS = 1_000


@frozen
class Installed:
    """A virtual environment with the wheel in it, and a folder outside of the checkout."""

    bin: Path
    folder: Path

    def run(self, *command: str | Path) -> str:
        """Run a program of the environment and return what it printed."""
        return run([self.bin / command[0], *command[1:]], self.folder)


def run(command: list[str | Path], folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    python = str(Path(command[0]).with_name("python"))
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment | {"PYSPARK_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def build(root: Path, target: Path, kind: str) -> Path:
    """Build the project in a folder as a "wheel" or an "sdist"."""
    run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target], root)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(_ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel into an environment that shares only the packages that it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", environment], folder)
    # A folder named in a .pth file is searched for modules, but its own .pth files are not read.
    # One of them is what makes the checkout importable here.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = environment / "lib" / version / "site-packages"
    (packages / "dependencies.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(environment), "install", "-q"]
    run([*pip, "--no-deps", "--no-index", wheel], folder)
    return Installed(environment / "bin", folder)


@pytest.fixture(scope="module")
def table(installed: Installed) -> Path:
    """Rows for the model `mlp_128`, as Parquet."""
    path = installed.folder / "table.parquet"
    pq.write_table(case("mlp_128").table(_ROWS).append_column("id", pa.array(range(_ROWS))), path)
    return path


def test_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    """Modules, the list of ops and the mark of a typed package are in it, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in (_SOURCE / "tf2spark").rglob("*") if path.is_file())
    expected = {str(path.relative_to(_SOURCE)) for path in files if path.suffix != ".pyc"}
    assert names == expected
    assert {"tf2spark/py.typed", "tf2spark/saved_model/safety/safe_ops.txt"} <= names


def test_wheel_of_the_sdist_is_that_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """The sdist has all that a build needs, and the build gives the same bytes."""
    sdist = build(_ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "wheel", "wheel")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_modules_come_from_the_wheel(installed: Installed) -> None:
    """The environment imports what was installed, and knows its version."""
    program = "import tf2spark, importlib.metadata as m; print(tf2spark.__file__)"
    file, version = installed.run(
        "python", "-c", f"{program}; print(m.version('tf2spark'))"
    ).splitlines()
    assert Path(file).is_relative_to(installed.folder)
    assert version == tf2spark.__version__


def test_command_says_what_it_can_do(installed: Installed) -> None:
    """`tf2spark --help` and `tf2spark inspect` need no Spark."""
    assert "recommend" in installed.run("tf2spark", "--help")
    assert "features" in installed.run("tf2spark", "inspect", path_of(case("mlp_128")))


@pytest.mark.spark
def test_doctor_finds_nothing_missing(installed: Installed) -> None:
    """`tf2spark doctor` runs a Spark job with the environment's own Python."""
    report = installed.run("tf2spark", "doctor", "--master", "local[1]")
    assert report.endswith("ready to score\n")


@pytest.mark.spark
def test_command_scores_a_table(installed: Installed, table: Path) -> None:
    """`tf2spark score` writes the scores that the same call gives in this process."""
    model, output = path_of(case("mlp_128")), installed.folder / "scored"
    options = ["--master", "local[1]", "--keep", "id"]
    installed.run("tf2spark", "score", model, "--input", table, "--output", output, *options)
    here = tf2spark.SavedModel(model).score(pq.read_table(table), keep=["id"])
    scored = pq.read_table(output).sort_by("id")
    assert scored["id"] == here["id"]
    np.testing.assert_allclose(scored["output_0"], here["output_0"], rtol=1e-5)


@pytest.mark.cluster
def test_workers_use_what_the_wheel_ships(installed: Installed, table: Path) -> None:
    """Executors without tf2spark score and recommend with the zip that the wheel's code makes."""
    python = lean_python(installed.folder / "lean")
    model = path_of(case("mlp_128"))
    command = [_SHIPPING_JOB, Path("local-cluster[1,1,900]"), model, table, python]
    report = json.loads(installed.run("python", *command).splitlines()[-1])
    (origins,) = report.pop("module_paths")
    assert re.findall(r"tf2spark-[\w.]+-\w{16}\.zip/(\w+)/", origins) == ["tf2spark", "needs"]
    assert report.pop("rows_by_udf") == _ROWS
    assert report.pop("records") == ["w0", "w1", "w2", "w3", "w4"]
    report.pop("copied_stage")
    assert set(report.values()) == {True}
