"""`spark.shipping`: what ships with a job, and what doesn't."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tf2spark.errors import ContractError, ModelError
from tf2spark.package.folder import entries_of
from tf2spark.package.manifest import FILES, FileEntry
from tf2spark.plan.score import ModelRef
from tf2spark.spark.shipping import (
    CACHE_SETTING,
    CACHE_SIZE_SETTING,
    SHARED_SETTING,
    own_zip,
    ship,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "saved_model.pb").write_text(str(tmp_path))
    return folder


class Session:
    """A classic session on a cluster, as far as shipping sees it."""

    def __init__(self, master: str) -> None:
        self.sparkContext = self
        self.conf = self
        self.master = master
        self.pythonExec = sys.executable
        self.applicationId = f"app-{id(self)}"
        self.size = "1g"
        self.shared: str | None = None
        self.yarn_files = ""
        self.files: list[str] = []
        self.py_files: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        settings = {
            CACHE_SETTING: "/cache",
            CACHE_SIZE_SETTING: self.size,
            SHARED_SETTING: self.shared,
            "spark.yarn.dist.files": self.yarn_files,
        }
        return settings.get(key, default)

    def getConf(self) -> Session:
        return self

    def addFile(self, path: str) -> None:
        self.files.append(path)

    def addPyFile(self, path: str) -> None:
        self.py_files.append(path)

    def accumulator(self, value: Any, param: Any) -> None:
        """Count nothing: what workers count is in facts/test_tasks.py."""


def reference(tree: Path) -> ModelRef:
    return ModelRef(str(tree), ("serve",), "d", files=entries_of(tree))


def sent(session: Session, model: ModelRef) -> ModelRef:
    return ship(session, model)  # type: ignore[arg-type]


def test_a_local_master_is_sent_nothing(spark: SparkSession, tree: Path) -> None:
    """Workers on this machine open the model where it is."""
    assert ship(spark, reference(tree)) == reference(tree)


def test_a_model_is_sent_once_a_session(tree: Path) -> None:
    """Every file ships once, named by its content, and so does tf2spark itself."""
    session, model = Session("spark://host:7077"), reference(tree)
    for _ in range(2):
        shipped = sent(session, model)
    assert shipped.storage == "shipped"
    assert (shipped.cache, shipped.cache_bytes) == ("/cache", 1 << 30)
    assert shipped.files == entries_of(tree)
    assert [Path(file).name for file in session.files] == [shipped.files[0].stored]
    assert session.py_files == [str(own_zip())]


def test_a_size_that_is_none_is_refused(tree: Path) -> None:
    """The setting is written as Spark writes sizes."""
    session = Session("yarn")
    session.size = "much"
    with pytest.raises(ContractError, match=r"spark\.tf2spark\.cache\.size=much is not a size"):
        sent(session, reference(tree))


def test_what_is_sent_stays_when_the_model_is_overwritten(tree: Path) -> None:
    """Executors that start late fetch the files that the job began with."""
    session = Session("yarn")
    shipped = sent(session, reference(tree))
    (tree / "saved_model.pb").write_text("another")
    content = Path(session.files[0]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == shipped.files[0].sha256


def test_a_model_that_changed_is_not_sent(tree: Path) -> None:
    """What ships is what was checked: other bytes at the same path are an error on the driver."""
    model = reference(tree)
    (tree / "saved_model.pb").write_text("another")
    with pytest.raises(ModelError, match=r"changed after it was read: saved_model.pb has other"):
        sent(Session("yarn"), model)


def test_no_file_ships_under_a_name_that_spark_acts_upon(tree: Path) -> None:
    """Spark would unpack archives where workers look for modules, and Python import the modules."""
    names = ["x.tar.gz", "x.tgz", "x.tar", "x.zip", "x.jar", "x.egg", "x.whl", "numpy.py", "x.so"]
    (tree / "assets").mkdir()
    for name in names:
        (tree / "assets" / name).write_text(f"{tree} {name}")
    session = Session("yarn")
    shipped = sent(session, reference(tree))
    sent_names = {Path(file).name for file in session.files}
    assert sent_names == {entry.stored for entry in shipped.files}
    endings = {name.rpartition(".")[2] for name in sent_names}
    assert endings == {"pb", "file"}


def test_executors_fetch_a_package_from_its_storage() -> None:
    """The driver sends none of the files that executors can fetch themselves."""
    entry = FileEntry("saved_model.pb", "ab" * 32, 5)
    session = Session("yarn")
    model = ModelRef("hdfs://n/p", ("serve",), "d", files=(entry,), storage="package")
    sent(session, model)
    assert session.files == [f"hdfs://n/p/{FILES}/{entry.stored}"]


def test_yarn_brings_files_that_it_distributes(tree: Path) -> None:
    """Only what ``spark.yarn.dist.files`` doesn't name is sent, and workers look in one place."""
    (tree / "words.txt").write_text(f"{tree} words")
    words, graph = sorted(entries_of(tree), key=lambda entry: entry.path, reverse=True)
    session, model = Session("yarn"), reference(tree)
    session.yarn_files = f"hdfs://n/p/files/{graph.stored}, hdfs://n/other#alias"
    assert sent(session, model).files == model.files
    assert [Path(file).name for file in session.files] == [words.stored]
    elsewhere = Session("spark://host:7077")
    elsewhere.yarn_files = session.yarn_files
    sent(elsewhere, model)
    assert len(elsewhere.files) == 2


@pytest.mark.parametrize(("folder", "is_sent"), [("", False), ("/../other", True)])
def test_a_model_in_a_shared_folder_is_not_sent(tree: Path, folder: str, is_sent: bool) -> None:
    """Executors open it at its path, where they verify it; tf2spark is sent all the same."""
    session = Session("k8s://host")
    session.shared = f"/models, {tree.parent}{folder}"
    shipped = sent(session, reference(tree))
    assert shipped.storage == ("shipped" if is_sent else "folder")
    assert bool(session.files) == is_sent
    assert session.py_files == [str(own_zip())]


def test_a_stream_is_sent_a_model_of_a_shared_folder(tree: Path) -> None:
    """The folder may be overwritten while it runs."""
    session = Session("k8s://host")
    session.shared = str(tree.parent)
    assert ship(session, reference(tree), for_stream=True).storage == "shipped"  # type: ignore[arg-type]


def test_a_remote_package_is_fetched_by_a_local_master_too() -> None:
    """This machine has no copy of the package, but it has tf2spark, which isn't sent."""
    entry = FileEntry("saved_model.pb", "cd" * 32, 5)
    session = Session("local[2]")
    model = ModelRef("s3a://b/p", ("serve",), "d", files=(entry,), storage="package")
    assert sent(session, model).storage == "shipped"
    assert session.files == [f"s3a://b/p/{FILES}/{entry.stored}"]
    assert session.py_files == []


def test_the_zip_is_all_that_a_bare_python_needs() -> None:
    """tf2spark imports from the zip alone, with the attrs that it brings."""
    assert zipfile.ZipFile(own_zip()).testzip() is None
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tf2spark, attrs; print(attrs.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(own_zip())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{own_zip()}/needs/attrs")


def test_the_zip_is_named_by_its_content() -> None:
    """Two processes with the same tf2spark send the same name."""
    code = "from tf2spark.spark.shipping import own_zip; print(own_zip().name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == own_zip().name
