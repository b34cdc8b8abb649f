"""Backward walks over a graph: which nodes a session runs to compute some tensors.

An input of a node is written as ``node`` or ``node:1`` where it carries a value, and as ``^node``
where it only says that ``node`` must run first: a control edge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tf2spark.errors import ModelError
from tf2spark.saved_model.protos import NodeMessage

_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
VARIABLE_ATTRIBUTE = "_tf2spark_variable"
"""In a compiled graph, which variable a constant was; TensorFlow ignores a leading underscore."""


def tensor_name(name: str) -> str:
    """Return ``node:0`` for ``node``, and any other tensor name unchanged."""
    return name if ":" in name else name + ":0"


def node_name(name: str) -> str:
    """Return the node in an input's name: ``^node``, ``node``, ``node:1`` or ``node:out:1``."""
    return name.lstrip("^").partition(":")[0]


def is_control(name: str) -> bool:
    """Return whether an input is a control edge, which carries no value."""
    return name.startswith("^")


def data_inputs(node: NodeMessage) -> list[str]:
    """Return the tensors that a node reads, in the order of its arguments."""
    return [tensor_name(name) for name in node.input if not is_control(name)]


def control_inputs(node: NodeMessage) -> list[str]:
    """Return the control edges of a node, each as ``^node``."""
    return [name for name in node.input if is_control(name)]


def variable_of(node: NodeMessage) -> str | None:
    """Return the variable that a constant was; None where it wasn't one, or isn't known."""
    if VARIABLE_ATTRIBUTE not in node.attr:
        return None
    return str(node.attr[VARIABLE_ATTRIBUTE].s.decode("utf-8", "replace"))


def input_at(node: NodeMessage, position: int) -> str:
    """Return an input of a node by its position.

    Raises:
        ModelError: The node has no such input.
    """
    if position >= len(node.input):
        raise ModelError(
            f'the node "{node.name}" ({node.op}) has {len(node.input)} inputs and needs '
            f"{position + 1} or more: the graph is damaged"
        )
    return str(node.input[position])


def feedable_tensor(nodes: Mapping[str, NodeMessage], name: str) -> str | None:
    """Return the tensor that makes an input unnecessary to compute when it is fed.

    A control edge from a placeholder counts as an edge from its value, as in TensorFlow's own
    ``subgraph.cc``. Other control edges can't be fed: their node runs in any case.
    """
    if not is_control(name):
        return tensor_name(name)
    node = nodes.get(node_name(name))
    return f"{node.name}:0" if node is not None and node.op in _PLACEHOLDERS else None


def behind_identities(
    nodes: Mapping[str, NodeMessage], name: str, *, fed: Collection[str] = ()
) -> str | None:
    """Return the tensor whose value a tensor has: ``Identity`` nodes only pass one on.

    Args:
        nodes: The nodes of the graph, or of a function's body, by name.
        name: A tensor.
        fed: Tensors that are fed, as ``node:0``.

    Returns:
        The name of a tensor of another node or of an argument; None if a fed tensor or a damaged
        node comes between.
    """
    visited: set[str] = set()
    while tensor_name(name) not in fed:
        node = nodes.get(node_name(name))
        if node is None or node.op != "Identity" or node.name in visited:
            return name
        visited.add(node.name)
        inputs = data_inputs(node)
        if not inputs:
            return None
        name = inputs[0]
    return None


def upstream(
    nodes: Mapping[str, NodeMessage],
    roots: Iterable[str],
    *,
    fed: Collection[str] = (),
    control_edges: bool = True,
) -> dict[str, NodeMessage]:
    """Return the nodes that a session runs to compute `roots`, by name, the roots first.

    Calls of functions are not followed (`reachable_nodes.walk` does that).

    Args:
        nodes: The nodes of the graph by name; an input that names no node here is ignored.
        roots: Tensors, nodes or control edges.
        fed: Tensors that are fed, as ``node:0``. An edge from one is not followed, so its node is
            missing from the result unless another edge needs it.
        control_edges: Whether to follow control edges too.
    """
    todo, reached = list(roots), dict[str, NodeMessage]()
    while todo:
        name = todo.pop()
        node = nodes.get(node_name(name))
        if node is None or node.name in reached or feedable_tensor(nodes, name) in fed:
            continue
        reached[node.name] = node
        todo += node.input if control_edges else data_inputs(node)
    return reached
