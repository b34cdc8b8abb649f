"""What `import tf2spark` loads and shows, and which module may import which."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tf2spark

_ROOT = Path(__file__).parent.parent


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new process that has imported nothing yet."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def printed_by(program: str) -> str:
    finished = run_python(program)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_importing_tf2spark_imports_neither_spark_nor_tensorflow() -> None:
    """A process that only imports tf2spark doesn't pay for the big packages."""
    program = (
        "import sys, tf2spark; "
        "print(sorted({'pyspark', 'tensorflow', 'keras', 'pandas', 'rich'} & set(sys.modules)))"
    )
    assert printed_by(program) == "[]"


def test_importing_tf2spark_imports_nothing_of_the_driver() -> None:
    """Executors import tf2spark too: only its errors are loaded, and what these need."""
    program = (
        "import sys, tf2spark; "
        "print(sorted(name for name in sys.modules if name.startswith('tf2spark')))"
    )
    names = ["tf2spark", "tf2spark._vendored", "tf2spark.errors", "tf2spark.shown_text"]
    assert printed_by(program) == str(names)


def test_errors_are_there_after_import_tf2spark() -> None:
    """Users write ``except tf2spark.errors.RowError`` without another import."""
    assert printed_by("import tf2spark; print(tf2spark.errors.RowError.__name__)") == "RowError"


@pytest.mark.parametrize("name", tf2spark.__all__)
def test_public_names_are_imported_when_they_are_used(name: str) -> None:
    """Each name of `__all__` is an attribute and can be imported, in a process of its own."""
    program = f"import tf2spark; one = tf2spark.{name}; from tf2spark import {name} as two; "
    assert printed_by(program + f"print(one is two, '{name}' in vars(tf2spark))") == "True True"


def test_modules_for_other_tools_are_there_after_import_tf2spark() -> None:
    """`tf2spark.ml` and `tf2spark.mlflow` are imported when they are used."""
    program = "import tf2spark; print(tf2spark.ml.__name__, tf2spark.mlflow.__name__)"
    assert printed_by(program) == "tf2spark.ml tf2spark.mlflow"


def test_public_names_need_no_spark() -> None:
    """Whoever scores pandas tables alone has none; only what takes a session needs it."""
    program = "import sys; sys.modules['pyspark'] = None; from tf2spark import *; print('ok')"
    assert printed_by(program) == "ok"


def test_public_names_are_sorted_and_documented() -> None:
    """`__all__` is sorted, has each name once, and each has a docstring."""
    assert list(tf2spark.__all__) == sorted(set(tf2spark.__all__))
    for name in tf2spark.__all__:
        assert getattr(tf2spark, name).__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A typo fails as in any module."""
    with pytest.raises(AttributeError, match="module 'tf2spark' has no attribute 'SavedModle'"):
        tf2spark.SavedModle  # noqa: B018


def test_tab_completion_shows_only_what_users_need() -> None:
    """`dir` has the names of `__all__` and `errors`; `testing` only where it was imported."""
    shown = sorted([*tf2spark.__all__, "errors"])
    program = "import tf2spark, tf2spark.model; print(dir(tf2spark)); "
    more = "import tf2spark.testing; print(dir(tf2spark))"
    assert printed_by(program + more).splitlines() == [str(shown), str([*shown, "testing"])]


def test_windows_is_refused_in_one_sentence() -> None:
    """On Windows the import says where tf2spark runs, instead of missing some module."""
    finished = run_python("import sys; sys.platform = 'win32'; import tf2spark")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == (
        "ImportError: tf2spark runs on Linux and macOS; on Windows, use it in WSL or run the job "
        "on a Linux cluster"
    )


def test_import_contracts_hold() -> None:
    """No module imports one of a higher layer; few import PySpark or TensorFlow."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    finished = subprocess.run(
        command,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
