"""The variables that a run writes: the state that a model keeps from one batch to the next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tf2spark.saved_model.function_library import FunctionLibrary, calls
from tf2spark.saved_model.protos import FunctionMessage, MetaGraph, NodeMessage
from tf2spark.saved_model.reachable_nodes import StepLimit
from tf2spark.saved_model.signatures import shape
from tf2spark.saved_model.upstream import data_inputs, node_name, tensor_name, upstream

_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
_WRITES = re.compile("Assign(Add|Sub)?(VariableOp)?")
Nodes = Mapping[str, NodeMessage]
Scope = tuple[Nodes, list[NodeMessage], Mapping[str, str | None]]
"""The nodes of a graph or function by name, those that run, and the variables of its arguments."""


def state_batch_sizes(
    meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str]
) -> frozenset[int]:
    """Return the first dimensions of the variables that a run writes.

    A recurrent network that keeps its state has a fixed batch size, the first dimension of that
    state. Keras 3 exports its input with a free batch dimension all the same.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    sizes = set()
    for name in _written(meta_graph, nodes, fetches, feeds):
        dims = shape(nodes[name].attr["shape"].shape)
        if dims and len(dims) > 1 and dims[0] is not None:
            sizes.add(dims[0])
    return frozenset(sizes)


def _written(
    meta_graph: MetaGraph, nodes: Nodes, fetches: Iterable[str], feeds: Iterable[str]
) -> set[str]:
    """Return the nodes of the variables that a run writes, in the graph or in its functions."""
    functions = FunctionLibrary(meta_graph.graph_def).functions
    limit = StepLimit("the variables that the model writes can't be found")
    run = upstream(nodes, fetches, fed=set(map(tensor_name, feeds)))
    written: set[str] = set()
    pending: list[Scope] = [(nodes, list(run.values()), {})]
    visited: set[tuple[str, tuple[str | None, ...]]] = set()
    while pending:
        scope, body, arguments = pending.pop()
        for node in body:
            limit.count()
            if _WRITES.fullmatch(node.op):
                written.add(_variable(scope, arguments, node.input[0]) or "")
            for call in calls(node):
                function = functions.get(call.name)
                if function is None:
                    continue
                passed = tuple(_variable(scope, arguments, name) for name in call.arguments or ())
                if (call.name, passed) not in visited:
                    visited.add((call.name, passed))
                    pending.append(_body(function, passed))
    return written - {""}


def _body(function: FunctionMessage, passed: Sequence[str | None]) -> Scope:
    names = [argument.name for argument in function.signature.input_arg]
    body = list(function.node_def)
    return {node.name: node for node in body}, body, dict(zip(names, passed, strict=False))


def _variable(nodes: Nodes, arguments: Mapping[str, str | None], name: str) -> str | None:
    """Return the variable of the graph that a tensor is a handle of, or None."""
    visited: set[str] = set()
    while (node := nodes.get(node_name(name))) is not None and node.name not in visited:
        visited.add(node.name)
        if node.op in _VARIABLES:
            return str(node.name)
        inputs = data_inputs(node)
        if node.op != "Identity" or not inputs:
            return None
        name = inputs[0]
    return arguments.get(node_name(name))
