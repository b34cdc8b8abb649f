"""Score tables with TensorFlow SavedModels on Apache Spark."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import tf2spark._vendored  # noqa: F401 - first: what follows needs it

if TYPE_CHECKING:
    from tf2spark.binding.feeds import assembled, binary, literal, output, padded
    from tf2spark.model import SavedModel

__all__ = ["SavedModel", "assembled", "binary", "literal", "output", "padded"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Executors import this package too, and need nothing of what reading and binding a model takes.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module("tf2spark.model" if name == "SavedModel" else "tf2spark.binding.feeds")
    return globals().setdefault(name, getattr(home, name))


def __dir__() -> list[str]:
    return list(__all__)
