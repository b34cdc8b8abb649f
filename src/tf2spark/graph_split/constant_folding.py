"""Constants that only our own knowledge makes constant, computed by TensorFlow itself."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf2spark.graph_split.forms import Array, Const
from tf2spark.graph_split.graph_builder import Builder
from tf2spark.saved_model.protos import SavedModel
from tf2spark.tensorflow_c.session import open_session
from tf2spark.tensorflow_c.tensor import Tensor

_TAG = "fold"


def folded(node: Any, inputs: Sequence[Const], outputs: int) -> list[Tensor]:
    """Run one node on constants."""
    message = SavedModel(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append(_TAG)
    graph = Builder(meta_graph.graph_def)
    tensors = [graph.constant(one.value, one.dtype).tensor for one in inputs]
    name = graph.copy(node, tensors)
    with tempfile.TemporaryDirectory(prefix="tf2spark-fold-") as folder:
        (Path(folder) / "saved_model.pb").write_bytes(message.SerializeToString())
        session = open_session(folder, [_TAG], threads=1)
        try:
            found = session.prepare([], [f"{name}:{place}" for place in range(outputs)])([])
        finally:
            session.close()
    assert all(isinstance(one, Tensor) for one in found)
    return found  # type: ignore[return-value]


def as_array(tensor: Tensor) -> Array:
    return tensor.data.reshape(tensor.shape)
