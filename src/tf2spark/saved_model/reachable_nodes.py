"""Which nodes of a MetaGraph run, followed through calls into function bodies.

A session runs only the nodes that the fetched tensors depend on; loading a SavedModel runs its
restore op and its init op (``tensorflow/cc/saved_model/loader.cc``). Inside a function every node
counts, because stateful ones run whether or not a result depends on them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from attrs import Factory, evolve, frozen
from google.protobuf.message import DecodeError

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.plan.score import Initialization
from tf2spark.saved_model.function_library import (
    Call,
    FunctionLibrary,
    called_functions,
    calls,
    takes_lists,
)
from tf2spark.saved_model.origins import FindOrigin, Origin, Origins
from tf2spark.saved_model.protos import (
    AssetFileDef,
    FunctionMessage,
    MetaGraph,
    NodeMessage,
    VariableDef,
)
from tf2spark.saved_model.upstream import is_control, node_name, tensor_name, upstream

INIT_SIGNATURE = "__saved_model_init_op"
TRAIN_SIGNATURE = "__saved_model_train_op"
MAX_STEPS = 2_000_000
"""How many nodes and arguments of calls a walk visits before it gives up."""

# In the order in which loader.cc looks for them.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
# In a model without an init op, TensorFlow's Python loader runs what these name
# (`default_local_init_op` in ``training/monitored_session.py``).
_LOCAL_VARIABLES = "local_variables"
_TABLE_INITIALIZERS = "table_initializer"
_ASSETS_COLLECTION = "saved_model_assets"
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
# Ops that take the path of an asset and don't open it.
_PATH_KEEPERS = frozenset({"Identity", "AssignVariableOp", "Assign"})


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


WalkedNode: TypeAlias = tuple[NodeMessage, NodeContext]
"""A node that runs, with its context."""


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
        ModelError: The list is damaged, or one tensor is fed two paths.
    """
    files: dict[str, str] = {}
    for file in _asset_messages(meta_graph):
        path = PurePosixPath(file.filename)
        # Otherwise "../../../etc/passwd" would count as an asset, whose contents a table may hold.
        # TensorFlow opens a name up to its first zero byte.
        outside = path.is_absolute() or ".." in path.parts or not path.parts
        if outside or "\0" in file.filename:
            raise UnsafeModelError(
                f'the model names the asset "{file.filename}", which is outside its assets/ folder'
            )
        tensor = tensor_name(file.tensor_info.name)
        if files.setdefault(tensor, file.filename) != file.filename:
            raise ModelError(f'two assets are fed to the tensor "{tensor}": the model is damaged')
    return files


def _asset_messages(meta_graph: MetaGraph) -> list[Any]:
    files = list(meta_graph.asset_file_def)
    if files or _ASSETS_COLLECTION not in meta_graph.collection_def:
        return files
    packed = meta_graph.collection_def[_ASSETS_COLLECTION].any_list.value
    try:
        return [AssetFileDef.FromString(value.value) for value in packed]
    except DecodeError as error:
        raise ModelError(f'the collection "{_ASSETS_COLLECTION}" is damaged: {error}') from error


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


def initialization(meta_graph: MetaGraph) -> Initialization:
    """Return what has to be run once ``TF_LoadSessionFromSavedModel`` has loaded a model.

    TensorFlow 1's exporters may write no init op. ``tf.saved_model.load`` then runs the
    initializers of local variables and of tables, which only collections name
    (``load_v1_in_v2.py``); the C API runs nothing.

    Raises:
        ModelError: A collection is damaged.
    """
    if init_op(meta_graph):
        return Initialization()
    local, tables = _local_initializers(meta_graph), _nodes_of(meta_graph, _TABLE_INITIALIZERS)
    if not local and not tables:
        return Initialization()
    assets = asset_files(meta_graph)
    # TF Serving loads a model with a local variable whose initial value needs an input, and runs
    # it unless an output reads that variable.
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    local = [name for name in local if not _needs_input(nodes, name, assets)]
    ops = dict.fromkeys(map(node_name, [*local, *tables]))
    return Initialization(tuple(ops), tuple(sorted(assets.items())))


def _needs_input(nodes: Mapping[str, NodeMessage], name: str, fed: Collection[str]) -> bool:
    run = upstream(nodes, [name], fed=fed)
    return any(node.op in _PLACEHOLDERS for node in run.values())


def _nodes_of(meta_graph: MetaGraph, collection: str) -> list[str]:
    if collection not in meta_graph.collection_def:
        return []
    return [name for name in meta_graph.collection_def[collection].node_list.value if name]


def _local_initializers(meta_graph: MetaGraph) -> list[str]:
    if _LOCAL_VARIABLES not in meta_graph.collection_def:
        return []
    packed = meta_graph.collection_def[_LOCAL_VARIABLES].bytes_list.value
    try:
        variables = [VariableDef.FromString(value) for value in packed]
    except DecodeError as error:
        raise ModelError(f'the collection "{_LOCAL_VARIABLES}" is damaged: {error}') from error
    return [variable.initializer_name for variable in variables if variable.initializer_name]


def init_ops(meta_graph: MetaGraph) -> tuple[str, ...]:
    """Return the names of all ops that initialize the model, after variables were restored."""
    name = init_op(meta_graph)
    return (name,) if name else initialization(meta_graph).ops


def loader_runs(meta_graph: MetaGraph) -> Iterator[Run]:
    """Yield what loading a model runs: the restore op, then the init op or `initialization`."""
    assets: dict[str, Origin] = dict.fromkeys(asset_files(meta_graph), "asset")
    saver = meta_graph.saver_def
    if saver.restore_op_name:
        prefix: dict[str, Origin] = {tensor_name(saver.filename_tensor_name): "checkpoint"}
        yield Run(((saver.restore_op_name, "restore op"),), prefix | assets)
    label = "init op" if init_op(meta_graph) else "initializers"
    if names := init_ops(meta_graph):
        yield Run(tuple((name, label) for name in names), assets)


def read_assets(
    meta_graph: MetaGraph, runs: Iterable[Run], assets: Collection[str]
) -> Iterator[str]:
    """Yield those of some asset files whose path reaches an op that can read it.

    Ops that only pass the path on, or keep it in a variable, don't count.
    """
    runs = list(runs)
    for tensor, file in asset_files(meta_graph).items():
        if file not in assets:
            continue
        fed: dict[str, Origin] = {tensor: "asset"}
        marked = [evolve(run, fed={**dict.fromkeys(run.fed, ""), **fed}) for run in runs]
        if any(_reads_path(node, context) for node, context in walk(meta_graph, marked)):
            yield file


def _reads_path(node: NodeMessage, context: NodeContext) -> bool:
    calls_function = node.op in context.functions or bool(called_functions(node))
    if node.op in _PATH_KEEPERS or calls_function:
        return False
    return any(context.origin(name) == "asset" for name in node.input if not is_control(name))


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


def walk(meta_graph: MetaGraph, runs: Iterable[Run]) -> Iterator[WalkedNode]:
    """Yield each node that these runs reach, with its context.

    A function is visited again where a call passes it something else than the calls before: what
    is safe with the path of an asset may not be safe with any other string.

    Raises:
        ModelError: A run fetches a node that isn't in the graph, or the graph is too large to
            follow.
    """
    walker = _Walker(meta_graph)
    for run in runs:
        yield from walker.walk(run)


def walk_functions(
    meta_graph: MetaGraph, called: Iterable[tuple[str, tuple[Origin, ...]]], label: str
) -> Iterator[WalkedNode]:
    """Yield each node that these functions reach, with its context.

    Args:
        meta_graph: The MetaGraph.
        called: The names of the functions, each with the origins of its arguments.
        label: Who calls them, for messages.
    """
    walker = _Walker(meta_graph)
    for name, arguments in called:
        yield from walker.walk_function(name, arguments, label)


class StepLimit:
    """Counts the steps of a walk through functions, and ends it after `MAX_STEPS`."""

    def __init__(self, problem: str) -> None:
        """`problem` is what the error says if there are more."""
        self._problem = problem
        self._steps = 0

    def count(self, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise ModelError(
                f"{self._problem}: following its functions takes more than {MAX_STEPS:,} steps"
            )


class _Walker:
    """Follows runs through a graph, each function only as often as something new comes in."""

    def __init__(self, meta_graph: MetaGraph) -> None:
        graph = meta_graph.graph_def
        self._nodes = {node.name: node for node in graph.node}
        self._library = FunctionLibrary(graph)
        self._origins = Origins(self._nodes, self._library.functions)
        # Per function, the origins of its arguments in all calls so far; "" where they differ. An
        # argument changes once at most, which bounds the visits.
        self._arguments: dict[str, tuple[Origin, ...]] = {}
        self._steps = StepLimit("the model's ops can't be checked")

    def walk(self, run: Run) -> Iterator[WalkedNode]:
        for node, context in self._walk_graph(run):
            yield node, context
            yield from self._walk_calls(node, context)

    def walk_function(
        self, name: str, arguments: tuple[Origin, ...], label: str
    ) -> Iterator[WalkedNode]:
        if name in self._library.functions:
            yield from self._follow([(name, arguments, (label, name))])

    def _walk_graph(self, run: Run) -> Iterator[WalkedNode]:
        origin = self._origins.in_graph(run.fed)
        visited: set[str] = set()
        for fetch, label in run.fetches:
            if node_name(fetch) not in self._nodes:
                raise ModelError(f'the graph has no node "{node_name(fetch)}" ({label})')
            context = NodeContext((label,), self._library.functions, origin)
            pending = [fetch]
            while pending:
                name = pending.pop()
                # A control edge waits for the node itself, which runs even if its output is fed.
                if not is_control(name) and tensor_name(name) in run.fed:
                    continue
                node = self._nodes.get(node_name(name))
                if node is None or node.name in visited:
                    continue
                visited.add(node.name)
                self._steps.count()
                pending.extend(node.input)
                yield node, context

    def _walk_calls(self, node: NodeMessage, context: NodeContext) -> Iterator[WalkedNode]:
        yield from self._follow(list(self._calls(node, context)))

    def _follow(
        self, pending: list[tuple[str, tuple[Origin, ...], tuple[str, ...]]]
    ) -> Iterator[WalkedNode]:
        while pending:
            function, arguments, path = pending.pop()
            known = self._arguments.get(function)
            merged = arguments if known is None else _merge(known, arguments)
            if merged == known:
                continue
            self._arguments[function] = merged
            message = self._library.functions[function]
            if len(merged) != len(message.signature.input_arg):
                raise ModelError(f'the function "{function}" has other arguments than its callers')
            origin = self._origins.in_function(message, merged)
            inner = NodeContext(path, self._library.functions, origin)
            for body_node in message.node_def:
                self._steps.count()
                yield body_node, inner
                pending.extend(self._calls(body_node, inner))

    def _calls(
        self, node: NodeMessage, context: NodeContext
    ) -> Iterator[tuple[str, tuple[Origin, ...], tuple[str, ...]]]:
        """Yield the functions that a node may call: name, origins of the arguments, and path."""
        if not self._library.functions:
            return
        for call in calls(node):
            for name in self._library.alternatives(call.name):
                path = (*context.path, node.name, name)
                yield name, self._argument_origins(call, name, context), path
                if (gradient := self._library.gradient_of(name)) is not None:
                    # It gets the arguments and the gradients of the results.
                    unknown: tuple[Origin, ...] = self._argument_origins(None, gradient, context)
                    yield gradient, unknown, (*context.path, node.name, gradient)

    def _argument_origins(
        self, call: Call | None, function: str, context: NodeContext
    ) -> tuple[Origin, ...]:
        message = self._library.functions[function]
        count = len(message.signature.input_arg)
        self._steps.count(1 + count)
        inputs = None if call is None else call.arguments
        if inputs is None or len(inputs) != count or takes_lists(message):
            unknown: Origin = ""
            return (unknown,) * count
        return tuple(context.origin(name) for name in inputs)


def _merge(first: tuple[Origin, ...], second: tuple[Origin, ...]) -> tuple[Origin, ...]:
    merged: list[Origin] = [
        known if known == given else "" for known, given in zip(first, second, strict=True)
    ]
    return tuple(merged)
