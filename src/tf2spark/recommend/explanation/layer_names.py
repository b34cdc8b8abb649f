"""What a model's author calls its layers, as the names of its variables and nodes tell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from tf2spark.saved_model.graph.upstream import data_inputs, node_name, variable_of

# What TensorFlow calls variables without a name; and functions, control flow, parts of layers.
_NO_NAME = re.compile(r"Variable(_\d+)?")
_NO_LAYER = re.compile(
    r"((Stateful)?PartitionedCall|while|cond|body|true_fn|false_fn|hash_table_Lookup|Tensordot)"
    r"(_\d+)?"
)
_PASSED_ON = frozenset(["Identity", "Cast", "Reshape"])


@frozen(eq=False)
class LayerNames:
    """The names of layers.

    TensorFlow numbers scopes of equal names, and Keras layers as well, so that the scope
    ``dense_2`` may belong to the layer ``dense_1``; but a layer's variables have its name.

    Attributes:
        readers: The layer of each node that reads a variable.
        scopes: The layer of each scope whose nodes read the variables of one layer.
    """

    readers: Mapping[str, str]
    scopes: Mapping[str, str]

    def of(self, node: str) -> str:
        """Return the layer of a node: by its variables, or by its scope; or else its own name."""
        if node in self.readers:
            return self.readers[node]
        *parts, own = node.split("/")
        for length in range(len(parts), 0, -1):
            if (layer := self.scopes.get("/".join(parts[:length]))) is not None:
                return layer
        named = [part for part in parts if not _NO_LAYER.fullmatch(part)]
        return named[-1] if named else own


def layer_names(nodes: Mapping[str, Any], read: Iterable[Any]) -> LayerNames:
    """Return the names of a compiled graph's layers.

    Args:
        nodes: The graph's nodes by name.
        read: Those of them that are of interest.
    """
    readers: dict[str, str] = {}
    in_scope: dict[str, set[str]] = defaultdict(set)
    for node in read:
        variables = (_variable(nodes, name) for name in data_inputs(node))
        layer = next((_layer(variable) for variable in variables if variable), None)
        if layer is not None:
            readers[node.name] = layer
            in_scope[_scope_of_layer(node.name)].add(layer)
    scopes = {scope: layer for scope, (layer, *others) in in_scope.items() if scope and not others}
    return LayerNames(readers, scopes)


def _scope_of_layer(node: str) -> str:
    """Return the innermost scope of a node that can be a layer's; empty where none can."""
    *parts, _ = node.split("/")
    while parts and _NO_LAYER.fullmatch(parts[-1]):
        parts.pop()
    return "/".join(parts)


def _variable(nodes: Mapping[str, Any], tensor: str) -> str | None:
    """Return the variable whose value a tensor has; None where it has none's."""
    node = nodes.get(node_name(tensor))
    while node is not None and node.op in _PASSED_ON:
        node = nodes.get(node_name(data_inputs(node)[0]))
    return None if node is None else variable_of(node)


def _layer(variable: str) -> str | None:
    """Return the layer of a variable: ``dense_1`` of ``deep/dense_1/kernel``, ``fm_v`` itself."""
    *scopes, own = variable.split("/")
    # A cell is a part of its layer: `gru/gru_cell/kernel`.
    layers = [scope for scope in scopes if not scope.endswith("_cell")] or scopes
    name = layers[-1] if layers else own
    return None if _NO_NAME.fullmatch(name) else name
