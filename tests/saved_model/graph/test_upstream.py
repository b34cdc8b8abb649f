"""Backward walks over a graph, as a session follows its edges."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.saved_model.graph.upstream import (
    control_inputs,
    data_inputs,
    feedable_tensor,
    node_name,
    tensor_name,
    upstream,
)
from tf2spark.saved_model.protos import GraphDef

# out reads b:1 and c; c runs after the check, b after the placeholder y.
GRAPH = {
    "x": ("Placeholder", []),
    "y": ("Placeholder", []),
    "a": ("Neg", ["x"]),
    "b": ("Split", ["a", "^y"]),
    "check": ("Assert", ["a"]),
    "c": ("Identity", ["x", "^check"]),
    "out": ("Add", ["b:1", "c:0"]),
    "unused": ("Neg", ["out"]),
}


@pytest.fixture
def nodes() -> dict[str, Any]:
    graph = GraphDef()
    for name, (op, inputs) in GRAPH.items():
        graph.node.add(name=name, op=op).input.extend(inputs)
    return {node.name: node for node in graph.node}


@pytest.mark.parametrize(
    ("name", "node", "tensor"),
    [("x", "x", "x:0"), ("x:0", "x", "x:0"), ("x:1", "x", "x:1"), ("f:out:1", "f", "f:out:1")],
)
def test_names_of_tensors(name: str, node: str, tensor: str) -> None:
    """A node's name alone means its first output."""
    assert (node_name(name), tensor_name(name)) == (node, tensor)


def test_inputs_are_data_or_control(nodes: dict[str, Any]) -> None:
    """Data inputs are full tensor names; control edges keep their mark."""
    assert data_inputs(nodes["out"]) == ["b:1", "c:0"]
    assert data_inputs(nodes["b"]) == ["a:0"]
    assert control_inputs(nodes["b"]) == ["^y"]
    assert node_name("^y") == "y"


def test_all_upstream_nodes_are_reached_once(nodes: dict[str, Any]) -> None:
    """Each node is there once, with its message; downstream nodes are not."""
    reached = upstream(nodes, ["out"])
    assert next(iter(reached)) == "out"
    assert sorted(reached) == ["a", "b", "c", "check", "out", "x", "y"]
    assert reached["a"] is nodes["a"]


@pytest.mark.parametrize("root", ["c", "c:0", "^c"])
def test_a_root_may_be_a_tensor_a_node_or_a_control_edge(nodes: dict[str, Any], root: str) -> None:
    assert sorted(upstream(nodes, [root])) == ["a", "c", "check", "x"]


def test_control_edges_can_be_left_out(nodes: dict[str, Any]) -> None:
    """Then only nodes whose values are read are reached."""
    assert sorted(upstream(nodes, ["out"], control_edges=False)) == ["a", "b", "c", "out", "x"]


def test_a_fed_tensor_is_not_computed(nodes: dict[str, Any]) -> None:
    """Its node and what only that needs stay out."""
    assert sorted(upstream(nodes, ["out"], fed={"c:0"})) == ["a", "b", "out", "x", "y"]
    assert list(upstream(nodes, ["out"], fed={"out:0"})) == []


def test_feeding_one_output_leaves_the_others(nodes: dict[str, Any]) -> None:
    """A node with several outputs still runs for those that are not fed."""
    assert "b" in upstream(nodes, ["out"], fed={"b:0"})
    assert "b" not in upstream(nodes, ["out"], fed={"b:1"})


def test_a_fed_placeholder_satisfies_its_control_edges(nodes: dict[str, Any]) -> None:
    """The node of any other control edge runs although its output is fed."""
    assert "y" not in upstream(nodes, ["out"], fed={"y:0"})
    assert "check" in upstream(nodes, ["out"], fed={"check:0"})
    assert feedable_tensor(nodes, "^y") == "y:0"
    assert feedable_tensor(nodes, "^check") is None
    assert feedable_tensor(nodes, "b:1") == "b:1"


def test_unknown_names_are_ignored(nodes: dict[str, Any]) -> None:
    """Inside a function body, arguments are names that no node has."""
    assert upstream(nodes, ["argument:0", "^argument"]) == {}


def test_a_loop_ends(nodes: dict[str, Any]) -> None:
    """TF1 loops are cycles: NextIteration feeds Merge."""
    nodes["a"].input.append("out")
    assert "unused" not in upstream(nodes, ["out"])
