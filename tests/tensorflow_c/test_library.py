from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import pty
import socket
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tf2spark.errors import RunError, SetupError
from tf2spark.tensorflow_c import library
from tf2spark.tensorflow_c.failure import INVALID_ARGUMENT, TensorFlowFailure

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_library_is_found_and_loaded_without_importing_tensorflow() -> None:
    """Neither finding the library nor loading it runs TensorFlow's Python."""
    out = python(
        "import sys; from tf2spark.tensorflow_c import library; path = library.library_path();"
        "library.tensorflow(); print(path);"
        "print([m for m in sys.modules if m.split('.')[0] == 'tensorflow'])"
    )
    path, modules = out.splitlines()
    assert Path(path).is_file()
    assert modules == "[]"


def test_import_alone_loads_no_library() -> None:
    """Importing the module leaves TensorFlow's library out of the process."""
    code = (
        "import tf2spark.tensorflow_c.session;"
        "print(any('libtensorflow' in line for line in open('/proc/self/maps')))"
    )
    if not Path("/proc/self/maps").exists():
        pytest.skip("there is no /proc here")
    assert python(code) == "False"


def test_version_is_that_of_the_installed_package() -> None:
    """The library reports the version in the package's metadata."""
    owners = importlib.metadata.packages_distributions()["tensorflow"]
    assert library.version() in {importlib.metadata.version(owner) for owner in owners}


def test_hashlib_works_next_to_the_library() -> None:
    """TensorFlow's own BoringSSL doesn't replace the OpenSSL of Python's hashlib."""
    code = (
        "from tf2spark.tensorflow_c import library; library.tensorflow(); import _hashlib, ssl;"
        "print(_hashlib.openssl_sha256(b'a').hexdigest()[:8], bool(ssl.create_default_context()))"
    )
    assert python(code) == "ca978112 True"


def test_missing_tensorflow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TensorFlow the message names the Python that lacks it and the command to run."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError) as error:
        library.library_path()
    assert str(error.value) == (
        f"TensorFlow is not installed for {sys.executable} on {socket.gethostname()}; every Python "
        "that scores (on Spark: each executor's) needs it: pip install tensorflow-cpu (or "
        "tensorflow)"
    )


def test_tensorflow_without_the_library_says_which_version_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A TensorFlow without the library is named by its folder."""
    spec = ModuleSpec("tensorflow", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(SetupError, match=r"has no libtensorflow_cc.*2\.16 or later: pip install"):
        library.library_path()


def test_broken_library_is_a_setup_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that isn't a library, or one without the functions, is named with the reason."""
    broken = tmp_path / "libtensorflow_cc.so.2"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(library, "library_path", lambda: str(broken))
    with pytest.raises(SetupError, match=r"libtensorflow_cc\.so\.2 can't be loaded: \S"):
        library._load.__wrapped__()
    monkeypatch.setattr(library, "library_path", lambda: ctypes.util.find_library("c"))
    with pytest.raises(SetupError, match=r"TF_Version.*needs TensorFlow 2\.16 or later"):
        library._load.__wrapped__()


@pytest.mark.parametrize("release", ["2.15.1", "2.9.0", "1.15.5"])
def test_old_tensorflow_is_refused_in_one_sentence(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the release, its file, the oldest that works and the command to run."""
    monkeypatch.setattr(library, "_version_of", lambda loaded: release)
    with pytest.raises(SetupError) as error:
        library._load.__wrapped__()
    assert str(error.value) == (
        f"TensorFlow {release} ({library.library_path()}) is too old: tf2spark needs 2.16 or later"
        "; install it: pip install -U tensorflow-cpu (or tensorflow)"
    )


@pytest.mark.parametrize("release", ["2.16.0", "2.16.0-rc1", "2.21.0", "3.0.0", "nightly"])
def test_supported_tensorflow_is_loaded(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 2.16 on, and any release whose number can't be read."""
    monkeypatch.setattr(library, "_version_of", lambda loaded: release)
    library._load.__wrapped__()


def test_terminal_stays_quiet() -> None:
    """On a terminal TensorFlow starts silently, and what is written after that is shown."""
    code = (
        "import os; from tf2spark.tensorflow_c import string_reader; string_reader._joiner();"
        "os.write(2, b'shown')"
    )
    leader, follower = pty.openpty()
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, stderr=follower, check=True)
    os.close(follower)
    assert os.read(leader, 10_000) == b"shown"
    os.close(leader)


def test_log_level_of_the_user_is_kept() -> None:
    """A TF_CPP_MIN_LOG_LEVEL that is already set stays, otherwise it becomes 2."""
    code = (
        "import os; from tf2spark.tensorflow_c import library; library.tensorflow();"
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    assert python(code, TF_CPP_MIN_LOG_LEVEL="0") == "0"
    assert python(code) == "2"


def test_library_is_loaded_once() -> None:
    """Every call returns the same library."""
    assert library.tensorflow() is library.tensorflow()


def test_status_raises_tensorflows_error() -> None:
    """A failing call becomes a TensorFlowFailure with TensorFlow's code and message."""
    lib = library.tensorflow()
    graph = lib.TF_NewGraph()
    description = lib.TF_NewOperation(graph, b"NoSuchOp", b"name")
    with pytest.raises(TensorFlowFailure) as error, library.status() as state:
        lib.TF_FinishOperation(description, state)
    assert error.value.code == INVALID_ARGUMENT
    assert error.value.message == str(error.value) == "Op type not registered 'NoSuchOp'"
    assert isinstance(error.value, RunError)
    lib.TF_DeleteGraph(graph)
