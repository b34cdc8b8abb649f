"""Models with loops: TensorFlow is given the graph that it would have had, with the weights inside.

In a loop each op waits for the one before, so that their order counts, and TensorFlow's executor
takes them in the order in which they happen to become ready. A graph inlined and frozen ahead of
time computes the same, but in an order of its own: in Keras's LSTM, the product with the inputs of
the next step came before the current step was done, and had left the CPU's cache when its sum was
taken. That, and that values are passed on from step to step where variables aren't
(``lower_while_op.cc``), made it 2 to 6 % slower. So nothing is inlined or folded here: what the
outputs don't need goes, and variables stay variables, which the init op fills from constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import graph_pb2

from tf2spark.compile.weights import constant
from tf2spark.saved_model.reachable_nodes import function_names
from tf2spark.saved_model.upstream import upstream

_LOOPS = frozenset({"While", "StatelessWhile", "Enter", "RefEnter"})
# By the op of a variable: what assigns to it, and the attribute that has the type.
_ASSIGNS = {
    "VarHandleOp": ("AssignVariableOp", "dtype"),
    "VariableV2": ("Assign", "T"),
    "Variable": ("Assign", "T"),
}


def has_loops(graph_def: Any) -> bool:
    """Say whether there is a loop in a graph, or in one of its functions."""
    nodes = [graph_def.node, *(one.node_def for one in graph_def.library.function)]
    return any(node.op in _LOOPS for each in nodes for node in each)


def pruned(graph_def: Any, roots: Sequence[str]) -> Any:
    """Return the nodes that these depend on, and the functions that those call, all untouched."""
    nodes = {node.name: node for node in graph_def.node}
    wanted = upstream(nodes, roots)
    found = graph_pb2.GraphDef(versions=graph_def.versions)
    found.node.extend(node for node in graph_def.node if node.name in wanted)
    called = _called(graph_def, found.node)
    found.library.function.extend(
        one for one in graph_def.library.function if one.signature.name in called
    )
    return found


def _called(graph_def: Any, nodes: Any) -> set[str]:
    functions = {one.signature.name: one for one in graph_def.library.function}
    todo = [name for node in nodes for name in function_names(node)]
    called = set[str]()
    while todo:
        name = todo.pop()
        if name in functions and name not in called:
            called.add(name)
            inner = functions[name].node_def
            todo.extend(each for node in inner for each in function_names(node))
    return called


def add_missing(graph_def: Any, others: Any) -> None:
    """Add the nodes and functions of another graph that this one has not."""
    names = {node.name for node in graph_def.node}
    graph_def.node.extend(node for node in others.node if node.name not in names)
    names = {one.signature.name for one in graph_def.library.function}
    graph_def.library.function.extend(
        one for one in others.library.function if one.signature.name not in names
    )


def assign(graph_def: Any, values: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Add ops that give variables these values; return their names."""
    nodes = {node.name: node for node in graph_def.node}
    added = []
    for place, (name, value) in enumerate(values.items()):
        variable = nodes[name]
        op, type_attribute = _ASSIGNS[variable.op]
        source = constant(f"tf2spark_value_{place}", np.asarray(value))
        node = graph_def.node.add(name=f"tf2spark_assign_{place}", op=op)
        node.input.extend([name, source.name])
        node.attr[type_attribute].CopyFrom(variable.attr["dtype"])
        graph_def.node.append(source)
        added.append(node.name)
    return added
