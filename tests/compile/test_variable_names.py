"""Which constants of a compiled graph were variables."""

from __future__ import annotations

from tf2spark.compile.variable_names import nodes_of_variables, write_variables
from tf2spark.saved_model.graph.upstream import variable_of
from tf2spark.saved_model.protos import SavedModel


def test_what_passes_a_variable_on_has_its_value() -> None:
    """Folding keeps one of these nodes, under its own name."""
    graph = SavedModel().meta_graphs.add().graph_def
    for name, op, inputs in (
        ("last", "Identity", ["read:0"]),
        ("read", "Identity", ["dense/kernel"]),
        ("dense/kernel", "Const", []),
        ("scaled", "Mul", ["read", "two"]),
        ("two", "Const", []),
    ):
        graph.node.add(name=name, op=op).input.extend(inputs)
    names = dict.fromkeys(["last", "read", "dense/kernel"], "dense/kernel")
    assert nodes_of_variables(graph, ["dense/kernel", "gone"]) == names
    write_variables(graph, names)
    assert {node.name: variable_of(node) for node in graph.node} == {
        "last": None,
        "read": None,
        "dense/kernel": "dense/kernel",
        "scaled": None,
        "two": None,
    }
