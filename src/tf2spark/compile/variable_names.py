"""Which constant of a compiled graph was which variable, written into an attribute of the constant.

It is for people: a variable's name says what the model's author calls its layer.
"""

from __future__ import annotations

from collections.abc import Collection

from tf2spark.saved_model.graph.upstream import VARIABLE_ATTRIBUTE, data_inputs, node_name
from tf2spark.saved_model.protos import GraphMessage


def nodes_of_variables(graph: GraphMessage, variables: Collection[str]) -> dict[str, str]:
    """Return the variable whose value a node has, for each node that has one's.

    Args:
        graph: A graph whose variables have become constants of the same names.
        variables: Their names.
    """
    nodes = {node.name: node for node in graph.node}
    kept = {name: name for name in variables if name in nodes}
    for name, node in nodes.items():
        passed = [name]
        while node.op == "Identity" and node.name not in kept:
            node = nodes[node_name(data_inputs(node)[0])]
            passed.append(node.name)
        if (variable := kept.get(node.name)) is not None:
            kept.update(dict.fromkeys(passed, variable))
    return kept


def write_variables(graph: GraphMessage, variable_of_node: dict[str, str]) -> None:
    """Write into the constants of a graph which variables they were."""
    for node in graph.node:
        if node.op in ("Const", "Placeholder") and node.name in variable_of_node:
            node.attr[VARIABLE_ATTRIBUTE].s = variable_of_node[node.name].encode()
