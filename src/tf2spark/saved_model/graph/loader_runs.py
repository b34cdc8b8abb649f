"""What loading a SavedModel runs: its restore op, its initializers, and the assets they read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from attrs import evolve
from google.protobuf.message import DecodeError

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.plan.score import Initialization
from tf2spark.saved_model.graph.function_library import called_functions
from tf2spark.saved_model.graph.reachable_nodes import NodeContext, Run, walk
from tf2spark.saved_model.graph.upstream import is_control, node_name, tensor_name, upstream
from tf2spark.saved_model.protos import AssetFileDef, MetaGraph, NodeMessage, VariableDef
from tf2spark.saved_model.safety.origins import Origin

INIT_SIGNATURE = "__saved_model_init_op"
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
