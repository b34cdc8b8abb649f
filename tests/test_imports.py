from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tf2spark

_ROOT = Path(__file__).parent.parent


def test_importing_tf2spark_brings_in_neither_spark_nor_tensorflow() -> None:
    """A process that only imports tf2spark pays for none of the big packages."""
    program = (
        "import sys, tf2spark; "
        "print(sorted({'pyspark', 'tensorflow', 'keras', 'pandas', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_public_names_are_sorted_and_there() -> None:
    """`__all__` is in order, names each thing once, and all of it exists."""
    assert list(tf2spark.__all__) == sorted(set(tf2spark.__all__))
    for name in tf2spark.__all__:
        assert getattr(tf2spark, name).__doc__, name


def test_public_names_are_all_that_a_user_sees() -> None:
    """What dir() shows beyond `__all__` is modules and dunders only."""
    others = set(dir(tf2spark)) - set(tf2spark.__all__)
    kinds = {type(getattr(tf2spark, name)).__name__ for name in others if name[0] != "_"}
    assert kinds <= {"module"}


def test_layers_hold() -> None:
    """No module imports one above it; only spark/ imports PySpark, only the demo TensorFlow."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
