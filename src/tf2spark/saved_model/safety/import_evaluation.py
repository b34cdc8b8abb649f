"""Which nodes may run as TensorFlow imports a graph, though no output needs them.

Shape inference needs the values of some inputs: the second one of a Reshape, for example. If such
an input depends on constants alone, TensorFlow computes it as it imports the graph
(``EvaluateConstantTensor`` in ``tensorflow/core/common_runtime/eval_const_tensor.cc``). So an op
that reads or writes files runs there if it isn't stateful. Whether a value is needed depends on the
op that gets it and on that op's attributes. So all nodes count that could be computed: those that
depend on nothing but constants and shapes.

Shape inference goes through calls into the bodies of functions, and knows their arguments where the
call gets constants. Python's loader also imports each body as a graph of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import chain

from tf2spark.saved_model.graph.function_library import Call, FunctionLibrary, calls, takes_lists
from tf2spark.saved_model.graph.reachable_nodes import StepLimit
from tf2spark.saved_model.graph.upstream import is_control, node_name
from tf2spark.saved_model.protos import FunctionMessage, MetaGraph, NodeMessage
from tf2spark.saved_model.safety import op_allow_list

# No other nodes without inputs are computed.
_CONSTANTS = frozenset({"Const", "HostConst"})
# Its value may be fed, so nothing is computed from it.
_DEFAULT = "PlaceholderWithDefault"
# Their value can follow from the shape of a tensor whose value isn't known.
_FROM_SHAPE = frozenset({"Shape", "ShapeN", "Size", "Rank", "VariableShape"})
# They are allowed, but read a file that an attribute names.
_READ_FILE_BY_ATTRIBUTE = frozenset({"DecodeProtoV2", "EncodeProto"})


def evaluated_nodes(meta_graph: MetaGraph) -> Iterator[tuple[NodeMessage, tuple[str, ...]]]:
    """Yield the nodes that may be unsafe and may run at import, each with its path for messages."""
    graph = meta_graph.graph_def
    unsafe = op_allow_list.unsafe_at_import() | _READ_FILE_BY_ATTRIBUTE
    bodies = (function.node_def for function in graph.library.function)
    ops = {node.op for nodes in (graph.node, *bodies) for node in nodes}
    functions = {function.signature.name for function in graph.library.function}
    # Custom ops run as well where another model or the user has loaded their library.
    unsafe |= {op for op in ops - functions if not op_allow_list.is_known(op)}
    if not ops.isdisjoint(unsafe):
        yield from _Evaluation(FunctionLibrary(graph), unsafe).evaluate(graph.node)


class _Evaluation:
    """Follows constants through a graph and its functions."""

    def __init__(self, library: FunctionLibrary, unsafe: Collection[str]) -> None:
        self._library = library
        self._unsafe = unsafe
        # Per function, the arguments that are known in some call. It only grows, so a function is
        # visited once for each argument at most.
        self._known: dict[str, frozenset[str]] = {}
        self._steps = StepLimit("what runs as the graph is imported can't be checked")

    def evaluate(
        self, graph_nodes: Sequence[NodeMessage]
    ) -> Iterator[tuple[NodeMessage, tuple[str, ...]]]:
        path = ("import of the graph",)
        nothing = frozenset[str]()
        pending = [(name, nothing) for name in self._library.functions]
        unknown = _downstream_of_unknown(graph_nodes, ())
        yield from ((node, path) for node in self._unsafe_nodes(graph_nodes, unknown))
        pending += self._called(graph_nodes, unknown)
        while pending:
            name, known = pending.pop()
            before = self._known.get(name)
            known |= before or nothing
            if known == before:
                continue
            self._known[name] = known
            function = self._library.functions[name]
            self._steps.count(len(function.node_def))
            arguments = [argument for argument in _arguments(function) if argument not in known]
            unknown = _downstream_of_unknown(function.node_def, arguments)
            for node in self._unsafe_nodes(function.node_def, unknown):
                yield node, (*path, name)
            pending += self._called(function.node_def, unknown | set(arguments))

    def _unsafe_nodes(
        self, nodes: Sequence[NodeMessage], unknown: Collection[str]
    ) -> Iterator[NodeMessage]:
        return (node for node in nodes if node.op in self._unsafe and node.name not in unknown)

    def _called(
        self, nodes: Sequence[NodeMessage], unknown: Collection[str]
    ) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield the functions that nodes call, each with the arguments that are known."""
        for call in chain.from_iterable(map(calls, nodes)):
            function = self._library.functions.get(call.name)
            if call.arguments is not None and function is not None:
                self._steps.count(1 + len(function.signature.input_arg))
                yield call.name, _known_arguments(function, call, unknown)


def _known_arguments(
    function: FunctionMessage, call: Call, unknown: Collection[str]
) -> frozenset[str]:
    arguments, inputs = _arguments(function), call.arguments or ()
    if takes_lists(function) or len(arguments) != len(inputs):
        return frozenset(arguments)
    pairs = zip(arguments, inputs, strict=True)
    return frozenset(argument for argument, name in pairs if node_name(name) not in unknown)


def _arguments(function: FunctionMessage) -> list[str]:
    return [argument.name for argument in function.signature.input_arg]


def _downstream_of_unknown(nodes: Sequence[NodeMessage], arguments: Collection[str]) -> set[str]:
    """Return the names whose values are unknown at import: inputs, variables, what needs them."""
    consumers: dict[str, list[str]] = defaultdict(list)
    pending = list(arguments)
    for node in nodes:
        sources = [node_name(name) for name in node.input if not is_control(name)]
        if node.op == _DEFAULT or (not sources and node.op not in _CONSTANTS):
            pending.append(node.name)
        elif node.op not in _FROM_SHAPE:
            for source in sources:
                consumers[source].append(node.name)
    reached = set(pending)
    while pending:
        for consumer in consumers[pending.pop()]:
            if consumer not in reached:
                reached.add(consumer)
                pending.append(consumer)
    return reached
