"""`hidden_graphs`: graphs in constants, graphs in their constants, and how many are looked at."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tf2spark.errors import UnsafeModelError
from tf2spark.saved_model.protos import GraphDef, NodeDef
from tf2spark.saved_model.safety import hidden_graphs
from tf2spark.saved_model.safety.hidden_graphs import MAX_NESTED_GRAPHS, nodes_inside


def constant(*strings: bytes) -> Any:
    node = NodeDef(name="c", op="Const")
    node.attr["value"].tensor.string_val.extend(strings)
    return node


def nested(depth: int) -> Any:
    """Return a constant with a graph in it, which has a constant with a graph in it, and so on."""
    graph = GraphDef()
    graph.node.add(name="hidden", op="ReadFile")
    for _ in range(depth - 1):
        outer = GraphDef()
        outer.node.append(constant(graph.SerializeToString()))
        graph = outer
    return constant(graph.SerializeToString())


def test_graphs_are_found_up_to_a_depth() -> None:
    """The path has each constant; past the limit there is one refusal at once, which names it."""
    (*_, (node, path)) = nodes_inside(nested(MAX_NESTED_GRAPHS))
    assert (node.name, path) == ("hidden", ("c",) * MAX_NESTED_GRAPHS)
    start = time.monotonic()
    for depth in (MAX_NESTED_GRAPHS + 1, 3000):
        with pytest.raises(UnsafeModelError, match=f"more than {MAX_NESTED_GRAPHS} graphs inside"):
            list(nodes_inside(nested(depth)))
    assert time.monotonic() - start < 10


def test_the_number_of_strings_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant of very many strings that look like a graph is refused; others don't count."""
    monkeypatch.setattr(hidden_graphs, "MAX_PARSED_STRINGS", 2)
    words = [b"\nReadFile"] * 2
    assert list(nodes_inside(constant(*words, b"a longer word"))) == []
    with pytest.raises(UnsafeModelError, match="more than 2 strings that look like one"):
        list(nodes_inside(constant(*words, *words)))


def test_strings_may_be_packed() -> None:
    """TensorFlow also reads strings from a tensor's content: their lengths, then their bytes."""
    graph = GraphDef()
    graph.node.add(name="hidden", op="ReadFile")
    texts = [b"x" * 200, graph.SerializeToString()]
    node = NodeDef(name="c", op="Const")
    tensor = node.attr["value"].tensor
    tensor.dtype = 7
    tensor.tensor_shape.dim.add(size=2)
    tensor.tensor_content = b"\xc8\x01" + bytes([len(texts[1])]) + b"".join(texts)
    assert [inner.name for inner, _ in nodes_inside(node)] == ["hidden"]
    for damaged in (b"", b"\xff" * 9, b"\x05"):
        tensor.tensor_content = damaged
        assert list(nodes_inside(node)) == []
