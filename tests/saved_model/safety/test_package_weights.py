"""`package_weights`: a package can feed a graph only what the graph takes."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.errors import ModelError
from tf2spark.package.manifest import Weight
from tf2spark.saved_model.protos import MetaGraph, SavedModel
from tf2spark.saved_model.safety.package_weights import check_weights

FLOAT, INT32 = 1, 3


@pytest.fixture
def meta_graph() -> MetaGraph:
    """A graph with a placeholder "w", float [2, ?]; "any", float of any shape; and a constant."""
    graph: Any = SavedModel().meta_graphs.add()
    for name, op in (("w", "Placeholder"), ("any", "Placeholder"), ("c", "Const")):
        node = graph.graph_def.node.add(name=name, op=op)
        node.attr["dtype"].type = FLOAT
    for size in (2, -1):
        graph.graph_def.node[0].attr["shape"].shape.dim.add(size=size)
    graph.graph_def.node[1].attr["shape"].shape.unknown_rank = True
    return graph


def weight(tensor: str = "w:0", code: int = FLOAT, shape: tuple[int, ...] = (2, 3)) -> Weight:
    return Weight(tensor, "weights/0.bin", code, shape)


def test_weights_of_the_placeholders_are_fine(meta_graph: MetaGraph) -> None:
    """Unknown dimensions take any size."""
    check_weights(meta_graph, [weight(), weight("any:0", shape=(7,))], "p")
    check_weights(meta_graph, [], "p")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (weight("gone:0"), '"gone:0" is not a placeholder of the graph'),
        (weight("c:0"), '"c:0" is not a placeholder of the graph'),
        (weight("w:1"), '"w:1" is not a placeholder of the graph'),
        (weight("w"), '"w" is not a placeholder of the graph'),
        (weight("\ud800:0"), "is not a placeholder of the graph"),
        (weight(code=INT32), '"w:0" is int32, but the graph has float32'),
        (weight(shape=(3, 2)), r'"w:0" has shape \[3, 2\], but the graph has \[2, None\]'),
        (weight(shape=(2,)), r'"w:0" has shape \[2\], but the graph has \[2, None\]'),
    ],
)
def test_other_weights_are_refused(meta_graph: MetaGraph, changed: Weight, problem: str) -> None:
    """The message names the tensor, and what the graph has instead."""
    with pytest.raises(ModelError, match=f"^.p. is damaged: weight .*{problem}"):
        check_weights(meta_graph, [changed], "p")
