"""Shapes that TensorFlow doesn't infer in the graph, but does where we tell it more.

A lookup table hides the shape of what it finds; behind one, rows of known size would look unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf2spark.graph_split.forms import Const, Dims, Value, dims_of
from tf2spark.graph_split.graph_builder import Builder
from tf2spark.saved_model.protos import SavedModel
from tf2spark.tensorflow_c.graph import graph_tensor_info

# Axes and sizes are read by TensorFlow's inference; weights only by their shape.
_MOST_READ = 64


def inferred(node: Any, inputs: Sequence[Value], place: int) -> Dims | None:
    """Return the whole shape of an output of a node whose inputs have these forms, or None."""
    graph = SavedModel().meta_graphs.add().graph_def
    b = Builder(graph)
    name = b.copy(node, [_stand_in(b, one, n) for n, one in enumerate(inputs)])
    found = graph_tensor_info(graph.SerializeToString(), [f"{name}:{place}"])
    return (found[f"{name}:{place}"] or (None, None))[1]


def _stand_in(b: Builder, value: Value, place: int) -> str:
    if not isinstance(value, Const):
        return b.placeholder(f"input_{place}", value.dtype, (None, *dims_of(value)))
    size = 1
    for one in value.shape:
        size *= _MOST_READ + 1 if one is None else one
    if size <= _MOST_READ and value.dtype.numpy is not None:
        return b.constant(value.value, value.dtype).tensor
    return b.placeholder(f"input_{place}", value.dtype, value.shape)
