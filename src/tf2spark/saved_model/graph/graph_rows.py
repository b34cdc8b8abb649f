"""What a graph tells about rows: where they may depend on each other, and how large they get.

The graph alone seldom proves that rows depend on each other: a sum over the first axis may be one
of weights. The ops say where to look; whether scores change is found out by running the model.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tf2spark.saved_model.graph.reachable_nodes import NodeContext, WalkedNode
from tf2spark.saved_model.graph.upstream import data_inputs, node_name
from tf2spark.saved_model.protos import GraphMessage, NodeMessage
from tf2spark.saved_model.safety.op_allow_list import is_known

# Each reduces, scans, sorts or reverses along the axes in its second input.
_BY_AXIS = re.compile(
    "Sum|Mean|Prod|Max|Min|All|Any|EuclideanNorm|ArgMax|ArgMin|Cumsum|Cumprod|CumulativeLogsumexp"
    "|ReverseV2"
)
_SCANS = re.compile("Cumsum|Cumprod|CumulativeLogsumexp|ReverseV2")
# Each works along the last axis.
_LAST_AXIS = re.compile("(Log)?Softmax|TopK(V2)?|SparseSoftmax")
_BATCH_NORMS = re.compile("FusedBatchNorm(V2|V3)?")
_WHOLE_BATCH = re.compile(
    "Unique(WithCounts)?(V2)?|RandomShuffle|L2Loss|Roll|(Unsorted)?Segment(Sum|Mean|Max|Min|Prod)"
    "|(Dense)?Bincount|HistogramFixedWidth"
)
_MATMULS = frozenset({"MatMul", "SparseMatMul"})
_WEIGHTS = frozenset({"Const", "ReadVariableOp", "VariableV2", "Identity"})
_INT32 = 3
_INTEGERS = {3: "<i", 9: "<q"}  # DT_INT32 and DT_INT64
_VALUE_BYTES = 4

Nodes = Mapping[str, NodeMessage]


def row_mixing_ops(graph: GraphMessage, walked: Iterable[WalkedNode]) -> tuple[str, ...]:
    """Return the nodes through which rows may depend on each other, as ``Softmax "p"``.

    Args:
        graph: The graph.
        walked: The nodes that run, from `tf2spark.saved_model.graph.reachable_nodes.walk`.
    """
    mixing = _mixing_nodes(graph, walked)
    return tuple(dict.fromkeys(f'{node.op} "{node.name}"' for node, _ in mixing))


def ops_over_the_first_axis(graph: GraphMessage, walked: Iterable[WalkedNode]) -> frozenset[str]:
    """Return the ops that are known to work along the first axis, which is that of the rows."""
    return frozenset(node.op for node, known in _mixing_nodes(graph, walked) if known)


def largest_row_bytes(walked: Iterable[WalkedNode]) -> int:
    """Return how many bytes a row takes of the largest tensor that a run computes.

    An estimate from the shapes that exporters write next to each node: only tensors whose first
    dimension is open count, with four bytes a value, and other open dimensions count as one. Zero
    if the graph has no shapes.

    Args:
        walked: The nodes that run, from `tf2spark.saved_model.graph.reachable_nodes.walk`.
    """
    return _VALUE_BYTES * max((_values_per_row(node) for node, _ in walked), default=0)


def _values_per_row(node: NodeMessage) -> int:
    if "_output_shapes" not in node.attr:
        return 0
    shapes = ([dim.size for dim in s.dim] for s in node.attr["_output_shapes"].list.shape)
    rows = (sizes[1:] for sizes in shapes if sizes and sizes[0] == -1)
    return max((math.prod(size for size in sizes if size >= 0) for sizes in rows), default=0)


def _mixing_nodes(
    graph: GraphMessage, walked: Iterable[WalkedNode]
) -> Iterator[tuple[NodeMessage, bool]]:
    """Yield the nodes that may mix rows, and whether their axis is known to be the first."""
    graph_nodes = {node.name: node for node in graph.node}
    bodies: dict[str, Nodes] = {}
    for node, context in walked:
        nodes = graph_nodes if len(context.path) == 1 else _body(context, bodies)
        is_custom = node.op not in context.functions and not is_known(node.op)
        mixes = None if is_custom else _mixes(node, nodes)
        if mixes is not False:
            yield node, mixes is True


def _body(context: NodeContext, bodies: dict[str, Nodes]) -> Nodes:
    name = context.path[-1]
    if name not in bodies:
        bodies[name] = {node.name: node for node in context.functions[name].node_def}
    return bodies[name]


def _mixes(node: NodeMessage, nodes: Nodes) -> bool | None:
    """Return whether a node works along the first axis; None where that isn't known."""
    inputs = data_inputs(node)
    if _WHOLE_BATCH.fullmatch(node.op):
        return None
    if _BATCH_NORMS.fullmatch(node.op):
        return "is_training" not in node.attr or bool(node.attr["is_training"].b)
    if not inputs:
        return False
    if _LAST_AXIS.fullmatch(node.op):
        rank = _rank(node)
        return None if rank is None else rank < 2
    if _BY_AXIS.fullmatch(node.op) and len(inputs) > 1:
        return _mixes_by_axis(node, nodes)
    if node.op == "Transpose" and len(inputs) > 1:
        order = _integers(inputs[1], nodes)
        return None if order is None or list(order[:1]) != [0] else False
    if node.op in _MATMULS and len(inputs) > 1:
        return False if any(_is_weight(name, nodes) for name in inputs[:2]) else None
    return False


def _mixes_by_axis(node: NodeMessage, nodes: Nodes) -> bool | None:
    # Of int32, it computes shapes: tf.tensordot and many layers multiply dimensions.
    if "T" in node.attr and node.attr["T"].type == _INT32:
        return False
    axes = _integers(data_inputs(node)[1], nodes)
    if axes is None:
        return None
    rank = _input_rank(node, axes)
    if any(axis == 0 or (rank is not None and axis + rank == 0) for axis in axes):
        return True
    return None if rank is None and -1 in axes else False


def _is_weight(name: str, nodes: Nodes) -> bool:
    """Return whether a tensor is a constant or a variable's value, for all the graph tells."""
    visited: set[str] = set()
    while node_name(name) not in visited:
        node = nodes.get(node_name(name))
        if node is None:
            return False
        visited.add(node.name)
        if node.op not in ("Identity", "Cast", "Reshape"):
            return node.op in _WEIGHTS
        inputs = data_inputs(node)
        if not inputs:
            return False
        name = inputs[0]
    return False


def _integers(name: str, nodes: Nodes) -> Sequence[int] | None:
    """Return the values of an integer constant; None where it is computed."""
    node = nodes.get(node_name(name))
    if node is None or node.op != "Const":
        return None
    tensor = node.attr["value"].tensor
    if tensor.tensor_content:
        code = _INTEGERS.get(tensor.dtype)
        if code is None or len(tensor.tensor_content) % struct.calcsize(code):
            return None
        return [value for (value,) in struct.iter_unpack(code, tensor.tensor_content)]
    listed = list(tensor.int_val) or list(tensor.int64_val)
    if listed:
        return listed
    # A value of zero needs no bytes; an empty shape list has none.
    empty = any(dim.size == 0 for dim in tensor.tensor_shape.dim)
    return [] if empty else [0]


def _input_rank(node: NodeMessage, axes: Sequence[int]) -> int | None:
    """Return the rank of what a reduction or a scan is given; None where it isn't known."""
    rank = _rank(node)
    keeps_axes = _SCANS.fullmatch(node.op) or (
        "keep_dims" in node.attr and node.attr["keep_dims"].b
    )
    return rank if rank is None or keeps_axes else rank + len(axes)


def _rank(node: NodeMessage) -> int | None:
    """Return the rank of a node's first output; None where the exporter didn't write it down."""
    if "_output_shapes" not in node.attr:
        return None
    shapes = node.attr["_output_shapes"].list.shape
    return None if not shapes or shapes[0].unknown_rank else len(shapes[0].dim)
