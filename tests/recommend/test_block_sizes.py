"""`block_sizes`: the work of a pair, counted from whatever shapes a graph states."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.dtypes import Shape
from tf2spark.recommend.block_sizes import _CostedGraph
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
    graph = _CostedGraph([node], {"a:0": left, "b:0": right})
    assert graph.inner_size(node) == expected
