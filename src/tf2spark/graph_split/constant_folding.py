"""Folds nodes that only we know to be constant, by having TensorFlow run them.

TensorFlow folded the graph's constants when it was compiled. More become constant here, because
the sizes of rows are known from the tables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tf2spark.conversion.rows import Array
from tf2spark.graph_split.forms import Const
from tf2spark.graph_split.graph_builder import GraphBuilder
from tf2spark.package.staging import staging_folder
from tf2spark.saved_model.protos import NodeMessage, SavedModel
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.tensor import Tensor

_TAG = "fold"


def run_on_constants(node: NodeMessage, inputs: Sequence[Const], output_count: int) -> list[Tensor]:
    """Run one node on constants and return its outputs."""
    # TensorFlow's C API runs a SavedModel, so the node becomes the only op of one.
    message = SavedModel(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append(_TAG)
    b = GraphBuilder(meta_graph.graph_def)
    tensors = [b.constant(value.value, value.dtype).tensor for value in inputs]
    name = b.copy_node(node, tensors)
    fetches = [f"{name}:{index}" for index in range(output_count)]
    with tempfile.TemporaryDirectory(prefix="fold-", dir=staging_folder()) as folder:
        (Path(folder) / "saved_model.pb").write_bytes(message.SerializeToString())
        session = open_session(folder, [_TAG], threads=1)
        try:
            outputs = session.prepare([], fetches)([])
        finally:
            session.close()
    return [_numeric(output) for output in outputs]


def _numeric(output: object) -> Tensor:
    assert isinstance(output, Tensor), output
    return output


def to_array(tensor: Tensor) -> Array:
    return tensor.data.reshape(tensor.shape)
