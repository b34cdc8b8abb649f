"""Batch normalization after a convolution becomes part of its filter and its bias.

A convolution is linear in its filter, output channel by output channel. So with constants per
channel::

    conv(x, W) * c + d  =  conv(x, W * c) + d
    (conv(x, W) + b) * c + d  =  conv(x, W * c) + (b * c + d)

Batch normalization is such a product and sum: Keras 3 writes it as ``Mul`` and ``AddV2``, others as
``FusedBatchNorm`` with c = gamma / sqrt(variance + epsilon) and d = beta - mean * c. Each of these
reads and writes all of the image once. What is left is a ``BiasAdd`` after a convolution, which
TensorFlow computes together, with the activation that follows.

The scaled filter is rounded once to float32, the product it replaces once for each value, so scores
differ by rounding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from attrs import frozen
from tensorflow.core.framework import node_def_pb2, types_pb2

from tf2spark.compile.rewrites.rewriting import Refusal, Rewriting, attribute, channels_last
from tf2spark.compile.weights import constant
from tf2spark.saved_model.graph.upstream import is_control, node_name, tensor_name
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})
_BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
_EPSILON = 1e-4  # of a batch normalization that doesn't say
Array = npt.NDArray[np.float64]


@frozen
class _Affine:
    """A convolution's output times `scale` plus `offset`, per channel; `last` computes it now."""

    scale: Array
    offset: Array
    last: str


def fold_scales(graph: GraphMessage, fetched: Collection[str]) -> Rewriting:
    """Fold constant scales and offsets after convolutions into their filters and biases.

    Args:
        graph: A frozen graph; it is changed. Nodes that nothing reads any more stay in it.
        fetched: The nodes whose values must stay available.
    """
    nodes = {node.name: node for node in graph.node}
    readers = defaultdict[str, list[NodeMessage]](list)
    for node in graph.node:
        for name in node.input:
            readers[node_name(name)].append(node)
    folded, refused = [], []
    for convolution in [node for node in graph.node if node.op in _CONVOLUTIONS]:
        found = _affine(convolution, nodes, readers, fetched)
        if isinstance(found, str):
            refused.append(Refusal(convolution.name, found))
        else:
            _replace(graph, nodes, convolution, found)
            folded.append(convolution.name)
    return Rewriting(tuple(folded), tuple(refused))


def _affine(
    convolution: NodeMessage,
    nodes: Mapping[str, NodeMessage],
    readers: Mapping[str, Sequence[NodeMessage]],
    fetched: Collection[str],
) -> _Affine | str:
    """Return what is done to a convolution's output, or why its filter can't take that over."""
    if convolution.attr["T"].type != types_pb2.DT_FLOAT:
        return "it doesn't compute in float32"
    if not channels_last(convolution):
        return "its channels don't come last"
    kernel = nodes.get(convolution.input[1])
    if kernel is None or kernel.op != "Const":
        return "its filter is not a constant of the graph"
    shape = [dim.size for dim in kernel.attr["value"].tensor.tensor_shape.dim]
    channels = shape[3] if convolution.op == "Conv2D" else shape[2] * shape[3]
    scale, offset, last, scaled = np.ones(channels), np.zeros(channels), convolution.name, False
    while last not in fetched and len(readers[last]) == 1:
        step = _step(readers[last][0], last, nodes, channels)
        if step is None:
            break
        factor, added = step
        with np.errstate(all="ignore"):
            scale, offset, last = scale * factor, offset * factor + added, readers[last][0].name
        scaled = scaled or bool((factor != 1).any())
    if not scaled:
        return "nothing scales its output by a constant per channel, and nothing else reads it"
    if not np.abs([scale, offset]).max(initial=0) < np.finfo(np.float32).max:
        return "its scale or offset is not finite"
    return _Affine(scale, offset, last)


def _step(
    node: NodeMessage, read: str, nodes: Mapping[str, NodeMessage], channels: int
) -> tuple[Array, Array] | None:
    """Return by what a node multiplies a tensor, and what it adds; None if it does more."""
    if any(map(is_control, node.input)) or node.attr["T"].type != types_pb2.DT_FLOAT:
        return None
    if node.op in _BATCH_NORMS:
        return _batch_norm(node, read, nodes, channels)
    if node.op not in ("BiasAdd", "Add", "AddV2", "Sub", "Mul") or len(node.input) != 2:
        return None
    first, second = node.input
    if node.op in ("Add", "AddV2", "Mul") and tensor_name(second) == f"{read}:0":
        first, second = second, first
    value = _per_channel(nodes.get(second), channels)
    if tensor_name(first) != f"{read}:0" or value is None:
        return None
    if node.op == "BiasAdd" and not channels_last(node):
        return None
    if node.op == "Mul":
        return value, np.zeros(channels)
    return np.ones(channels), -value if node.op == "Sub" else value


def _batch_norm(
    node: NodeMessage, read: str, nodes: Mapping[str, NodeMessage], channels: int
) -> tuple[Array, Array] | None:
    x, *names = node.input
    values = [_per_channel(nodes.get(name), channels) for name in names]
    training, epsilon = attribute(node, "is_training"), attribute(node, "epsilon")
    if training is None or training.b or not channels_last(node):
        return None
    if tensor_name(x) != f"{read}:0" or len(values) != 4:
        return None
    gamma, beta, mean, variance = values
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = gamma / np.sqrt(variance + (_EPSILON if epsilon is None else epsilon.f))
        return factor, beta - mean * factor


def _per_channel(node: NodeMessage | None, channels: int) -> Array | None:
    """Return a constant that has one value, or one per channel; None for others."""
    if node is None or node.op != "Const":
        return None
    dims = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
    if (
        len(dims) > 4
        or any(size != 1 for size in dims[:-1])
        or (dims[-1:] or [1])[0]
        not in (
            1,
            channels,
        )
    ):
        return None
    values = tf.make_ndarray(node.attr["value"].tensor).reshape(-1).astype(np.float64)
    return np.broadcast_to(values, (channels,))


def _replace(
    graph: GraphMessage, nodes: Mapping[str, Any], convolution: NodeMessage, affine: _Affine
) -> None:
    """Give a convolution the scaled filter, and make the last node of the chain its bias."""
    kernel = tf.make_ndarray(nodes[convolution.input[1]].attr["value"].tensor)
    # A depthwise filter has its output channels as [input channels, multipliers].
    dims = kernel.shape[3:] if convolution.op == "Conv2D" else kernel.shape[2:]
    scale = affine.scale.reshape(dims)
    # New nodes, because others may read the old filter.
    scaled = constant(f"{affine.last}/tf2spark_filter", (kernel * scale).astype(np.float32))
    offset = constant(f"{affine.last}/tf2spark_bias", affine.offset.astype(np.float32))
    graph.node.extend([scaled, offset])
    convolution.input[1] = scaled.name
    bias = node_def_pb2.NodeDef(name=affine.last, op="BiasAdd")
    bias.input.extend([convolution.name, offset.name])
    bias.attr["T"].type = types_pb2.DT_FLOAT
    nodes[affine.last].CopyFrom(bias)
