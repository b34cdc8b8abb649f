"""Score tables with TensorFlow SavedModels on Apache Spark."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.platform == "win32":
    # Workers lock files with flock, and map weights that may be deleted while they are mapped.
    raise ImportError(
        "tf2spark runs on Linux and macOS; on Windows, use it in WSL or run the job on a Linux "
        "cluster"
    )

import tf2spark._vendored  # noqa: F401 - first, since the modules below need what it provides
from tf2spark import errors as errors

if TYPE_CHECKING:
    from tf2spark.binding.feeds import assembled, binary, example, literal, output, padded
    from tf2spark.model import SavedModel, compile_model
    from tf2spark.spark.tfrecord.register import register_tfrecord

__all__ = [
    "SavedModel",
    "assembled",
    "binary",
    "compile_model",
    "example",
    "literal",
    "output",
    "padded",
    "register_tfrecord",
]
__version__ = "0.1.0"

_MODULES = {
    "SavedModel": "tf2spark.model",
    "compile_model": "tf2spark.model",
    "register_tfrecord": "tf2spark.spark.tfrecord.register",
}
"""Where names are defined; all others are in `tf2spark.binding.feeds`."""


def __getattr__(name: str) -> Any:
    # Lazy, because executors import this package too, and must not load what only the driver needs
    # to read and bind a model.
    if name in ("ml", "mlflow"):  # modules that users often forget to import
        return import_module(f"tf2spark.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULES.get(name, "tf2spark.binding.feeds"))
    return globals().setdefault(name, getattr(module, name))


def __dir__() -> list[str]:
    # The submodules that happen to be loaded are left out of tab completion: users need only these.
    public_modules = ["errors", *(["testing"] if "testing" in globals() else [])]
    return sorted([*__all__, *public_modules])


def load_ipython_extension(shell: Any) -> None:
    """Run ``%load_ext tf2spark``: short errors and progress of Spark jobs in a notebook."""
    import_module("tf2spark.notebook.extension").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Run ``%unload_ext tf2spark``."""
    import_module("tf2spark.notebook.extension").unload(shell)
