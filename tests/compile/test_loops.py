"""`loops_over_variables`: which loops are reason enough to keep a graph."""

from __future__ import annotations

from typing import Any

import pytest
from tensorflow.core.framework import graph_pb2

from tf2spark.compile.loops import loops_over_variables

# Nodes as (name, op, inputs, called function); the variable is "v".
_GRAPHS: dict[str, tuple[list[tuple[str, str, str, str]], bool]] = {
    "loop before": ([("w", "While", "x", ""), ("y", "MatMul", "w v", "")], False),
    "loop over a variable": ([("w", "While", "x v", "")], True),
    "loop over its value": ([("r", "Read", "v", ""), ("w", "While", "x r:0", "")], True),
    "loop of values computed with it": (
        [("m", "MatMul", "x v", ""), ("w", "While", "m", "")],
        True,
    ),
    "loop after its use": ([("r", "Read", "v", ""), ("w", "While", "x ^r", "")], True),
    "TF1's loop": ([("e", "Enter", "x", ""), ("y", "MatMul", "e v", "")], False),
    "TF1's loop over a variable": ([("e", "Enter", "x", ""), ("f", "Enter", "v", "")], True),
    "no loop": ([("y", "MatMul", "x v", "")], False),
    "in a function": ([("c", "PartitionedCall", "v x", "loops")], True),
    "beside it in a function": ([("c", "PartitionedCall", "x v", "loops")], False),
    "in a branch": ([("c", "If", "x v x", "loops")], True),
    "in a function of a function": ([("c", "PartitionedCall", "v x", "calls")], True),
    "beside it, twice": ([("c", "PartitionedCall", "x v", "calls")], False),
    "in a function that gets other values": ([("c", "MapDataset", "v", "loops")], True),
    "in a function that calls itself": ([("c", "PartitionedCall", "v", "recursive")], False),
}
_ATTRIBUTES = {"If": "then_branch"}


def add_node(nodes: Any, name: str, op: str, inputs: str, function: str = "") -> None:
    node = nodes.add(name=name, op=op, input=inputs.split())
    if function:
        node.attr[_ATTRIBUTES.get(op, "f")].func.name = function


@pytest.mark.parametrize(("nodes", "expected"), _GRAPHS.values(), ids=_GRAPHS)
def test_only_loops_that_a_variable_reaches_count(
    nodes: list[tuple[str, str, str, str]], expected: bool
) -> None:
    """A function has a loop over its first argument, and another passes its arguments on to it."""
    graph = graph_pb2.GraphDef()
    add_node(graph.node, "v", "VarHandleOp", "")
    for node in nodes:
        add_node(graph.node, *node)
    for name in ("loops", "calls", "recursive"):
        function = graph.library.function.add()
        function.signature.name = name
        for argument in ("first", "second"):
            function.signature.input_arg.add(name=argument)
        if name == "loops":
            add_node(function.node_def, "inner", "StatelessWhile", "first")
        else:
            called = "loops" if name == "calls" else "recursive"
            add_node(function.node_def, "call", "PartitionedCall", "first second", called)
    assert loops_over_variables(graph, ["v"]) is expected
