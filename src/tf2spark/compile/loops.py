"""Models with loops over weights: TensorFlow gets the graph it would have had, and the weights.

In a loop each op waits for the one before it, so their order matters, and TensorFlow's executor
runs them in the order in which they happen to become ready. A graph that is inlined and frozen
ahead of time computes the same values in another order. In Keras's LSTM, the product with the
inputs of the next step then came before the current step was done, and had left the CPU's cache by
the time it was summed. In addition, values are passed from step to step, but variables aren't
(``lower_while_op.cc``). Together, these made the model 2 to 6 % slower. So nothing is inlined or
folded here: nodes that the outputs don't need are removed, and variables stay variables, which the
init op fills from constants.

A loop that no variable reaches, such as one that decodes images before a network, is no reason to
keep the graph: see `loops_over_variables`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import graph_pb2

from tf2spark.compile.weights import constant
from tf2spark.saved_model.graph.function_library import Call, calls, function_names
from tf2spark.saved_model.graph.upstream import node_name, upstream
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

_LOOP_OPS = frozenset({"While", "StatelessWhile", "Enter", "RefEnter"})
# By the op that makes a variable: the op that assigns to it, and the latter's dtype attribute.
_ASSIGN_OPS = {
    "VarHandleOp": ("AssignVariableOp", "dtype"),
    "VariableV2": ("Assign", "T"),
    "Variable": ("Assign", "T"),
}


def loops_over_variables(graph_def: GraphMessage, variables: Collection[str]) -> bool:
    """Return whether a variable is upstream of a loop, in the graph or in a function it calls.

    Args:
        graph_def: The graph.
        variables: The names of the nodes that make variables.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    visited = set[tuple[str, frozenset[str]]]()

    def reach_loops(body: Iterable[NodeMessage], sources: Collection[str]) -> bool:
        """`sources` are nodes, or arguments of the function."""
        nodes = {node.name: node for node in body}
        reached = _downstream(nodes, sources)
        if any(nodes[name].op in _LOOP_OPS for name in reached & nodes.keys()):
            return True
        # No loop is reached, so the functions of loops aren't either.
        return any(
            reach_function(call, node.name in reached, reached)
            for node in nodes.values()
            if node.op not in _LOOP_OPS
            for call in calls(node)
            if call.name in functions
        )

    def reach_function(call: Call, caller_is_reached: bool, reached: Collection[str]) -> bool:
        function = functions[call.name]
        names = [argument.name for argument in function.signature.input_arg]
        if call.arguments is None:
            passed = names if caller_is_reached else []
        else:
            pairs = zip(names, call.arguments, strict=False)
            passed = [name for name, source in pairs if node_name(source) in reached]
        key = call.name, frozenset(passed)
        if not passed or key in visited:
            return False
        visited.add(key)
        return reach_loops(function.node_def, passed)

    return reach_loops(graph_def.node, variables)


def _downstream(nodes: Mapping[str, NodeMessage], sources: Collection[str]) -> set[str]:
    """Return the sources and all nodes that depend on one, also by a control edge."""
    readers = defaultdict[str, list[str]](list)
    for node in nodes.values():
        for name in node.input:
            readers[node_name(name)].append(node.name)
    reached, todo = set[str](), list(sources)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += readers[name]
    return reached


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
