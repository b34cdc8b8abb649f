"""`call_limits`: functions that TensorFlow can't inline."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tf2spark.errors import ModelError
from tf2spark.saved_model.protos import GraphDef
from tf2spark.saved_model.safety.call_limits import MAX_CALL_DEPTH, check_calls


def functions(calls: dict[str, list[str]]) -> Any:
    """Return a graph with these functions, each of which calls some others."""
    graph = GraphDef()
    for name, callees in calls.items():
        function = graph.library.function.add()
        function.signature.name = name
        for position, callee in enumerate(callees):
            node = function.node_def.add(name=f"n{position}", op="PartitionedCall")
            node.attr["f"].func.name = callee
    return graph


def refusal(graph: Any) -> str:
    with pytest.raises(ModelError) as caught:
        check_calls(graph)
    return str(caught.value)


def test_calls_may_be_nested_up_to_a_limit() -> None:
    """A chain of functions as deep as the limit passes; a longer one is refused at once."""
    chain = {f"f{i}": [f"f{i + 1}"] for i in range(MAX_CALL_DEPTH)}
    del chain[f"f{MAX_CALL_DEPTH - 1}"]
    check_calls(functions(chain | {f"f{MAX_CALL_DEPTH - 1}": []}))
    start = time.monotonic()
    message = refusal(functions({f"f{i}": [f"f{i + 1}"] for i in range(30_000)}))
    assert f"call each other more than {MAX_CALL_DEPTH} deep" in message
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "calls",
    [{"f": ["f"]}, {"f": ["g"], "g": ["f"]}, {"e": ["f"], "f": ["g", "h"], "h": ["g", "f"]}],
)
def test_a_function_that_calls_itself_is_refused(calls: dict[str, list[str]]) -> None:
    """Directly or through others, whether a node of the graph calls it or not."""
    message = refusal(functions(calls))
    assert "calls itself, directly or through others, which TensorFlow can't run" in message


def test_functions_called_from_two_places_are_no_recursion() -> None:
    """Calls that join again are common."""
    check_calls(functions({"f": ["g", "h", "g"], "g": ["k"], "h": ["k"], "k": ["gone"]}))


def test_a_function_run_in_place_of_another_counts() -> None:
    """Grappler may run any function of the same API, and so make a function call itself."""
    graph = functions({"f": ["g"], "g": [], "h": ["f"]})
    for function in graph.library.function[1:]:
        function.attr["api_implements"].s = b"layer"
    assert "calls itself" in refusal(graph)
    del graph.library.function[2].node_def[:]
    check_calls(graph)


def test_functions_of_one_api_may_be_called_by_the_graph_alone() -> None:
    """No function calls them, so only the graph's own calls show that they are run."""
    graph = functions({"g": [], "h": []})
    for function in graph.library.function:
        function.attr["api_implements"].s = b"layer"
    graph.node.add(name="call", op="h")
    check_calls(graph)


def test_a_gradient_counts() -> None:
    """A function whose gradient calls it again is refused."""
    graph = functions({"f": ["g"], "g": [], "back": ["g"]})
    graph.library.gradient.add(function_name="g", gradient_func="back")
    assert "calls itself" in refusal(graph)


def test_functions_that_multiply_are_refused() -> None:
    """Each of 40 functions calls the next one twice: inlined, they are 2^40 nodes."""
    graph = functions({f"f{i}": [f"f{i + 1}"] * 2 for i in range(40)})
    check_calls(graph)  # no node of the graph calls them
    graph.node.add(name="call", op="f0")
    assert "the graph has more than 20,000,000 nodes if each call is replaced by" in refusal(graph)
