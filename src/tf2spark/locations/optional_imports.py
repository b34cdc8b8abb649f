"""What isn't installed everywhere: PySpark, and the TensorFlow that compiles."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tf2spark.errors import SetupError


def need_pyspark() -> None:
    """Check that PySpark can be imported.

    Raises:
        SetupError: It can't.
    """
    from tf2spark.spark.session import need_pyspark as need

    need()


def compiler_module(name: str = "compiler") -> Any:
    """Import a module of `tf2spark.compile`, which needs TensorFlow's Python package.

    Raises:
        SetupError: It isn't installed.
    """
    try:
        return import_module(f"tf2spark.compile.{name}")
    except ImportError as error:
        if not (error.name or "").startswith("tensorflow"):
            raise
        raise SetupError(
            f"TensorFlow can't be imported ({error}), and compiling needs its Python package",
            "pip install tensorflow-cpu (or tensorflow); scoring a package works without it",
        ) from None
