"""Score tables with TensorFlow SavedModels on Apache Spark."""

from typing import TYPE_CHECKING, Any

import tf2spark.shipped_needs  # noqa: F401 - first: what follows needs it
from tf2spark.columns import assembled, binary, literal, output, padded

if TYPE_CHECKING:
    from tf2spark.model import SavedModel

__all__ = ["SavedModel", "assembled", "binary", "literal", "output", "padded"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # A worker imports this package too, and needs nothing of what reading a model takes.
    if name == "SavedModel":
        from tf2spark.model import SavedModel

        globals()[name] = SavedModel
        return SavedModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING"})
