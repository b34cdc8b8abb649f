"""Where a string in a graph comes from: the loader, which feeds paths of the model's own files, or
anywhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, TypeAlias

from tf2spark.saved_model.graph.upstream import input_at, is_control, node_name, tensor_name
from tf2spark.saved_model.protos import FunctionMessage, NodeMessage

Origin = Literal["", "asset", "checkpoint"]
"""What the loader feeds to a tensor: the path of an asset, of the checkpoint, or neither ("")."""

FindOrigin = Callable[[str], Origin]
Nodes: TypeAlias = Mapping[str, NodeMessage]


class Origins:
    """Finds the origins of tensors in a graph and in the bodies of its functions."""

    def __init__(self, nodes: Nodes, functions: Mapping[str, FunctionMessage]) -> None:
        self._nodes = nodes
        self._functions = functions

    def in_graph(self, fed: Mapping[str, Origin]) -> FindOrigin:
        """Return a function that finds the origin of a tensor of the graph.

        Args:
            fed: The fed tensors, each with the origin of its value.
        """

        def step(node: NodeMessage) -> str | None:
            if node.op == "Identity":
                return input_at(node, 0)
            if node.op == "ReadVariableOp":
                return self._sole_values.get(node_name(input_at(node, 0)))
            return None

        return _follow(self._nodes, fed, tensor_name, step)

    def in_function(self, function: FunctionMessage, arguments: Sequence[Origin]) -> FindOrigin:
        """Return a function that finds the origin of a tensor in the body of a function.

        Args:
            function: The function.
            arguments: The origins of its arguments.
        """
        nodes = {node.name: node for node in function.node_def}
        fed: dict[str, Origin] = {
            argument.name: origin
            for argument, origin in zip(function.signature.input_arg, arguments, strict=True)
        }

        def step(node: NodeMessage) -> str | None:
            return input_at(node, 0) if node.op == "Identity" else None

        return _follow(nodes, fed, str, step)

    @cached_property
    def _sole_values(self) -> dict[str, str]:
        return _sole_values(self._nodes, self._functions.values())


def _follow(
    nodes: Nodes,
    fed: Mapping[str, Origin],
    key: Callable[[str], str],
    step: Callable[[NodeMessage], str | None],
) -> FindOrigin:
    """Return a function that follows a tensor upstream to one that is fed.

    Args:
        nodes: The nodes by name.
        fed: The fed tensors, each with the origin of its value.
        key: Returns what a tensor is called in `fed`.
        step: Returns the input that a node passes on; None where it computes something.
    """
    # Many tensors may share a long way, which is followed once.
    known: dict[str, Origin] = {}

    def origin(name: str) -> Origin:
        way: list[str] = []
        result: Origin = ""
        while key(name) not in fed:
            node = nodes.get(node_name(name))
            if node is None:
                break
            if node.name in known:
                result = known[node.name]
                break
            # For now, and for a cycle, which comes back to it.
            known[node.name] = ""
            way.append(node.name)
            passed_on = step(node)
            if passed_on is None:
                break
            name = passed_on
        else:
            result = fed[key(name)]
        known.update(dict.fromkeys(way, result))
        return result

    return origin


def _sole_values(nodes: Nodes, functions: Iterable[FunctionMessage]) -> dict[str, str]:
    """Return, by variable, the only tensor ever assigned to it; other variables are left out.

    TF2 keeps the path of an asset in a variable, which the init op fills. Such a variable is
    assigned once, read, and checked for initialization, but never passed to a function. If it
    were used in any other way, or if another node shared its storage, it could hold any path.
    """
    handles = [node for node in nodes.values() if node.op == "VarHandleOp"]
    in_bodies = [
        node for function in functions for node in function.node_def if node.op == "VarHandleOp"
    ]
    # Handles with the same shared_name are the same variable. A name that the caller of a function
    # sets, or that TensorFlow makes up because there is none, can be that of any variable.
    if any(_has_open_name(node) for node in in_bodies):
        return {}
    owners = Counter(_shared_name(node) for node in (*handles, *in_bodies))
    values: dict[str, set[str]] = {
        node.name: set()
        for node in handles
        if owners[_shared_name(node)] == 1 and not _has_open_name(node)
    }
    made_up = {node.name.encode() for node in handles if _has_open_name(node)}
    values = {
        name: tensors
        for name, tensors in values.items()
        if _shared_name(nodes[name]) not in made_up
    }
    other_use = {"", " "}  # two values, so the variable is left out
    for node in nodes.values():
        for position, name in enumerate(node.input):
            if node_name(name) not in values or is_control(name):
                continue
            if node.op == "AssignVariableOp" and position == 0:
                values[node_name(name)].add(input_at(node, 1))
            elif node.op not in ("ReadVariableOp", "VarIsInitializedOp"):
                values[node_name(name)] |= other_use
    return {name: tensors.pop() for name, tensors in values.items() if len(tensors) == 1}


def _shared_name(node: NodeMessage) -> bytes:
    return bytes(node.attr["shared_name"].s) if "shared_name" in node.attr else b""


def _has_open_name(node: NodeMessage) -> bool:
    """Return whether a handle's name isn't known: it has none, or a caller sets it."""
    keys = [key for key in ("shared_name", "container") if key in node.attr]
    return not _shared_name(node) or any(node.attr[key].HasField("placeholder") for key in keys)
