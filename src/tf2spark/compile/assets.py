"""Paths of asset files: the loader feeds them, so that they must survive as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2

from tf2spark.compile.original import NotCompilable
from tf2spark.compile.weights import constant
from tf2spark.saved_model.upstream import node_name


def protect(graph: Any, assets: Mapping[str, str]) -> None:
    """Hide the paths of assets from constant folding: they become placeholders."""
    names = {node_name(tensor) for tensor in assets}
    for node in graph.node:
        if node.name in names:
            node.CopyFrom(node_def_pb2.NodeDef(name=node.name, op="Placeholder"))
            node.attr["dtype"].type = tf.string.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(tf.TensorShape([]).as_proto())


def pass_variables_by(graph: Any, assets: Mapping[str, str]) -> set[str]:
    """Let what reads a path from a variable read it from the asset; return these variables.

    TF2 keeps the path of an asset in a variable that the init op assigns; frozen, it would be the
    path of the original model on this machine.

    Raises:
        NotCompilable: Such a variable is used in another way.
    """
    names = {node_name(tensor) for tensor in assets}
    holders = {
        node_name(node.input[0]): (node.name, node_name(node.input[1]))
        for node in graph.node
        if node.op == "AssignVariableOp" and node_name(node.input[1]) in names
    }
    for node in graph.node:
        used = [name for name in map(node_name, node.input) if name in holders]
        if not used or node.op == "AssignVariableOp":
            continue
        assign, asset = holders[used[0]]
        if node.op != "ReadVariableOp":
            raise NotCompilable(
                f'{node.op} "{node.name}" uses a variable that holds an asset\'s path'
            )
        controls = [name for name in node.input[1:] if name != f"^{assign}"]
        node.CopyFrom(node_def_pb2.NodeDef(name=node.name, op="Identity", input=[asset, *controls]))
        node.attr["T"].type = tf.string.as_datatype_enum
    return set(holders)


def restore(graph: Any, assets: Mapping[str, str]) -> dict[str, str]:
    """Make constants of the paths again; return those of the assets that are still used."""
    paths = {node_name(tensor): (tensor, path) for tensor, path in assets.items()}
    used = {}
    for node in graph.node:
        if node.name in paths:
            tensor, path = paths[node.name]
            node.CopyFrom(constant(node.name, path.encode()))
            used[tensor] = path
    return used
