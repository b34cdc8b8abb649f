"""A serialised ``tf.Example`` that has all the features which a model parses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

_OPS = frozenset({"ParseExampleV2", "ParseExample"})
_MOST_VALUES = 1000


def example_of(graph_def: Any) -> bytes | None:
    """Return an Example with every feature that the graph parses; None where it parses none."""
    features: dict[str, Any] = {}
    for nodes in (graph_def.node, *(each.node_def for each in graph_def.library.function)):
        by_name = {node.name: node for node in nodes}
        for node in nodes:
            if node.op in _OPS:
                features |= dict(_features(node, by_name))
    if not features:
        return None
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())


def _features(node: Any, nodes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the features that one op parses. Source: ``parsing_ops.cc``."""
    inputs = [name for name in node.input if not name.startswith("^")]
    if node.op == "ParseExampleV2":
        dense, sparse = _keys(inputs[3], nodes), _keys(inputs[2], nodes)
        ragged = _keys(inputs[4], nodes)
    else:
        sparse_count = node.attr["Nsparse"].i
        sparse = [one for name in inputs[2 : 2 + sparse_count] for one in _keys(name, nodes)]
        dense_count = node.attr["Ndense"].i
        ends = 2 + sparse_count
        dense = [one for name in inputs[ends : ends + dense_count] for one in _keys(name, nodes)]
        ragged = []
    shapes = [shape.dim for shape in node.attr["dense_shapes"].list.shape]
    for key, kind, dims in zip(dense, node.attr["Tdense"].list.type, shapes, strict=False):
        yield key, _feature(kind, math.prod(max(dim.size, 1) for dim in dims))
    for key, kind in zip(sparse, node.attr["sparse_types"].list.type, strict=False):
        yield key, _feature(kind, 1)
    for key, kind in zip(ragged, node.attr["ragged_value_types"].list.type, strict=False):
        yield key, _feature(kind, 1)


def _keys(name: str, nodes: dict[str, Any]) -> list[str]:
    """Return the keys that a constant holds; none where they are computed."""
    node = nodes.get(name.partition(":")[0])
    if node is None or node.op != "Const":
        return []
    values = tf.make_ndarray(node.attr["value"].tensor).reshape(-1)
    return [value.decode() for value in values.tolist()]


def _feature(kind: int, count: int) -> Any:
    count = min(count, _MOST_VALUES)
    if kind == tf.string.as_datatype_enum:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"] * count))
    if kind == tf.int64.as_datatype_enum:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[1] * count))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[0.5] * count))
