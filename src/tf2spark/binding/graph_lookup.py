"""What a request asks of the graph: raw tensors by name, and inputs that nothing feeds yet."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

from tf2spark.binding.messages import did_you_mean
from tf2spark.binding.request import Graph, Unfed
from tf2spark.dtypes import from_code
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.reachable_nodes import node_name, tensor_name
from tf2spark.saved_model.signatures import shape
from tf2spark.tensorflow_c.session import graph_tensor_info

_DEFAULT = "PlaceholderWithDefault"
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


def graph_of(loaded: Any) -> Graph:
    """Return the look-ups for a SavedModel that was read."""
    nodes = {node.name: node for node in loaded.meta_graph.graph_def.node}

    @cache
    def find(name: str) -> TensorSpec:
        return _find(loaded.meta_graph, nodes, name)

    def unfed(fetches: Collection[str], feeds: Collection[str], inputs: Collection[str]) -> Unfed:
        return _unfed(nodes, fetches, {*feeds, *loaded.weights}, inputs)

    return Graph(find, unfed)


def _find(meta_graph: Any, nodes: dict[str, Any], name: str) -> TensorSpec:
    """Return the spec of a raw tensor: its placeholder tells, or TensorFlow's shape inference."""
    node = nodes.get(name.partition(":")[0])
    if node is None:
        raise ContractError(f'the graph has no tensor "{name}"; {_near(meta_graph, nodes, name)}')
    if node.op in {*_PLACEHOLDERS, _DEFAULT} and name == f"{node.name}:0":
        # Left out where it is the default, an unknown rank.
        known = shape(node.attr["shape"].shape) if "shape" in node.attr else None
        return TensorSpec(name, from_code(node.attr["dtype"].type), known, (name,))
    found = graph_tensor_info(meta_graph.graph_def.SerializeToString(), [name])[name]
    if found is None:
        raise ContractError(
            f'the graph has no tensor "{name}": node "{node.name}" ({node.op}) has no such output'
        )
    return TensorSpec(name, *found, (name,))


def _near(meta_graph: Any, nodes: dict[str, Any], name: str) -> str:
    wanted = name.partition(":")[0]
    for function in meta_graph.graph_def.library.function:
        if any(
            node.name == wanted or node.name.endswith(f"/{wanted}") for node in function.node_def
        ):
            return (
                f'"{wanted}" is inside the function "{function.signature.name}", whose tensors '
                "can't be fed or fetched from outside: export the model with that tensor as an "
                "output of a signature"
            )
    return did_you_mean(name, [f"{one}:0" for one in nodes], label="tensor")


def _unfed(
    nodes: dict[str, Any], fetches: Collection[str], feeds: Collection[str], inputs: Collection[str]
) -> Unfed:
    fed, known = set(map(tensor_name, feeds)), set(map(tensor_name, inputs))
    required: set[str] = set()
    optional: set[str] = set()
    for tensor, node in _above(nodes, fetches, fed, known):
        if node.op in _PLACEHOLDERS:
            required.add(tensor)
        elif tensor in known:
            # An input inside the graph is like one with a default where it can be computed.
            above = _above(nodes, node.input, fed, set())
            needs = any(each.op in _PLACEHOLDERS for _, each in above)
            (required if needs and node.op != _DEFAULT else optional).add(tensor)
    return Unfed(frozenset(required), frozenset(optional))


def _above(
    nodes: dict[str, Any], names: Collection[str], fed: set[str], stops: set[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the tensors that these depend on, with their nodes; nothing above `fed` or `stops`.

    A default is computed from what is above it, so that a placeholder with one doesn't stop.
    """
    todo, done = list(names), set()
    while todo:
        name = todo.pop()
        node = nodes.get(node_name(name))
        if node is None:
            continue
        # A control edge from a placeholder is satisfied by feeding it, as any other edge is.
        control = name.startswith("^") and node.op not in _PLACEHOLDERS
        tensor = f"^{node.name}" if control else tensor_name(name.lstrip("^"))
        if tensor in done or tensor in fed:
            continue
        done.add(tensor)
        yield tensor, node
        if tensor not in stops or node.op == _DEFAULT:
            todo.extend(node.input)
