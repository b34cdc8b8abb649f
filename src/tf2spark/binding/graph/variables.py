"""The variables of a run: those that it writes, which are the state that a model keeps from one
batch to the next, and those that it reads although nothing gives them a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import Factory, frozen

from tf2spark.errors import ModelError
from tf2spark.saved_model.graph.function_library import (
    CALLS,
    FunctionLibrary,
    called_functions,
    calls,
    takes_lists,
)
from tf2spark.saved_model.graph.loader_runs import loader_runs
from tf2spark.saved_model.graph.reachable_nodes import StepLimit, walk
from tf2spark.saved_model.graph.upstream import (
    behind_identities,
    data_inputs,
    input_at,
    node_name,
    tensor_name,
    upstream,
)
from tf2spark.saved_model.protos import FunctionMessage, MetaGraph, NodeMessage
from tf2spark.saved_model.signatures import shape

_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
_WRITES = re.compile("Assign(Add|Sub)?(VariableOp)?")
# Ops that fail on a variable without a value.
_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd"})
_NOT_WRITING = _READS | {"Identity", "VariableShape", "VarIsInitializedOp", "DisableCopyOnRead"}
_LOOPS = frozenset({"While", "StatelessWhile"})
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_MAX_DEPTH = 64  # of branches in branches
# TensorFlow 1's control flow: what depends on these may not run.
_CONTROL_FLOW = frozenset(
    ("Switch", "RefSwitch", "_SwitchN", "Merge", "RefMerge", "Enter", "RefEnter", "Exit",
     "RefExit", "NextIteration", "RefNextIteration", "LoopCond")
)  # fmt: skip
Nodes = Mapping[str, NodeMessage]
VariableKey = tuple[bytes, bytes]
"""The container and the name of a variable; nodes with equal keys share a variable."""


@frozen(eq=False)
class _Body:
    """The graph, or the body of a function as one call runs it.

    Attributes:
        nodes: The nodes by name.
        handles: The variables of its nodes, and of the function's arguments, by name.
        fed: The tensors that are fed.
        returned: The tensors that are fetched, or that the function returns.
    """

    nodes: Nodes
    handles: Mapping[str, VariableKey | None]
    fed: Collection[str] = ()
    returned: Collection[str] = ()

    def variable(self, name: str) -> VariableKey | None:
        """Return the variable that a tensor is a handle of; None if that can't be decided."""
        source = behind_identities(self.nodes, name, fed=self.fed)
        return None if source is None else self.handles.get(node_name(source))


def state_batch_sizes(
    meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str]
) -> frozenset[int]:
    """Return the first dimensions of the variables that a run writes.

    A recurrent network that keeps its state has a fixed batch size, the first dimension of that
    state. Keras 3 exports its input with a free batch dimension all the same.
    """
    variables = [node for node in meta_graph.graph_def.node if node.op in _VARIABLES]
    handles = {node.name: _key(node) for node in variables}
    written = _written(meta_graph, handles, fetches, feeds)
    sizes = set()
    for node in variables:
        dims = shape(node.attr["shape"].shape)
        if _key(node) in written and dims and len(dims) > 1 and dims[0] is not None:
            sizes.add(dims[0])
    return frozenset(sizes)


def _written(
    meta_graph: MetaGraph,
    handles: Mapping[str, VariableKey],
    fetches: Iterable[str],
    feeds: Iterable[str],
) -> set[VariableKey]:
    """Return the variables that a run writes, in the graph or in its functions."""
    functions = FunctionLibrary(meta_graph.graph_def).functions
    limit = StepLimit("the variables that the model writes can't be found")
    graph = _Body({node.name: node for node in meta_graph.graph_def.node}, handles)
    run = upstream(graph.nodes, fetches, fed=set(map(tensor_name, feeds)))
    written: set[VariableKey | None] = set()
    pending: list[tuple[_Body, Iterable[NodeMessage]]] = [(graph, run.values())]
    visited: set[tuple[str, tuple[VariableKey | None, ...]]] = set()
    while pending:
        body, nodes = pending.pop()
        for node in nodes:
            limit.count()
            if _WRITES.fullmatch(node.op):
                written.add(body.variable(input_at(node, 0)))
            for call in calls(node):
                function = functions.get(call.name)
                passed = tuple(body.variable(name) for name in call.arguments or ())
                if function is not None and (call.name, passed) not in visited:
                    visited.add((call.name, passed))
                    inner = _body(function, passed)
                    pending.append((inner, inner.nodes.values()))
    return {variable for variable in written if variable is not None}


def _body(function: FunctionMessage, passed: Sequence[VariableKey | None]) -> _Body:
    arguments = [argument.name for argument in function.signature.input_arg]
    nodes = {node.name: node for node in function.node_def}
    return _Body(nodes, dict(zip(arguments, passed, strict=False)))


@frozen(eq=False)
class _Call:
    """A call of one function, which gets the inputs of the node.

    Attributes:
        function: The function.
        passed: The variables whose handles are its arguments; None for other arguments.
    """

    function: FunctionMessage
    passed: tuple[VariableKey | None, ...]

    @property
    def key(self) -> tuple[str, tuple[VariableKey | None, ...]]:
        return self.function.signature.name, self.passed


@frozen(eq=False)
class _Functions:
    """The functions of a graph, whose bodies are indexed once."""

    library: FunctionLibrary
    limit: StepLimit = Factory(lambda: StepLimit("the variables of the run can't be found"))
    _nodes: dict[str, Nodes] = Factory(dict)

    def calls_of(self, node: NodeMessage, body: _Body) -> list[_Call]:
        """Return the calls that a node makes: one, the branches, or condition and body of a loop.

        None are returned if it isn't known which functions run in their place.
        """
        follows = node.op in CALLS or node.op in _LOOPS or node.op in _BRANCHES
        names = called_functions(node) if follows else [node.op]
        inputs = data_inputs(node)
        passed = tuple(map(body.variable, inputs[1:] if node.op in _BRANCHES else inputs))
        calls = [self._call(name, passed) for name in names]
        return [call for call in calls if call is not None] if None not in calls else []

    def _call(self, name: str, passed: tuple[VariableKey | None, ...]) -> _Call | None:
        if self.library.alternatives(name) != [name]:
            return None
        function = self.library.functions[name]
        if takes_lists(function) or len(passed) != len(function.signature.input_arg):
            return None
        return _Call(function, passed)

    def body(self, call: _Call) -> _Body:
        function = call.function
        name = function.signature.name
        if name not in self._nodes:
            self._nodes[name] = {node.name: node for node in function.node_def}
        arguments = [argument.name for argument in function.signature.input_arg]
        handles = dict(zip(arguments, call.passed, strict=True))
        return _Body(self._nodes[name], handles, returned=list(function.ret.values()))


def unrestored_variables(
    meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str]
) -> tuple[str, ...]:
    """Return the names of variables that a run reads and that nothing gives a value, sorted.

    `tf.saved_model.save` on a Keras 3 model writes a restore op that leaves the variables that the
    outputs read without a value. A variable that may get one, or that may not be read, isn't
    returned: data sets aren't followed, nor is what only one of several branches reads.
    """
    graph = meta_graph.graph_def
    handles = {node.name: _key(node) for node in graph.node if node.op == "VarHandleOp"}
    loaded = {
        _key(node)
        for node, _ in walk(meta_graph, loader_runs(meta_graph))
        if node.op == "VarHandleOp"
    }
    if loaded.issuperset(handles.values()):
        return ()
    # A variable that has a node in a function too could be written there.
    loaded |= {
        _key(node)
        for function in graph.library.function
        for node in function.node_def
        if node.op == "VarHandleOp"
    }
    handles = {name: key for name, key in handles.items() if key not in loaded}
    nodes = {node.name: node for node in graph.node}
    functions = _Functions(FunctionLibrary(graph))
    fetches = list(fetches)
    try:
        read = _surely_read(
            _Body(nodes, handles, frozenset(map(tensor_name, feeds))), fetches, functions
        )
        if read:
            read -= _possibly_written(_Body(nodes, handles, returned=fetches), functions)
    except ModelError:  # too large to follow: the run itself reports it
        return ()
    return tuple(sorted(name.decode(errors="replace") for _, name in read))


def _key(node: NodeMessage) -> VariableKey:
    container, shared_name = (
        bytes(node.attr[key].s) if key in node.attr else b"" for key in ("container", "shared_name")
    )
    return container, shared_name or node.name.encode()


def _surely_read(
    graph: _Body, fetches: Iterable[str], functions: _Functions, depth: int = 0
) -> set[VariableKey]:
    """Return the variables that a run can't do without.

    In a function, only what the used results depend on surely runs. A loop is taken to run once at
    least; of branches, one alone may run, so that all of them have to read a variable.
    """
    read: set[VariableKey | None] = set()
    pending: list[tuple[_Body, Iterable[str]]] = [(graph, fetches)]
    visited = set()
    while pending:
        body, roots = pending.pop()
        reached = upstream(body.nodes, roots, fed=body.fed)
        functions.limit.count(len(reached))
        used = _used_outputs(reached, roots)
        possibly_skipped = _downstream_of_control_flow(reached)
        for node in reached.values():
            if node.name in possibly_skipped:
                continue
            inputs = data_inputs(node)
            if node.op in _READS and inputs:
                read.add(body.variable(inputs[0]))
            calls = [call for call in functions.calls_of(node, body) if any(call.passed)]
            results = {
                call: _results(call.function, node, used.get(node.name, set())) for call in calls
            }
            new = [call for call in calls if (call.key, tuple(results[call])) not in visited]
            visited |= {(call.key, tuple(results[call])) for call in new}
            if node.op not in _BRANCHES:
                pending += [(functions.body(call), results[call]) for call in new]
            elif new and depth < _MAX_DEPTH and len(calls) == len(called_functions(node)):
                branches = [
                    _surely_read(functions.body(call), results[call], functions, depth + 1)
                    for call in calls
                ]
                read.update(branches[0].intersection(*branches[1:]))
    return {variable for variable in read if variable is not None}


def _used_outputs(reached: Nodes, roots: Iterable[str]) -> dict[str, set[str]]:
    """Return the tensors that are fetched or that nodes read, by the name of their node."""
    used: dict[str, set[str]] = {}
    for name in (*roots, *(name for node in reached.values() for name in data_inputs(node))):
        used.setdefault(node_name(name), set()).add(tensor_name(name))
    return used


def _results(function: FunctionMessage, node: NodeMessage, used: Iterable[str]) -> list[str]:
    """Return the tensors of a function's body that become these outputs of a call."""
    outputs = [output.name for output in function.signature.output_arg]
    if node.op in _LOOPS:
        # Its results are the next iteration's arguments, and the condition has another one.
        return sorted(function.ret.values())
    results = []
    is_call = node.op in CALLS or node.op in _BRANCHES
    for tensor in used:
        # `call:1` in a graph; `call:output:1`, or `call:result:0`, in a function.
        _, *names, index = tensor.split(":")
        if names and not is_call:
            results.append(function.ret.get(names[0], ""))
        elif index.isdecimal() and int(index) < len(outputs):
            results.append(function.ret.get(outputs[int(index)], ""))
    return sorted(results)


def _downstream_of_control_flow(reached: Nodes) -> set[str]:
    pending = [node.name for node in reached.values() if node.op in _CONTROL_FLOW]
    if not pending:
        return set()
    consumers: dict[str, list[str]] = {}
    for node in reached.values():
        for name in node.input:
            consumers.setdefault(node_name(name), []).append(node.name)
    downstream: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in downstream:
            downstream.add(name)
            pending += consumers.get(name, ())
    return downstream


def _possibly_written(graph: _Body, functions: _Functions) -> set[VariableKey]:
    """Return the variables whose handles reach an op that isn't known to leave them as they are."""
    written: set[VariableKey | None] = set()
    pending: list[tuple[_Body, Iterable[NodeMessage]]] = [
        (graph, upstream(graph.nodes, graph.returned).values())
    ]
    visited = set()
    while pending:
        body, nodes = pending.pop()
        for node in nodes:
            functions.limit.count()
            passed = [body.variable(name) for name in data_inputs(node)]
            if node.op in _NOT_WRITING or not any(passed):
                continue
            calls = functions.calls_of(node, body)
            if not calls:
                written.update(passed)
            for call in calls:
                if call.key in visited:
                    continue
                visited.add(call.key)
                inner = functions.body(call)
                if node.op not in _LOOPS or _uses_handles(body, node, inner, call):
                    # The caller could write to a handle that the function returns.
                    written.update(map(inner.variable, inner.returned))
                pending.append((inner, inner.nodes.values()))
    return {variable for variable in written if variable is not None}


def _uses_handles(body: _Body, loop: NodeMessage, inner: _Body, call: _Call) -> bool:
    """Return whether handles that a loop's function returns are used, or change their places.

    A loop that leaves its captured variables alone returns each where it takes it.
    """
    ret, outputs = call.function.ret, call.function.signature.output_arg
    returned = [inner.variable(ret.get(output.name, "")) for output in outputs]
    pairs = zip(returned, call.passed, strict=False)
    if any(variable is not None and variable != passed for variable, passed in pairs):
        return True
    used = _used_outputs(body.nodes, body.returned).get(loop.name, set())
    positions = {tensor.rpartition(":")[2] for tensor in used}
    return any(str(index) in positions for index, variable in enumerate(returned) if variable)
