"""Which nodes of a MetaGraph run, through calls into function bodies.

A session runs the nodes that the fetched tensors need, no others; loading a SavedModel runs its
restore op and its init op (``tensorflow/cc/saved_model/loader.cc``). Inside a function all nodes
count: stateful ones run whether or not a result needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from attrs import Factory, frozen

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model.protos import AssetFileDef

Origin = Literal["", "asset", "checkpoint"]
"""What the loader feeds there: the path of an asset of the model, of its variables, or nothing."""

INIT_SIGNATURE = "__saved_model_init_op"
TRAIN_SIGNATURE = "__saved_model_train_op"
# In the order in which loader.cc looks for them.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSETS_COLLECTION = "saved_model_assets"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})


Follow = Callable[[str], Origin]


@frozen(eq=False)
class Scope:
    """The graph or function body that a node was found in.

    Attributes:
        path: The way there, for people: the output, then call nodes and functions by turns.
        functions: The functions of the whole graph by name.
        origin: Tells what the loader feeds to an input of one of its nodes.
    """

    path: tuple[str, ...]
    functions: Mapping[str, Any]
    origin: Follow


@frozen
class Run:
    """One run of the session: tensors wanted, each with its name for people, and tensors fed."""

    wanted: tuple[tuple[str, str], ...]
    fed: Mapping[str, Origin] = Factory(dict)


def asset_files(meta_graph: Any) -> dict[str, str]:
    """Return the asset files, below ``assets/``, by the graph tensor that takes their path.

    TF2 lists them in the MetaGraph, TF1 in a collection; the first wins, as in ``loader.cc``.

    Raises:
        UnsafeModelError: One is outside of ``assets/``.
    """
    files = list(meta_graph.asset_file_def)
    if not files and _ASSETS_COLLECTION in meta_graph.collection_def:
        packed = meta_graph.collection_def[_ASSETS_COLLECTION].any_list.value
        files = [AssetFileDef.FromString(value.value) for value in packed]
    for file in files:
        path = PurePosixPath(file.filename)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UnsafeModelError(
                f'the model names the asset "{file.filename}", which is outside its assets/ folder'
            )
    return {tensor_name(file.tensor_info.name): file.filename for file in files}


def init_op(meta_graph: Any) -> str:
    """Return the name of the op that loading runs last (tables are filled there), or ""."""
    signature = meta_graph.signature_def.get(INIT_SIGNATURE)
    if signature is not None and INIT_SIGNATURE in signature.outputs:
        return str(signature.outputs[INIT_SIGNATURE].name)
    for collection in _INIT_COLLECTIONS:
        if collection in meta_graph.collection_def:
            names = meta_graph.collection_def[collection].node_list.value
            if names:
                return str(names[0])
    return ""


def loader_runs(meta_graph: Any) -> Iterator[Run]:
    """Yield what ``TF_LoadSessionFromSavedModel`` runs: the restore op, then the init op."""
    assets: dict[str, Origin] = dict.fromkeys(asset_files(meta_graph), "asset")
    saver = meta_graph.saver_def
    if saver.restore_op_name:
        prefix: dict[str, Origin] = {tensor_name(saver.filename_tensor_name): "checkpoint"}
        yield Run(((saver.restore_op_name, "restore op"),), prefix | assets)
    name = init_op(meta_graph)
    if name:
        yield Run(((name, "init op"),), assets)


def user_run(meta_graph: Any, fetches: Iterable[str], feeds: Iterable[str]) -> Run:
    """Return the run that fetches these tensors (or nodes) with those tensors fed."""
    keys = {
        tensor_name(info.name): f'output "{key}"'
        for signature in meta_graph.signature_def.values()
        for key, info in signature.outputs.items()
        if info.name
    }
    wanted = tuple((name, keys.get(tensor_name(name), f'tensor "{name}"')) for name in fetches)
    return Run(wanted, dict.fromkeys(map(tensor_name, feeds), ""))


def tensor_name(name: str) -> str:
    """Return ``node:0`` for ``node``, and any other tensor name as it is."""
    return name if ":" in name else name + ":0"


def node_name(name: str) -> str:
    """Return the node in an input's name: ``^node``, ``node``, ``node:1`` or ``node:out:1``."""
    return name.lstrip("^").partition(":")[0]


def walk(meta_graph: Any, runs: Iterable[Run]) -> Iterator[tuple[Any, Scope]]:
    """Yield each node that these runs reach, with the scope it was found in.

    A function is visited once for each combination of paths that the loader feeds to it.

    Raises:
        ModelError: A run wants a node that the graph doesn't have.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    library = _Library(nodes, meta_graph.graph_def.library)
    seen: set[tuple[str, tuple[Origin, ...]]] = set()
    for run in runs:
        for node, scope in _walk_graph(library, nodes, run):
            yield node, scope
            yield from _walk_calls(library, node, scope, seen)


def _walk_graph(
    library: _Library, nodes: Mapping[str, Any], run: Run
) -> Iterator[tuple[Any, Scope]]:
    origin = _graph_origin(library, nodes, run.fed)
    done: set[str] = set()
    for wanted, label in run.wanted:
        if node_name(wanted) not in nodes:
            raise ModelError(f'the graph has no node "{node_name(wanted)}" ({label})')
        scope = Scope((label,), library.functions, origin)
        todo = [wanted]
        while todo:
            name = todo.pop()
            if not name.startswith("^") and tensor_name(name) in run.fed:
                continue
            node = nodes.get(node_name(name))
            if node is None or node.name in done:
                continue
            done.add(node.name)
            todo.extend(node.input)
            yield node, scope


def _walk_calls(
    library: _Library, node: Any, scope: Scope, seen: set[tuple[str, tuple[Origin, ...]]]
) -> Iterator[tuple[Any, Scope]]:
    todo = list(_calls(library, node, scope))
    while todo:
        function, origins, path = todo.pop()
        if (function, origins) in seen:
            continue
        seen.add((function, origins))
        inner = _function_scope(library.functions, function, origins, path)
        for body_node in library.functions[function].node_def:
            yield body_node, inner
            todo.extend(_calls(library, body_node, inner))


def _calls(
    library: _Library, node: Any, scope: Scope
) -> Iterator[tuple[str, tuple[Origin, ...], tuple[str, ...]]]:
    if not library.functions:
        return
    for name in function_names(node):
        for function in library.bodies(name):
            path = (*scope.path, node.name, function)
            yield function, _argument_origins(library, node, function, scope), path


def function_names(node: Any) -> list[str]:
    """Return the functions that a node names: its op, and its attributes of type func."""
    names = [node.op]
    for value in node.attr.values():
        _add_functions(value, names)
    return names


def _add_functions(value: Any, names: list[str]) -> None:
    if value.HasField("func"):
        calls = [value.func]
    elif value.HasField("list"):
        calls = value.list.func
    else:
        return
    for call in calls:
        names.append(call.name)
        for inner in call.attr.values():
            _add_functions(inner, names)


class _Library:
    """The functions of a graph, with those that TensorFlow may run in another's place."""

    def __init__(self, nodes: Mapping[str, Any], library: Any) -> None:
        self._nodes = nodes
        self.functions = {function.signature.name: function for function in library.function}
        self._gradients = {each.function_name: each.gradient_func for each in library.gradient}
        self._groups: dict[bytes, list[str]] = {}
        for name, function in self.functions.items():
            if "api_implements" in function.attr:
                self._groups.setdefault(function.attr["api_implements"].s, []).append(name)

    @cached_property
    def only_values(self) -> dict[str, str]:
        return _only_values(self._nodes, self.functions.values())

    def bodies(self, name: str) -> list[str]:
        # Grappler's implementation selector swaps functions of one "api_implements" (the CPU and
        # GPU forms of an LSTM); SymbolicGradient runs a function's gradient function.
        names = [name, self._gradients.get(name, "")]
        function = self.functions.get(name)
        if function is not None and "api_implements" in function.attr:
            names += self._groups[function.attr["api_implements"].s]
        return [each for each in dict.fromkeys(names) if each in self.functions]


def _argument_origins(
    library: _Library, node: Any, function: str, scope: Scope
) -> tuple[Origin, ...]:
    arguments = len(library.functions[function].signature.input_arg)
    inputs = [name for name in node.input if not name.startswith("^")]
    if node.op in _BRANCHES:
        inputs = inputs[1:]
    elif node.op not in _CALLS and node.op != function:
        inputs = []
    fits = len(inputs) == arguments
    return tuple(scope.origin(inputs[i]) if fits else "" for i in range(arguments))


def _function_scope(
    functions: Mapping[str, Any], name: str, origins: Sequence[Origin], path: tuple[str, ...]
) -> Scope:
    function = functions[name]
    nodes = {node.name: node for node in function.node_def}
    fed: dict[str, Origin] = {
        argument.name: origin
        for argument, origin in zip(function.signature.input_arg, origins, strict=True)
    }

    def origin(name: str) -> Origin:
        passed: set[str] = set()
        while name not in fed:
            node = nodes.get(node_name(name))
            if node is None or node.op != "Identity" or name in passed:
                return ""
            passed.add(name)
            name = node.input[0]
        return fed[name]

    return Scope(path, functions, origin)


def _graph_origin(library: _Library, nodes: Mapping[str, Any], fed: Mapping[str, Origin]) -> Follow:
    def origin(name: str) -> Origin:
        passed: set[str] = set()
        while tensor_name(name) not in fed:
            node = nodes.get(node_name(name))
            if node is None or node.name in passed:
                return ""
            passed.add(node.name)
            if node.op == "Identity":
                name = node.input[0]
            elif node.op == "ReadVariableOp":
                name = library.only_values.get(node_name(node.input[0]), "")
            else:
                return ""
        return fed[tensor_name(name)]

    return origin


def _only_values(nodes: Mapping[str, Any], functions: Iterable[Any]) -> dict[str, str]:
    """Return, by variable, the one tensor that is ever assigned to it; others are left out.

    TF2 keeps the path of an asset in a variable, which the init op fills. Such a variable is
    assigned once, read and asked whether it is filled, and never handed to a function.
    """
    handles = [node for node in nodes.values() if node.op == "VarHandleOp"]
    in_bodies = (node for each in functions for node in each.node_def if node.op == "VarHandleOp")
    names = Counter(_shared_name(node) for node in (*handles, *in_bodies))
    values: dict[str, set[str]] = {
        node.name: set() for node in handles if names[_shared_name(node)] == 1
    }
    for node in nodes.values():
        for place, name in enumerate(node.input):
            if node_name(name) not in values or name.startswith("^"):
                continue
            if node.op == "AssignVariableOp" and place == 0:
                values[node_name(name)].add(node.input[1])
            elif node.op not in ("ReadVariableOp", "VarIsInitializedOp"):
                values[node_name(name)] |= {"", " "}
    return {name: found.pop() for name, found in values.items() if len(found) == 1}


def _shared_name(node: Any) -> bytes:
    return bytes(node.attr["shared_name"].s) if "shared_name" in node.attr else b""
