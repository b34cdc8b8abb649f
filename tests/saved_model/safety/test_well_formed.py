"""`well_formed`: graphs that TensorFlow refuses or that end its process, and large ones."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.errors import ModelError
from tf2spark.saved_model.protos import GraphDef
from tf2spark.saved_model.safety import well_formed
from tf2spark.saved_model.safety.well_formed import check_graph


@pytest.fixture
def graph() -> Any:
    """A graph with a constant, a node that needs it, and a function."""
    graph = GraphDef()
    add_constant(graph, "c")
    graph.node.add(name="n", op="Neg", input=["c"])
    function = graph.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="a")
    function.node_def.add(name="inside", op="Neg", input=["a"])
    check_graph(graph)
    return graph


def add_constant(graph: Any, name: str) -> Any:
    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = 1
    node.attr["value"].tensor.dtype = 1
    return node


def refusal(graph: Any) -> str:
    with pytest.raises(ModelError) as caught:
        check_graph(graph)
    return str(caught.value)


def test_names_are_unique(graph: Any) -> None:
    """Of two nodes, functions or gradients with one name, TensorFlow uses only one."""
    copies = [GraphDef.FromString(graph.SerializeToString()) for _ in range(4)]
    add_constant(copies[0], "n")
    copies[1].library.function.add().signature.name = "f"
    for name in ("g", "h"):
        copies[2].library.gradient.add(function_name="f", gradient_func=name)
    copies[3].library.function[0].node_def.add(name="a", op="NoOp")
    assert list(map(refusal, copies)) == [
        'the graph has two nodes "n", of which TensorFlow uses only one',
        'the graph has two functions "f", of which TensorFlow uses only one',
        'the graph has two gradients of the function "f", of which TensorFlow uses only one',
        'the function "f" has two nodes or arguments "a", of which TensorFlow uses only one',
    ]


def test_inputs_are_in_the_graph(graph: Any) -> None:
    """A node that needs another one which isn't there is named."""
    graph.node.add(name="m", op="Neg", input=["gone:1"])
    assert refusal(graph) == 'the node "m" (Neg) needs the node "gone", which is not in the graph'


@pytest.mark.parametrize(
    ("op", "inputs", "expected"),
    [
        ("Identity", [], "0 inputs, expected 1"),
        ("Identity", ["^c"], "0 inputs, expected 1"),
        ("RestoreV2", ["c"], "1 inputs, expected 3"),
        ("AddV2", ["c", "c", "c"], "3 inputs, expected 2"),
        ("Case", [], "0 inputs, expected 1 or more"),
    ],
)
def test_nodes_have_their_inputs(graph: Any, op: str, inputs: list[str], expected: str) -> None:
    """TensorFlow's process ends at some nodes that lack inputs, so all are counted."""
    graph.node.add(name="m", op=op, input=inputs)
    assert refusal(graph) == f'the node "m" ({op}) has {expected}: the model is damaged'


def test_a_cycle_is_refused(graph: Any) -> None:
    """In the graph or in a function, by an edge of data or of control."""
    graph.node[1].input[0] = "back"
    graph.node.add(name="back", op="Neg", input=["n"])
    assert refusal(graph).startswith('the graph has a cycle; it leads to the node "')
    graph.node[1].input[0] = "c"
    body = graph.library.function[0].node_def
    body.add(name="more", op="NoOp", input=["^inside"])
    body[0].input.append("^more")
    assert refusal(graph).startswith('the function "f" has a cycle; it leads to')


def test_a_loop_is_no_cycle(graph: Any) -> None:
    """The edge from a NextIteration to a Merge makes a loop, which is allowed."""
    graph.node.add(name="merge", op="Merge", input=["c", "next"])
    graph.node.add(name="next", op="NextIteration", input=["merge"])
    check_graph(graph)
    graph.node[-1].op = "Identity"
    assert "has a cycle" in refusal(graph)


def test_a_constant_has_one_dtype(graph: Any) -> None:
    """Grappler ends the process at a constant whose value has another dtype than its node."""
    graph.node[0].attr["value"].tensor.dtype = 17
    message = 'the constant "c" is float32, but its value is uint16: the model is damaged'
    assert refusal(graph) == message


def test_a_constant_has_a_size_that_fits_into_memory(graph: Any) -> None:
    """One value in the file can stand for any number of elements."""
    sizes = graph.node[0].attr["value"].tensor.tensor_shape
    sizes.dim.add(size=2**20)
    check_graph(graph)
    sizes.dim.add(size=2**20)
    message = 'the constant "c" has 1,099,511,627,776 elements, and at most 2,147,483,647 are'
    assert refusal(graph).startswith(message)


@pytest.mark.parametrize("op", ["PartitionedCall", "StatelessCase", "While"])
def test_calls_fit_their_functions(graph: Any, op: str) -> None:
    """TensorFlow ends the process where a function returns more than its call has outputs."""
    graph.library.function[0].signature.output_arg.add(name="r")
    inputs = ["c", "c"] if op == "StatelessCase" else ["c"]
    node = graph.node.add(name="call", op=op, input=inputs)
    lists = ["T"] if op == "While" else ["Tin", "Tout"]
    for key in lists:
        node.attr[key].list.type.append(1)
    key = {"PartitionedCall": "f", "StatelessCase": "branches", "While": "body"}[op]
    if key == "branches":
        node.attr[key].list.func.add(name="f")
    else:
        node.attr[key].func.name = "f"
    check_graph(graph)
    for key in lists:
        del node.attr[key].list.type[:]
        message = f'the node "call" ({op}) has 0 types in "{key}", but the function "f"'
        assert refusal(graph).startswith(message)
        node.attr[key].placeholder = "set by the caller"
        check_graph(graph)


def test_functions_do_not_hide_ops(graph: Any) -> None:
    """A function named like an op, allowed or not, is refused; so is one called by default."""
    graph.library.function[0].signature.name = "Identity"
    assert refusal(graph) == 'the graph has a function with the name of an op, "Identity"'
    graph.library.function[0].signature.name = "f"
    attribute = graph.library.function[0].signature.attr.add(name="g")
    attribute.default_value.s = b"text"
    check_graph(graph)
    attribute.default_value.func.name = "WriteFile"
    assert 'calls another one by default through its attribute "g"' in refusal(graph)


def test_large_graphs_are_refused(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the number and the limit; nodes inside functions count."""
    monkeypatch.setattr(well_formed, "MAX_INPUTS", 1)
    assert refusal(graph) == "the nodes of the graph have 2 inputs, and at most 1 are checked"
    monkeypatch.setattr(well_formed, "MAX_NODES", 3)
    assert refusal(graph) == "the graph has 4 nodes and functions, and at most 3 are checked"


@pytest.mark.parametrize(
    ("op", "attribute", "count"),
    [
        ("Enter", "parallel_iterations", 0),
        ("Enter", "parallel_iterations", -1),
        ("RefEnter", "parallel_iterations", 2**31 - 1),
        ("BatchFunction", "num_batch_threads", 1_000_000),
        ("ThreadPoolHandle", "num_threads", 1_000_000),
    ],
)
def test_attributes_out_of_range_are_refused(
    graph: Any, op: str, attribute: str, count: int
) -> None:
    """A number of threads or iterations that ends the process, or that a caller fills in."""
    node = graph.library.function[0].node_def.add(name="counted", op=op)
    node.attr[attribute].i = count
    assert attribute in refusal(graph)
    node.attr[attribute].placeholder = "count"
    assert attribute in refusal(graph)
    node.attr[attribute].i = 10
    check_graph(graph)


@pytest.mark.parametrize("listed", [True, False])
def test_shapes_that_overflow_are_refused(graph: Any, listed: bool) -> None:
    """A shape whose elements can't be counted in 64 bits, alone or in a list."""
    value = graph.node.add(name="queue", op="FIFOQueueV2").attr["shapes"]
    shape = value.list.shape.add() if listed else value.shape
    for size in (2**40, -1, 2**40):
        shape.dim.add(size=size)
    assert 'in its attribute "shapes"' in refusal(graph)
    shape.dim[0].size = 2
    check_graph(graph)
