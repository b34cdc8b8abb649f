"""Score tables with TensorFlow SavedModels on Apache Spark."""

from tf2spark.columns import assembled, binary, literal, output, padded
from tf2spark.model import SavedModel

__all__ = ["SavedModel", "assembled", "binary", "literal", "output", "padded"]
__version__ = "0.1.0"
