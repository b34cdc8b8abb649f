"""Shapes that TensorFlow can infer only with what we know beyond the graph.

The op of a lookup table doesn't declare the shape of its result, so downstream of one, rows of
known size would look unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tf2spark.dtypes import Dims
from tf2spark.graph_split.forms import Const, Value, dims_of
from tf2spark.graph_split.graph_builder import GraphBuilder
from tf2spark.saved_model.protos import NodeMessage, SavedModel
from tf2spark.tensorflow_c.graph import graph_tensor_info

# Shape inference reads the values of axes and sizes, which are small; of weights, only the shape.
_MAX_VALUES_READ = 64


def infer_shape(node: NodeMessage, inputs: Sequence[Value], output: int) -> Dims | None:
    """Return the whole shape of an output of a node whose inputs have these forms, or None."""
    graph = SavedModel().meta_graphs.add().graph_def
    b = GraphBuilder(graph)
    stand_ins = [_stand_in(b, value, index) for index, value in enumerate(inputs)]
    name = f"{b.copy_node(node, stand_ins)}:{output}"
    info = graph_tensor_info(graph.SerializeToString(), [name])[name]
    return None if info is None else info[1]


def _stand_in(b: GraphBuilder, value: Value, index: int) -> str:
    if not isinstance(value, Const):
        return b.placeholder(f"input_{index}", value.dtype, (None, *dims_of(value)))
    count = prod(_MAX_VALUES_READ + 1 if size is None else size for size in value.shape)
    if count <= _MAX_VALUES_READ and value.dtype.numpy is not None:
        return b.constant(value.value, value.dtype).tensor
    return b.placeholder(f"input_{index}", value.dtype, value.shape)
