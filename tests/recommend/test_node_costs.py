"""`node_costs`: the work of a pair, counted from whatever shapes a graph states."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.dtypes import Shape
from tf2spark.recommend.node_costs import CostedGraph, inputs_first
from tf2spark.saved_model.protos import SavedModel


def product(op: str, **flags: bool) -> Any:
    node = SavedModel().meta_graphs.add().graph_def.node.add(name="y", op=op, input=["a", "b"])
    for name, value in flags.items():
        node.attr[name].b = value
    return node


@pytest.mark.parametrize(
    ("node", "left", "right", "expected"),
    [
        (product("MatMul"), (None, 22), (22, 16), 22),
        (product("MatMul"), (None, None), (22, 16), 22),
        (product("MatMul"), None, (22, 16), 22),
        (product("MatMul", transpose_b=True), None, (16, 22), 22),
        (product("MatMul", transpose_a=True), (22, None), None, 22),
        (product("BatchMatMulV2", adj_y=True), (None, 4, None), (None, 6, 8), 8),
        (product("Conv2D"), (None, 1, 64, 8), (1, 5, 8, 16), 40),
        (product("Einsum"), None, (3, 8), 1),
        (product("MatMul"), None, None, 1),
    ],
)
def test_the_length_of_sums_is_taken_from_either_operand(
    node: Any, left: Shape, right: Shape, expected: int
) -> None:
    """Exporters often leave out a width that the weights have."""
    graph, before = CostedGraph([node], {"a:0": left, "b:0": right}), node.SerializeToString()
    assert graph.inner_size(node) == expected
    assert node.SerializeToString() == before


def node(name: str, op: str, *inputs: str) -> Any:
    return SavedModel().meta_graphs.add().graph_def.node.add(name=name, op=op, input=inputs)


def test_nodes_come_after_what_they_read() -> None:
    """A loop doesn't keep the walk from ending."""
    nodes = [node("d", "Add", "b", "c"), node("c", "Neg", "a"), node("b", "Neg", "c:0", "^d")]
    assert [each.name for each in inputs_first(nodes)] == ["c", "b", "d"]
    loop = [node("next", "NextIteration", "merge"), node("merge", "Merge", "enter", "next")]
    assert {each.name for each in inputs_first(loop)} == {"next", "merge"}
