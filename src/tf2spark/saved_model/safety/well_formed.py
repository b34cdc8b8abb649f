"""Whether a graph is one that TensorFlow can import, and one that can be checked.

TensorFlow refuses most of what is refused here too, but later, and some of it ends the process: the
search for a cycle, for example, is recursive. And where a name is given twice, what was checked
might not be what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from tf2spark.dtypes import from_code
from tf2spark.errors import ModelError
from tf2spark.saved_model.graph.function_library import called_functions, functions_in, takes_lists
from tf2spark.saved_model.graph.upstream import is_control, node_name
from tf2spark.saved_model.protos import FunctionMessage, GraphMessage, NodeMessage
from tf2spark.saved_model.safety import op_allow_list
from tf2spark.saved_model.safety.call_limits import check_calls

MAX_NODES = 1_000_000
"""How many nodes and functions a graph may have, with the nodes of its functions."""

MAX_INPUTS = 4_000_000
"""How many inputs all these nodes may have together."""

MAX_CONSTANT_ELEMENTS = 2**31 - 1
"""How many elements a constant may have."""

MAX_SHAPE_ELEMENTS = 2**62
"""How many elements a shape may have: TensorFlow counts them in 64 bits."""

# The attributes with the types of what a call passes to its functions, and of what it gets back.
_TYPE_LISTS = {
    "PartitionedCall": ("Tin", "Tout"),
    "StatefulPartitionedCall": ("Tin", "Tout"),
    "If": ("Tin", "Tout"),
    "StatelessIf": ("Tin", "Tout"),
    "Case": ("Tin", "Tout"),
    "StatelessCase": ("Tin", "Tout"),
    "While": ("T", ""),  # its condition returns something else
    "StatelessWhile": ("T", ""),
}
# Counts that end the process where they are out of range, with what is in range. A caller of a
# function could fill in any.
_COUNTS = {
    ("Enter", "parallel_iterations"): (1, 100_000),
    ("RefEnter", "parallel_iterations"): (1, 100_000),
    ("BatchFunction", "num_batch_threads"): (0, 1_024),
    ("ThreadPoolHandle", "num_threads"): (0, 1_024),
}
_OPS_WITH_COUNTS = frozenset(op for op, _ in _COUNTS)
# A loop is a cycle from the first of these to the second.
_LOOP_ENDS = frozenset({"NextIteration", "RefNextIteration"})
_LOOP_STARTS = frozenset({"Merge", "RefMerge", "_XlaMerge"})


def check_graph(graph: GraphMessage) -> None:
    """Check names, edges and functions of a graph.

    Raises:
        ModelError: The graph is too large, has a name twice, lacks a node, has a cycle, or its
            functions can't be inlined.
    """
    functions = graph.library.function
    _check_size(graph)
    _check_nodes(graph.node, None)
    for function in functions:
        _check_function(function)
    _refuse_duplicates(
        (function.signature.name for function in functions), "the graph has two functions"
    )
    _refuse_duplicates(
        (gradient.function_name for gradient in graph.library.gradient),
        "the graph has two gradients of the function",
    )
    check_calls(graph)
    counts = {
        function.signature.name: (
            len(function.signature.input_arg),
            len(function.signature.output_arg),
        )
        for function in functions
        if not takes_lists(function)
    }
    for nodes in (graph.node, *(function.node_def for function in functions)):
        for node in nodes:
            if node.op in _TYPE_LISTS:
                _check_types(node, counts)


def _check_size(graph: GraphMessage) -> None:
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    node_count = len(graph.library.function) + sum(map(len, bodies))
    if node_count > MAX_NODES:
        raise ModelError(
            f"the graph has {node_count:,} nodes and functions, and at most {MAX_NODES:,} are "
            "checked"
        )
    input_count = sum(len(node.input) for nodes in bodies for node in nodes)
    if input_count > MAX_INPUTS:
        raise ModelError(
            f"the nodes of the graph have {input_count:,} inputs, and at most {MAX_INPUTS:,} are "
            "checked"
        )


def _refuse_duplicates(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ModelError(f'{what} "{name}", of which TensorFlow uses only one')
        seen.add(name)


def _check_function(function: FunctionMessage) -> None:
    name = function.signature.name
    # TensorFlow resolves the name of an op in its own registry or in the library, depending on who
    # asks. No exporter writes such a function.
    if op_allow_list.is_known(name) or op_allow_list.package_of(name) is not None:
        raise ModelError(f'the graph has a function with the name of an op, "{name}"')
    for attribute in function.signature.attr:
        if any(functions_in(attribute.default_value)):
            raise ModelError(
                f'the function "{name}" calls another one by default through its attribute '
                f'"{attribute.name}", which can\'t be checked'
            )
    arguments = [argument.name for argument in function.signature.input_arg]
    names = (*arguments, *(node.name for node in function.node_def))
    _refuse_duplicates(names, f'the function "{name}" has two nodes or arguments')
    _check_nodes(function.node_def, name)


def _check_nodes(nodes: Sequence[NodeMessage], function: str | None) -> None:
    """Check the edges in a graph or in the body of a function.

    A cycle that is not a loop is refused, as in ``graph_constructor.cc``.
    """
    graph = "the graph" if function is None else f'the function "{function}"'
    names = [node.name for node in nodes]
    positions = {name: position for position, name in enumerate(names)}
    if function is None:
        _refuse_duplicates(names, "the graph has two nodes")
    consumers: list[list[int]] = [[] for _ in names]
    waiting = [0] * len(names)
    loop_ends = {node.name for node in nodes if node.op in _LOOP_ENDS}
    for position, node in enumerate(nodes):
        if node.op == "Const":
            _check_constant(node)
        if function is None:
            _check_input_count(node)
        _check_attributes(node)
        back_edges = loop_ends if node.op in _LOOP_STARTS else ()
        for name in map(node_name, node.input):
            source = positions.get(name)
            if source is None:
                if function is None:
                    raise ModelError(
                        f'the node "{node.name}" ({node.op}) needs the node "{name}", which is '
                        "not in the graph"
                    )
            elif name not in back_edges:
                consumers[source].append(position)
                waiting[position] += 1
    _refuse_cycle(names, consumers, waiting, graph)


def _check_constant(node: NodeMessage) -> None:
    """Refuse a constant that ends the process, in Grappler or for lack of memory."""
    if "dtype" not in node.attr or "value" not in node.attr:
        return
    dtype, tensor = node.attr["dtype"], node.attr["value"].tensor
    # One value in the file can stand for any number of elements.
    element_count = prod(dim.size for dim in tensor.tensor_shape.dim)
    if element_count > MAX_CONSTANT_ELEMENTS:
        raise ModelError(
            f'the constant "{node.name}" has {element_count:,} elements, and at most '
            f"{MAX_CONSTANT_ELEMENTS:,} are supported"
        )
    if dtype.HasField("type") and dtype.type != tensor.dtype:
        raise ModelError(
            f'the constant "{node.name}" is {from_code(dtype.type)}, but its value is '
            f"{from_code(tensor.dtype)}: the model is damaged"
        )


def _check_attributes(node: NodeMessage) -> None:
    """Refuse attributes that end the process: shapes that overflow, and counts out of range."""
    for key, value in node.attr.items():
        # TensorFlow itself refuses such an "_output_shapes".
        if key.startswith("_"):
            continue
        for shape in (value.shape, *value.list.shape, value.tensor.tensor_shape):
            sizes = [dim.size for dim in shape.dim]
            if len(sizes) > 1 and prod(max(size, 1) for size in sizes) > MAX_SHAPE_ELEMENTS:
                raise ModelError(
                    f'the node "{node.name}" ({node.op}) has a shape of more than '
                    f'{MAX_SHAPE_ELEMENTS:,} elements in its attribute "{key}"'
                )
    if node.op not in _OPS_WITH_COUNTS:
        return
    for (op, key), (least, most) in _COUNTS.items():
        if op != node.op or key not in node.attr:
            continue
        count = node.attr[key]
        if count.HasField("placeholder") or not least <= count.i <= most:
            raise ModelError(
                f'the node "{node.name}" ({node.op}) has {count.i:,} {key}, and must have '
                f"{least:,} to {most:,}"
            )


def _check_input_count(node: NodeMessage) -> None:
    """Refuse a node with too few or too many inputs: they can end the process."""
    expected, can_be_more = op_allow_list.input_counts().get(node.op, (0, True))
    count = sum(not is_control(name) for name in node.input)
    if count < expected or (count > expected and not can_be_more):
        raise ModelError(
            f'the node "{node.name}" ({node.op}) has {count} inputs, expected {expected}'
            f"{' or more' if can_be_more else ''}: the model is damaged"
        )


def _check_types(node: NodeMessage, counts: Mapping[str, tuple[int, int]]) -> None:
    """Refuse a call whose function takes or returns another number of tensors than it says.

    TensorFlow ends the process where a function returns more than its call has outputs.
    """
    for key, side, what in zip(_TYPE_LISTS[node.op], (0, 1), ("takes", "returns"), strict=True):
        if not key or (key in node.attr and node.attr[key].HasField("placeholder")):
            continue
        listed = len(node.attr[key].list.type) if key in node.attr else 0
        for name in called_functions(node):
            if name in counts and counts[name][side] != listed:
                raise ModelError(
                    f'the node "{node.name}" ({node.op}) has {listed} types in "{key}", but the '
                    f'function "{name}" {what} {counts[name][side]}: the model is damaged'
                )


def _refuse_cycle(
    names: Sequence[str], consumers: Sequence[Sequence[int]], waiting: list[int], graph: str
) -> None:
    """Sort the nodes topologically; `waiting` has the number of inputs of each."""
    ready = [position for position, count in enumerate(waiting) if not count]
    sorted_count = 0
    while ready:
        sorted_count += 1
        for consumer in consumers[ready.pop()]:
            waiting[consumer] -= 1
            if not waiting[consumer]:
                ready.append(consumer)
    if sorted_count < len(names):
        stuck = next(position for position, count in enumerate(waiting) if count)
        raise ModelError(f'{graph} has a cycle; it leads to the node "{names[stuck]}"')
