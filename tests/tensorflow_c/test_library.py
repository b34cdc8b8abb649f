from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import pty
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tf2spark.errors import RunError, SetupError
from tf2spark.tensorflow_c import library

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
        "import sys; from tf2spark.runtime import capi; path = library.library_path();"
        "capi.library(); print(path);"
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
    """The library says the version that the package's metadata says."""
    owners = importlib.metadata.packages_distributions()["tensorflow"]
    assert library.version() in {importlib.metadata.version(owner) for owner in owners}


def test_hashlib_works_beside_the_library() -> None:
    """TensorFlow's own BoringSSL doesn't take the place of OpenSSL in Python's hashlib."""
    code = (
        "from tf2spark.runtime import capi; library.library(); import _hashlib, ssl;"
        "print(_hashlib.openssl_sha256(b'a').hexdigest()[:8], bool(ssl.create_default_context()))"
    )
    assert python(code) == "ca978112 True"


def test_missing_tensorflow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TensorFlow the message names the Python that lacks it and the command to run."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError) as error:
        library.library_path()
    assert str(error.value) == (
        f"TensorFlow is not installed for {sys.executable}. Every Python that scores (on Spark: "
        "each executor's) needs it: pip install tensorflow-cpu (or tensorflow)"
    )


def test_tensorflow_without_the_library_says_which_version_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A TensorFlow that is too old for the library is named by its folder."""
    spec = ModuleSpec("tensorflow", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(SetupError, match=r"has no libtensorflow_cc.*2\.13 or later: pip install"):
        library.library_path()


def test_broken_library_is_a_setup_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that is no library, or a library without the functions, is named with the reason."""
    broken = tmp_path / "libtensorflow_cc.so.2"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(library, "library_path", lambda: str(broken))
    with pytest.raises(SetupError, match=r"libtensorflow_cc\.so\.2 can't be loaded: \S"):
        library._load.__wrapped__()
    monkeypatch.setattr(library, "library_path", lambda: ctypes.util.find_library("c"))
    with pytest.raises(SetupError, match="TF_Version"):
        library._load.__wrapped__()


def test_terminal_stays_quiet() -> None:
    """On a terminal TensorFlow's start says nothing, and what comes after it is shown."""
    code = (
        "import os; from tf2spark.runtime import capi, strings; strings._joiner();"
        "os.write(2, b'shown')"
    )
    leader, follower = pty.openpty()
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, stderr=follower, check=True)
    os.close(follower)
    assert os.read(leader, 10_000) == b"shown"
    os.close(leader)


def test_log_level_of_the_user_is_kept() -> None:
    """A TF_CPP_MIN_LOG_LEVEL that is set already stays, otherwise it becomes 2."""
    code = (
        "import os; from tf2spark.runtime import capi; library.library();"
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    assert python(code, TF_CPP_MIN_LOG_LEVEL="0") == "0"
    assert python(code) == "2"


def test_library_is_loaded_once() -> None:
    """Every call returns the same library."""
    assert library.library() is library.library()


def test_status_raises_what_tensorflow_answered() -> None:
    """A failing call becomes a TensorFlowFailure with TensorFlow's code and message."""
    lib = library.library()
    graph = lib.TF_NewGraph()
    description = lib.TF_NewOperation(graph, b"NoSuchOp", b"name")
    with pytest.raises(library.TensorFlowFailure) as error, library.status() as state:
        lib.TF_FinishOperation(description, state)
    assert error.value.code == library.INVALID_ARGUMENT
    assert error.value.message == str(error.value) == "Op type not registered 'NoSuchOp'"
    assert isinstance(error.value, RunError)
    lib.TF_DeleteGraph(graph)


@pytest.mark.parametrize(
    ("code", "row_caused"),
    [
        (3, True),
        (11, True),
        (15, True),
        (1, False),
        (5, False),
        (8, False),
        (9, False),
        (13, False),
    ],
)
def test_row_caused_tells_values_from_the_rest(code: int, row_caused: bool) -> None:
    """Only codes that kernels answer to bad values invite to try the rows one by one."""
    assert library.TensorFlowFailure(code, "").row_caused is row_caused


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("plain", "plain"),
        ("", "no message"),
        (
            "indices[0] = -5 is not in [0, 2)\n\t [[{{function_node __inference_g_201}}"
            "{{node user/GatherV2}}]]",
            "indices[0] = -5 is not in [0, 2) (node user/GatherV2)",
        ),
        (
            "2 root error(s) found.\n  (0) INVALID_ARGUMENT: Cut off.\n\t [[{{node a/b}}]]\n\t "
            "[[a/c/_5]]\n  (1) INVALID_ARGUMENT: Cut off.\n\t [[{{node a/b}}]]\n"
            "0 successful operations.\n0 derived errors ignored.",
            "Cut off. (node a/b)",
        ),
        (
            "OOM when allocating\n\t [[{{node m}}]]\nHint: If you want to see a list of allocated "
            "tensors when OOM happens, add report_tensor_allocations_upon_oom to RunOptions.\n",
            "OOM when allocating (node m)",
        ),
        ("assertion failed: [a] [x = ] [[1 2][3 4]]", "assertion failed: [a] [x = ] [[1 2][3 4]]"),
    ],
)
def test_readable_keeps_the_reason_and_the_node(message: str, expected: str) -> None:
    """An error message keeps its reason and the failing node, and loses the rest."""
    assert library.readable(message) == expected
