"""Which nodes of a MetaGraph run, followed through calls into function bodies.

A session runs only the nodes that the fetched tensors depend on; loading a SavedModel runs its
restore op and its init op (``tensorflow/cc/saved_model/loader.cc``). Inside a function every node
counts, because stateful ones run whether or not a result depends on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

from attrs import Factory, frozen

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model.protos import (
    AssetFileDef,
    AttrMessage,
    FunctionMessage,
    MetaGraph,
    NodeMessage,
)
from tf2spark.saved_model.upstream import is_control, node_name, tensor_name

Origin = Literal["", "asset", "checkpoint"]
"""What the loader feeds to a tensor: the path of an asset, of the checkpoint, or neither ("")."""

INIT_SIGNATURE = "__saved_model_init_op"
TRAIN_SIGNATURE = "__saved_model_train_op"
# In the order in which loader.cc looks for them.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSETS_COLLECTION = "saved_model_assets"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Their first input chooses the branch; the others are the arguments of every branch.
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})

FindOrigin = Callable[[str], Origin]
Nodes: TypeAlias = Mapping[str, NodeMessage]
Seen: TypeAlias = set[tuple[str, tuple[Origin, ...]]]
"""Functions visited already, each with the origins of its arguments."""


@frozen(eq=False)
class NodeContext:
    """What surrounds a node: how it is reached, and what its inputs can be.

    Attributes:
        path: The path to its graph or function body, for messages: the output, then call nodes and
            functions alternating.
        functions: All functions of the MetaGraph by name.
        origin: Returns the origin of an input of the node, given the input's name.
    """

    path: tuple[str, ...]
    functions: Mapping[str, FunctionMessage]
    origin: FindOrigin


@frozen
class Run:
    """One run of the session.

    Attributes:
        fetches: The names of the fetched tensors or nodes, each with a label for messages.
        fed: The fed tensors, each with the origin of its value.
    """

    fetches: tuple[tuple[str, str], ...]
    fed: Mapping[str, Origin] = Factory(dict)


def asset_files(meta_graph: MetaGraph) -> dict[str, str]:
    """Return the asset files, relative to ``assets/``, by the graph tensor that is fed their path.

    TF2 lists them in the MetaGraph, TF1 in a collection; the MetaGraph wins, as in ``loader.cc``.

    Raises:
        UnsafeModelError: An asset is outside ``assets/``.
    """
    files = list(meta_graph.asset_file_def)
    if not files and _ASSETS_COLLECTION in meta_graph.collection_def:
        packed = meta_graph.collection_def[_ASSETS_COLLECTION].any_list.value
        files = [AssetFileDef.FromString(value.value) for value in packed]
    for file in files:
        path = PurePosixPath(file.filename)
        # Otherwise "../../../etc/passwd" would count as an asset, whose contents a table may hold.
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UnsafeModelError(
                f'the model names the asset "{file.filename}", which is outside its assets/ folder'
            )
    return {tensor_name(file.tensor_info.name): file.filename for file in files}


def init_op(meta_graph: MetaGraph) -> str:
    """Return the name of the op that loading runs last (it fills tables), or ""."""
    signature = meta_graph.signature_def.get(INIT_SIGNATURE)
    if signature is not None and INIT_SIGNATURE in signature.outputs:
        return str(signature.outputs[INIT_SIGNATURE].name)
    for collection in _INIT_COLLECTIONS:
        if collection in meta_graph.collection_def:
            names = meta_graph.collection_def[collection].node_list.value
            if names:
                return str(names[0])
    return ""


def loader_runs(meta_graph: MetaGraph) -> Iterator[Run]:
    """Yield what ``TF_LoadSessionFromSavedModel`` runs: the restore op, then the init op."""
    assets: dict[str, Origin] = dict.fromkeys(asset_files(meta_graph), "asset")
    saver = meta_graph.saver_def
    if saver.restore_op_name:
        prefix: dict[str, Origin] = {tensor_name(saver.filename_tensor_name): "checkpoint"}
        yield Run(((saver.restore_op_name, "restore op"),), prefix | assets)
    name = init_op(meta_graph)
    if name:
        yield Run(((name, "init op"),), assets)


def user_run(meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str]) -> Run:
    """Return the run that fetches some tensors (or nodes) and is fed others."""
    output_keys = {
        tensor_name(info.name): f'output "{key}"'
        for signature in meta_graph.signature_def.values()
        for key, info in signature.outputs.items()
        if info.name
    }
    labeled = tuple(
        (name, output_keys.get(tensor_name(name), f'tensor "{name}"')) for name in fetches
    )
    return Run(labeled, dict.fromkeys(map(tensor_name, feeds), ""))


def walk(meta_graph: MetaGraph, runs: Iterable[Run]) -> Iterator[tuple[NodeMessage, NodeContext]]:
    """Yield each node that these runs reach, with its context.

    A function is visited once for each combination of origins that its arguments have: what is
    safe with the path of an asset may not be safe with any other string.

    Raises:
        ModelError: A run fetches a node that isn't in the graph.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    library = _Library(nodes, meta_graph.graph_def.library)
    seen: Seen = set()
    for run in runs:
        for node, context in _walk_graph(library, nodes, run):
            yield node, context
            yield from _walk_calls(library, node, context, seen)


def _walk_graph(
    library: _Library, nodes: Nodes, run: Run
) -> Iterator[tuple[NodeMessage, NodeContext]]:
    origin = _graph_origin(library, nodes, run.fed)
    visited: set[str] = set()
    for fetch, label in run.fetches:
        if node_name(fetch) not in nodes:
            raise ModelError(f'the graph has no node "{node_name(fetch)}" ({label})')
        context = NodeContext((label,), library.functions, origin)
        pending = [fetch]
        while pending:
            name = pending.pop()
            # A control edge waits for the node itself, which runs even where its output is fed.
            if not is_control(name) and tensor_name(name) in run.fed:
                continue
            node = nodes.get(node_name(name))
            if node is None or node.name in visited:
                continue
            visited.add(node.name)
            pending.extend(node.input)
            yield node, context


def _walk_calls(
    library: _Library, node: NodeMessage, context: NodeContext, seen: Seen
) -> Iterator[tuple[NodeMessage, NodeContext]]:
    pending = list(_calls(library, node, context))
    while pending:
        function, origins, path = pending.pop()
        if (function, origins) in seen:
            continue
        seen.add((function, origins))
        inner = _function_context(library.functions, function, origins, path)
        for body_node in library.functions[function].node_def:
            yield body_node, inner
            pending.extend(_calls(library, body_node, inner))


def _calls(
    library: _Library, node: NodeMessage, context: NodeContext
) -> Iterator[tuple[str, tuple[Origin, ...], tuple[str, ...]]]:
    """Yield the functions that a node may call: name, origins of the arguments, and path."""
    if not library.functions:
        return
    for name in function_names(node):
        for function in library.alternatives(name):
            path = (*context.path, node.name, function)
            yield function, _argument_origins(library, node, function, context), path


def function_names(node: NodeMessage) -> list[str]:
    """Return the functions that a node names: its op, then its attributes of type func."""
    names = [node.op]
    for value in node.attr.values():
        names += _functions_in(value)
    return names


def _functions_in(value: AttrMessage) -> Iterator[str]:
    # A named function carries attributes of its own, which may name further functions.
    calls = [value.func] if value.HasField("func") else value.list.func
    for call in calls:
        yield call.name
        for inner in call.attr.values():
            yield from _functions_in(inner)


class _Library:
    """The functions of a graph, and which ones TensorFlow may run in place of another."""

    def __init__(self, nodes: Nodes, library: Any) -> None:
        self._nodes = nodes
        self.functions = {function.signature.name: function for function in library.function}
        self._gradients = {
            gradient.function_name: gradient.gradient_func for gradient in library.gradient
        }
        self._implementations: dict[bytes, list[str]] = {}
        for name, function in self.functions.items():
            if "api_implements" in function.attr:
                api = function.attr["api_implements"].s
                self._implementations.setdefault(api, []).append(name)

    @cached_property
    def sole_values(self) -> dict[str, str]:
        return _sole_values(self._nodes, self.functions.values())

    def alternatives(self, name: str) -> list[str]:
        """Return the functions that may run where `name` is called, itself first.

        Grappler's implementation selector swaps functions with the same "api_implements" (the
        CPU and GPU forms of an LSTM); SymbolicGradient runs a function's gradient function.
        """
        names = [name, self._gradients.get(name, "")]
        function = self.functions.get(name)
        if function is not None and "api_implements" in function.attr:
            names += self._implementations[function.attr["api_implements"].s]
        return [name for name in dict.fromkeys(names) if name in self.functions]


def _argument_origins(
    library: _Library, node: NodeMessage, function: str, context: NodeContext
) -> tuple[Origin, ...]:
    count = len(library.functions[function].signature.input_arg)
    inputs = [name for name in node.input if not is_control(name)]
    if node.op in _BRANCHES:
        inputs = inputs[1:]
    elif node.op not in _CALLS and node.op != function:
        # Any other op (a loop, a map over a dataset) may pass computed values.
        inputs = []
    fits = len(inputs) == count
    return tuple(context.origin(inputs[i]) if fits else "" for i in range(count))


def _function_context(
    functions: Mapping[str, FunctionMessage],
    name: str,
    origins: Sequence[Origin],
    path: tuple[str, ...],
) -> NodeContext:
    function = functions[name]
    nodes = {node.name: node for node in function.node_def}
    fed: dict[str, Origin] = {
        argument.name: origin
        for argument, origin in zip(function.signature.input_arg, origins, strict=True)
    }

    def origin(name: str) -> Origin:
        visited: set[str] = set()
        while name not in fed:
            node = nodes.get(node_name(name))
            if node is None or node.op != "Identity" or name in visited:
                return ""
            visited.add(name)
            name = node.input[0]
        return fed[name]

    return NodeContext(path, functions, origin)


def _graph_origin(library: _Library, nodes: Nodes, fed: Mapping[str, Origin]) -> FindOrigin:
    def origin(name: str) -> Origin:
        visited: set[str] = set()
        while tensor_name(name) not in fed:
            node = nodes.get(node_name(name))
            if node is None or node.name in visited:
                return ""
            visited.add(node.name)
            if node.op == "Identity":
                name = node.input[0]
            elif node.op == "ReadVariableOp":
                name = library.sole_values.get(node_name(node.input[0]), "")
            else:
                return ""
        return fed[tensor_name(name)]

    return origin


def _sole_values(nodes: Nodes, functions: Iterable[FunctionMessage]) -> dict[str, str]:
    """Return, by variable, the only tensor ever assigned to it; other variables are left out.

    TF2 keeps the path of an asset in a variable, which the init op fills. Such a variable is
    assigned once, read, and checked for initialization, but never passed to a function. If it
    were used in any other way, or if another node shared its storage, it could hold any path.
    """
    variables = [node for node in nodes.values() if node.op == "VarHandleOp"]
    in_bodies = (
        node for function in functions for node in function.node_def if node.op == "VarHandleOp"
    )
    # Handles with the same shared_name are the same variable.
    owners = Counter(_shared_name(node) for node in (*variables, *in_bodies))
    values: dict[str, set[str]] = {
        node.name: set() for node in variables if owners[_shared_name(node)] == 1
    }
    other_use = {"", " "}  # two values, so the variable is left out
    for node in nodes.values():
        for position, name in enumerate(node.input):
            if node_name(name) not in values or is_control(name):
                continue
            if node.op == "AssignVariableOp" and position == 0:
                values[node_name(name)].add(node.input[1])
            elif node.op not in ("ReadVariableOp", "VarIsInitializedOp"):
                values[node_name(name)] |= other_use
    return {name: tensors.pop() for name, tensors in values.items() if len(tensors) == 1}


def _shared_name(node: NodeMessage) -> bytes:
    return bytes(node.attr["shared_name"].s) if "shared_name" in node.attr else b""
