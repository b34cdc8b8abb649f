"""Paths of asset files in a graph: the loader feeds them, so they must survive compilation."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2

from tf2spark.compile.original import NotCompilable
from tf2spark.compile.weights import constant
from tf2spark.saved_model.graph.upstream import node_name
from tf2spark.saved_model.protos import GraphMessage


def hide_paths(graph: GraphMessage, assets: Mapping[str, str]) -> None:
    """Hide the paths of assets from constant folding by turning them into placeholders.

    Once folded into other constants, they could no longer be replaced with the paths on a host.
    """
    names = {node_name(tensor) for tensor in assets}
    for node in graph.node:
        if node.name in names:
            node.CopyFrom(node_def_pb2.NodeDef(name=node.name, op="Placeholder"))
            node.attr["dtype"].type = tf.string.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(tf.TensorShape([]).as_proto())


def bypass_variables(graph: GraphMessage, assets: Mapping[str, str]) -> set[str]:
    """Make nodes that read a path from a variable read the asset instead; return the variables.

    TF2 keeps the path of an asset in a variable that the init op assigns. If it were frozen, it
    would hold the original model's path on this machine.

    Raises:
        NotCompilable: Such a variable is used in some other way.
    """
    names = {node_name(tensor) for tensor in assets}
    holders = {
        node_name(node.input[0]): (node.name, node_name(node.input[1]))
        for node in graph.node
        if node.op == "AssignVariableOp" and node_name(node.input[1]) in names
    }
    for node in graph.node:
        variables = [name for name in map(node_name, node.input) if name in holders]
        if not variables or node.op == "AssignVariableOp":
            continue
        assign, asset = holders[variables[0]]
        if node.op != "ReadVariableOp":
            raise NotCompilable(
                f'{node.op} "{node.name}" uses a variable that contains the path of an asset'
            )
        controls = [name for name in node.input[1:] if name != f"^{assign}"]
        node.CopyFrom(node_def_pb2.NodeDef(name=node.name, op="Identity", input=[asset, *controls]))
        node.attr["T"].type = tf.string.as_datatype_enum
    return set(holders)


def restore_paths(graph: GraphMessage, assets: Mapping[str, str]) -> dict[str, str]:
    """Turn the placeholders of paths into constants again; return the assets still in use."""
    paths = {node_name(tensor): (tensor, path) for tensor, path in assets.items()}
    used = {}
    for node in graph.node:
        if node.name in paths:
            tensor, path = paths[node.name]
            node.CopyFrom(constant(node.name, path.encode()))
            used[tensor] = path
    return used
