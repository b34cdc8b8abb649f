"""Which nodes may run as TensorFlow imports a graph, though no output needs them.

Shape inference needs the values of some inputs: the second one of a Reshape, for example. If such
an input depends on constants alone, TensorFlow computes it as it imports the graph
(``EvaluateConstantTensor`` in ``tensorflow/core/common_runtime/eval_const_tensor.cc``). So an op
that reads or writes files runs there if it isn't stateful. Whether a value is needed depends on the
op that gets it and on that op's attributes. So all nodes count that could be computed: those that
depend on nothing but constants and shapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from tf2spark.saved_model import op_allow_list
from tf2spark.saved_model.protos import MetaGraph, NodeMessage
from tf2spark.saved_model.upstream import is_control, node_name

# Of the nodes without inputs, only these are computed, and from this node with one nothing is.
_CONSTANTS = frozenset({"Const", "HostConst"})
_DEFAULT = "PlaceholderWithDefault"
# Their value can follow from the shape of a tensor whose value isn't known.
_FROM_SHAPE = frozenset({"Shape", "ShapeN", "Size", "Rank", "VariableShape"})
# They are allowed, but read a file that an attribute names.
_READ_FILE_BY_ATTRIBUTE = frozenset({"DecodeProtoV2", "EncodeProto"})


def evaluated_nodes(meta_graph: MetaGraph) -> Iterator[tuple[NodeMessage, tuple[str, ...]]]:
    """Yield the nodes that may be unsafe and may run at import, each with its path for messages.

    The bodies of functions count as well: Python's loader imports them as graphs of their own.
    """
    graph = meta_graph.graph_def
    yield from ((node, ("import of the graph",)) for node in _computable(graph.node, ()))
    for function in graph.library.function:
        path = ("import of the graph", function.signature.name)
        arguments = [argument.name for argument in function.signature.input_arg]
        yield from ((node, path) for node in _computable(function.node_def, arguments))


def _computable(
    nodes: Collection[NodeMessage], arguments: Collection[str]
) -> Iterator[NodeMessage]:
    unsafe = op_allow_list.unsafe_at_import() | _READ_FILE_BY_ATTRIBUTE
    candidates = [node for node in nodes if node.op in unsafe]
    if candidates:
        unknown = _downstream_of_unknown(nodes, arguments)
        yield from (node for node in candidates if node.name not in unknown)


def _downstream_of_unknown(nodes: Collection[NodeMessage], arguments: Iterable[str]) -> set[str]:
    """Return the nodes that need a value that is unknown at import: of an input or a variable."""
    consumers: dict[str, list[str]] = defaultdict(list)
    pending = list(arguments)
    for node in nodes:
        sources = [node_name(name) for name in node.input if not is_control(name)]
        if node.op == _DEFAULT or (not sources and node.op not in _CONSTANTS):
            pending.append(node.name)
        elif node.op not in _FROM_SHAPE:
            for source in sources:
                consumers[source].append(node.name)
    reached: set[str] = set()
    while pending:
        for consumer in consumers[pending.pop()]:
            if consumer not in reached:
                reached.add(consumer)
                pending.append(consumer)
    return reached
