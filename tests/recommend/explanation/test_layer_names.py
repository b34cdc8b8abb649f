"""Layers by the names of variables and scopes."""

from __future__ import annotations

import pytest

from tf2spark.compile.variable_names import write_variables
from tf2spark.recommend.explanation.layer_names import layer_names
from tf2spark.saved_model.protos import NodeMessage, SavedModel


def graph_of(variables: dict[str, str], reads: dict[str, list[str]]) -> dict[str, NodeMessage]:
    """Return nodes by name: constants that were variables, and what reads them."""
    graph = SavedModel().meta_graphs.add().graph_def
    for name in variables:
        graph.node.add(name=name, op="Const")
    for name, inputs in reads.items():
        graph.node.add(name=name, op="MatMul").input.extend(inputs)
    write_variables(graph, variables)
    return {node.name: node for node in graph.node}


@pytest.mark.parametrize(
    ("variable", "layer"),
    [("dense_1/kernel", "dense_1"), ("deep/dense_1/kernel", "dense_1"), ("fm_v", "fm_v"),
     ("gru/gru_cell/kernel", "gru"), ("Variable_3", "dense_2"), ("Variable", "dense_2")],
)  # fmt: skip
def test_a_variable_names_the_layer_that_reads_it(variable: str, layer: str) -> None:
    """Its scope does only where the variable has no name."""
    nodes = graph_of({"c": variable}, {"call/dense_2/MatMul": ["x", "c"]})
    assert layer_names(nodes, nodes.values()).of("call/dense_2/MatMul") == layer


def test_a_scope_has_the_layer_of_its_variables() -> None:
    """Also what lies deeper in it, but not what lies in the scopes around it."""
    nodes = graph_of({"c": "dense_1/kernel"}, {"call/model/dense_2/Tensordot/MatMul": ["x", "c"]})
    names = layer_names(nodes, nodes.values())
    assert names.of("call/model/dense_2/Tensordot/Reshape") == "dense_1"
    assert names.of("call/model/dense_2/Tensordot/deeper/Reshape") == "dense_1"
    assert names.of("call/model/dense_2/Relu") == "dense_1"
    assert names.of("call/model/Relu") == "model"


def test_a_scope_of_several_layers_has_none() -> None:
    """Each op that reads a variable has its own all the same."""
    variables = {"c": "a/kernel", "d": "b/kernel"}
    nodes = graph_of(variables, {"m/MatMul": ["x", "c"], "m/MatMul_1": ["y", "d"]})
    names = layer_names(nodes, nodes.values())
    assert [names.of(name) for name in ("m/MatMul", "m/MatMul_1", "m/Add")] == ["a", "b", "m"]


def test_calls_are_no_layers() -> None:
    """An op outside of all layers has its own name."""
    names = layer_names({}, [])
    assert names.of("StatefulPartitionedCall_1/PartitionedCall/Relu_2") == "Relu_2"
    assert names.of("MatMul") == "MatMul"
    assert names.of("StatefulPartitionedCall/gru/while/cond_1/Add") == "gru"
