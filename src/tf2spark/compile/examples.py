"""A serialized ``tf.Example`` with all the features that a model parses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tf2spark.saved_model.protos import GraphMessage, NodeMessage
from tf2spark.saved_model.upstream import is_control

_PARSING_OPS = frozenset({"ParseExampleV2", "ParseExample"})
_MAX_VALUES = 1000


def make_example(graph_def: GraphMessage) -> bytes | None:
    """Return an Example with every feature that the graph parses; None if it parses none."""
    features: dict[str, Any] = {}
    bodies = (function.node_def for function in graph_def.library.function)
    for nodes in (graph_def.node, *bodies):
        by_name = {node.name: node for node in nodes}
        for node in nodes:
            if node.op in _PARSING_OPS:
                features |= dict(_features(node, by_name))
    if not features:
        return None
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())


def _features(node: NodeMessage, nodes: dict[str, NodeMessage]) -> Iterator[tuple[str, Any]]:
    """Yield the features that an op parses, by key. Its inputs are those of ``parsing_ops.cc``."""
    inputs = [name for name in node.input if not is_control(name)]
    if node.op == "ParseExampleV2":
        dense, sparse = _keys(inputs[3], nodes), _keys(inputs[2], nodes)
        ragged = _keys(inputs[4], nodes)
    else:
        sparse_count = node.attr["Nsparse"].i
        sparse_end = 2 + sparse_count
        dense_end = sparse_end + node.attr["Ndense"].i
        sparse = [key for name in inputs[2:sparse_end] for key in _keys(name, nodes)]
        dense = [key for name in inputs[sparse_end:dense_end] for key in _keys(name, nodes)]
        ragged = []
    shapes = [shape.dim for shape in node.attr["dense_shapes"].list.shape]
    for key, dtype, dims in zip(dense, node.attr["Tdense"].list.type, shapes, strict=False):
        yield key, _feature(dtype, math.prod(max(dim.size, 1) for dim in dims))
    for key, dtype in zip(sparse, node.attr["sparse_types"].list.type, strict=False):
        yield key, _feature(dtype, 1)
    for key, dtype in zip(ragged, node.attr["ragged_value_types"].list.type, strict=False):
        yield key, _feature(dtype, 1)


def _keys(name: str, nodes: dict[str, NodeMessage]) -> list[str]:
    """Return the keys in a constant; none where they are computed."""
    node = nodes.get(name.partition(":")[0])
    if node is None or node.op != "Const":
        return []
    values = tf.make_ndarray(node.attr["value"].tensor).reshape(-1)
    return [value.decode() for value in values.tolist()]


def _feature(dtype: int, count: int) -> Any:
    count = min(count, _MAX_VALUES)
    if dtype == tf.string.as_datatype_enum:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"] * count))
    if dtype == tf.int64.as_datatype_enum:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[1] * count))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[0.5] * count))
