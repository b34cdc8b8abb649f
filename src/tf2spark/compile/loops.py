"""Models with loops: TensorFlow gets the graph it would have had, with the weights inside it.

In a loop each op waits for the one before it, so their order matters, and TensorFlow's executor
runs them in the order in which they happen to become ready. A graph that is inlined and frozen
ahead of time computes the same values in another order. In Keras's LSTM, the product with the
inputs of the next step then came before the current step was done, and had left the CPU's cache by
the time it was summed. In addition, values are passed from step to step, but variables aren't
(``lower_while_op.cc``). Together, these made the model 2 to 6 % slower. So nothing is inlined or
folded here: nodes that the outputs don't need are removed, and variables stay variables, which the
init op fills from constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import graph_pb2

from tf2spark.compile.weights import constant
from tf2spark.saved_model.function_library import function_names
from tf2spark.saved_model.protos import GraphMessage, NodeMessage
from tf2spark.saved_model.upstream import upstream

_LOOP_OPS = frozenset({"While", "StatelessWhile", "Enter", "RefEnter"})
# By the op that makes a variable: the op that assigns to it, and the latter's dtype attribute.
_ASSIGN_OPS = {
    "VarHandleOp": ("AssignVariableOp", "dtype"),
    "VariableV2": ("Assign", "T"),
    "Variable": ("Assign", "T"),
}


def has_loops(graph_def: GraphMessage) -> bool:
    """Return whether a graph or one of its functions contains a loop."""
    bodies = [graph_def.node, *(function.node_def for function in graph_def.library.function)]
    return any(node.op in _LOOP_OPS for nodes in bodies for node in nodes)


def prune(graph_def: GraphMessage, roots: Sequence[str]) -> GraphMessage:
    """Return the nodes upstream of the roots and the functions that they call, all unchanged."""
    nodes = {node.name: node for node in graph_def.node}
    needed = upstream(nodes, roots)
    pruned = graph_pb2.GraphDef(versions=graph_def.versions)
    pruned.node.extend(node for node in graph_def.node if node.name in needed)
    called = _called_functions(graph_def, pruned.node)
    pruned.library.function.extend(
        function for function in graph_def.library.function if function.signature.name in called
    )
    return pruned


def _called_functions(graph_def: GraphMessage, nodes: Iterable[NodeMessage]) -> set[str]:
    functions = {function.signature.name: function for function in graph_def.library.function}
    pending = [name for node in nodes for name in function_names(node)]
    called = set[str]()
    while pending:
        name = pending.pop()
        if name in functions and name not in called:
            called.add(name)
            body = functions[name].node_def
            pending.extend(inner for node in body for inner in function_names(node))
    return called


def add_missing(graph_def: GraphMessage, other: GraphMessage) -> None:
    """Add the nodes and functions of another graph that this one lacks."""
    names = {node.name for node in graph_def.node}
    graph_def.node.extend(node for node in other.node if node.name not in names)
    names = {function.signature.name for function in graph_def.library.function}
    graph_def.library.function.extend(
        function for function in other.library.function if function.signature.name not in names
    )


def add_assignments(graph_def: GraphMessage, values: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Add ops that assign these values to variables; return the names of the ops."""
    nodes = {node.name: node for node in graph_def.node}
    assignments = []
    for number, (name, value) in enumerate(values.items()):
        variable = nodes[name]
        op, dtype_attribute = _ASSIGN_OPS[variable.op]
        source = constant(f"tf2spark_value_{number}", np.asarray(value))
        node = graph_def.node.add(name=f"tf2spark_assign_{number}", op=op)
        node.input.extend([name, source.name])
        node.attr[dtype_attribute].CopyFrom(variable.attr["dtype"])
        graph_def.node.append(source)
        assignments.append(node.name)
    return assignments
