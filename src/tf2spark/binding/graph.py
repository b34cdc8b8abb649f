"""What a request asks of the graph: raw tensors by name, and inputs that nothing feeds yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf2spark.binding.messages import did_you_mean
from tf2spark.binding.request import Graph
from tf2spark.contract import TensorSpec
from tf2spark.dtypes import from_code
from tf2spark.errors import ContractError
from tf2spark.reachability import node_name, tensor_name, user_run, walk
from tf2spark.runtime.session import graph_tensor_info
from tf2spark.savedmodel_signatures import shape


def graph_of(loaded: Any) -> Graph:
    """Return the look-ups for a SavedModel that was read."""

    def find(name: str) -> TensorSpec:
        return _find(loaded.meta_graph, name)

    def needed(fetches: Sequence[str], feeds: Sequence[str]) -> Sequence[str]:
        run = user_run(loaded.meta_graph, fetches, feeds)
        reached = (node for node, scope in walk(loaded.meta_graph, [run]) if len(scope.path) == 1)
        return list(dict.fromkeys(f"{node.name}:0" for node in reached if node.op == "Placeholder"))

    return Graph(find, needed)


def _find(meta_graph: Any, name: str) -> TensorSpec:
    """Return the spec of a raw tensor: its placeholder tells, or TensorFlow's shape inference."""
    node = next((one for one in meta_graph.graph_def.node if one.name == node_name(name)), None)
    if node is not None and node.op in ("Placeholder", "PlaceholderWithDefault"):
        dtype = from_code(node.attr["dtype"].type)
        return TensorSpec(name, dtype, shape(node.attr["shape"].shape), (tensor_name(name),))
    if node is None:
        names = [one.name + ":0" for one in meta_graph.graph_def.node]
        near = did_you_mean(name, names, label="tensor")
        raise ContractError(f'the graph has no tensor "{name}"; {near}')
    found = graph_tensor_info(meta_graph.graph_def.SerializeToString(), [name])[name]
    if found is None:
        raise ContractError(f'the graph has no tensor "{name}": "{node.name}" has fewer outputs')
    return TensorSpec(name, *found, (tensor_name(name),))
