"""What a request needs to know about the graph: raw tensors, and inputs that nothing feeds yet."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from itertools import chain
from typing import Any

from tf2spark.binding.messages import did_you_mean
from tf2spark.binding.request import Graph, Unfed
from tf2spark.binding.written_variables import state_batch_sizes
from tf2spark.dtypes import from_code
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.signatures import shape
from tf2spark.saved_model.upstream import feedable_tensor, node_name, tensor_name, upstream
from tf2spark.tensorflow_c.graph import graph_tensor_info

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

    def state_rows(fetches: Collection[str], feeds: Collection[str]) -> Collection[int]:
        return state_batch_sizes(loaded.meta_graph, fetches, feeds)

    return Graph(find, unfed, state_rows)


def _find(meta_graph: Any, nodes: dict[str, Any], name: str) -> TensorSpec:
    """Return the spec of a raw tensor, from its placeholder or TensorFlow's shape inference."""
    node = nodes.get(name.partition(":")[0])
    if node is None:
        raise ContractError(
            f'the graph has no tensor "{name}"', _tensor_advice(meta_graph, nodes, name)
        )
    if node.op in {*_PLACEHOLDERS, _DEFAULT} and name == f"{node.name}:0":
        # The attribute is missing where it has its default, an unknown rank.
        known = shape(node.attr["shape"].shape) if "shape" in node.attr else None
        return TensorSpec(name, from_code(node.attr["dtype"].type), known, (name,))
    dtype_and_shape = graph_tensor_info(meta_graph.graph_def.SerializeToString(), [name])[name]
    if dtype_and_shape is None:
        raise ContractError(
            f'the graph has no tensor "{name}": node "{node.name}" ({node.op}) has no such output'
        )
    return TensorSpec(name, *dtype_and_shape, (name,))


def _tensor_advice(meta_graph: Any, nodes: dict[str, Any], name: str) -> str:
    target = node_name(name)
    for function in meta_graph.graph_def.library.function:
        if any(
            node.name == target or node.name.endswith(f"/{target}") for node in function.node_def
        ):
            return (
                f'"{target}" is inside the function "{function.signature.name}", whose tensors '
                "can't be fed or fetched from outside: export the model with that tensor as an "
                "output of a signature"
            )
    return did_you_mean(name, [f"{known}:0" for known in nodes], label="tensor")


def _unfed(
    nodes: dict[str, Any], fetches: Collection[str], feeds: Collection[str], inputs: Collection[str]
) -> Unfed:
    fed, known = set(map(tensor_name, feeds)), set(map(tensor_name, inputs))
    # Nodes upstream of an input don't count, except those of a default: it may need inputs too.
    defaults = {name for name, node in nodes.items() if node.op == _DEFAULT}
    cut = {name for name in known if node_name(name) not in defaults}
    run = upstream(nodes, fetches, fed=fed | cut)
    edges = chain(fetches, *(node.input for node in run.values()))
    tensors = {tensor for edge in edges if (tensor := feedable_tensor(nodes, edge)) is not None}
    required: set[str] = set()
    optional: set[str] = set()
    for tensor in tensors - fed:
        node = nodes.get(node_name(tensor))
        if node is None:
            continue
        if node.op in _PLACEHOLDERS:
            required.add(tensor)
        elif tensor in known:
            # An input inside the graph that can be computed is like one with a default.
            sources = upstream(nodes, node.input, fed=fed).values()
            needs_feed = any(source.op in _PLACEHOLDERS for source in sources)
            (required if needs_feed and node.op != _DEFAULT else optional).add(tensor)
    return Unfed(frozenset(required), frozenset(optional))
