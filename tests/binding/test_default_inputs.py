"""Inputs whose default is computed: what is upstream of the default may have to be fed."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tf2spark.binding.graph.graph_lookup import graph_of
from tf2spark.binding.request import Graph
from tf2spark.saved_model.contract import Contract
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.reader import LoadedModel

_NODES = [
    ("x", "Placeholder", []),
    ("base", "Placeholder", []),
    ("one", "Const", []),
    ("doubled", "Add", ["base", "base"]),
    ("scale", "PlaceholderWithDefault", ["doubled"]),
    ("offset", "PlaceholderWithDefault", ["one"]),
    ("scaled", "Mul", ["x", "scale"]),
    ("score", "Add", ["scaled", "offset"]),
]


@pytest.fixture(scope="module")
def graph() -> Graph:
    """``x * scale + offset``, where scale is ``base + base`` and offset 1 unless they are fed."""
    meta_graph = SavedModel().meta_graphs.add()
    for name, op, inputs in _NODES:
        meta_graph.graph_def.node.add(name=name, op=op, input=inputs)
    return graph_of(LoadedModel(Contract("/m", None, ((),), (), ()), meta_graph))


@pytest.mark.parametrize(
    ("fetches", "feeds", "inputs", "required", "optional"),
    [
        # The default of scale needs base, whether or not scale and base are inputs.
        (["score:0"], [], ["x:0", "scale:0"], {"x:0", "base:0"}, {"scale:0"}),
        (["score:0"], [], ["scale:0", "base:0"], {"x:0", "base:0"}, {"scale:0"}),
        (["score:0"], ["x:0"], [], {"base:0"}, set()),
        # A default that is fed isn't computed.
        (["score:0"], ["x:0", "scale:0"], ["scale:0", "base:0"], set(), set()),
        (["score:0"], ["x:0", "base:0"], ["scale:0", "base:0"], set(), {"scale:0"}),
        # A constant default needs nothing. An input inside the graph that can't be computed is
        # required itself, in place of what is upstream of it.
        (["score:0"], ["x:0"], ["scaled:0", "offset:0"], {"scaled:0"}, {"offset:0"}),
        (["score:0"], ["x:0", "base:0"], ["scaled:0"], set(), {"scaled:0"}),
        (["offset:0"], [], ["offset:0"], set(), {"offset:0"}),
        (["scale:0"], [], ["scale:0"], {"base:0"}, {"scale:0"}),
    ],
)
def test_what_a_default_needs_must_be_fed(
    graph: Graph,
    fetches: Collection[str],
    feeds: Collection[str],
    inputs: Collection[str],
    required: Collection[str],
    optional: Collection[str],
) -> None:
    """An input with a default is optional, but placeholders upstream of the default are not."""
    unfed = graph.unfed(fetches, feeds, inputs)
    assert (unfed.required, unfed.optional) == (required, optional)
