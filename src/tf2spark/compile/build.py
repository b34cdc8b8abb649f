"""The steps of `compile`: inline, freeze, fold, rewrite, move large constants out, write the model.

A graph with loops over variables is neither inlined nor folded; see `loops`.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from attrs import Factory, evolve, frozen
from tensorflow.core.protobuf import saved_model_pb2

from tf2spark.compile.assets import bypass_variables, hide_paths, restore_paths
from tf2spark.compile.freeze import VARIABLE_OPS, freeze
from tf2spark.compile.inline import FOLD, INLINE, optimize
from tf2spark.compile.loops import add_assignments, add_missing, loops_over_variables, prune
from tf2spark.compile.model_state import table_filling_ops
from tf2spark.compile.original import NotCompilable, Original
from tf2spark.compile.rewrites.channel_scales import fold_scales
from tf2spark.compile.rewrites.dense_layers import flatten_dense_layers
from tf2spark.compile.signature import signature_def
from tf2spark.compile.stablehlo.open_modules import open_modules as open_jax_modules
from tf2spark.compile.variable_names import nodes_of_variables, write_variables
from tf2spark.compile.weights import WeightFiles, constant, move_large_constants
from tf2spark.package.manifest import Weight
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.graph.loader_runs import INIT_SIGNATURE, asset_files, init_ops
from tf2spark.saved_model.graph.upstream import is_control, node_name, tensor_name, upstream
from tf2spark.saved_model.protos import GraphMessage, MetaGraph

_ASSET_FOLDERS = ("assets", "assets.extra")
_FED_OPS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})


@frozen
class Compilation:
    """What to compile.

    Attributes:
        signature: The signature of the compiled model.
        constants: The tensors that become constants, with their values.
    """

    signature: Signature
    constants: Mapping[str, Any] = Factory(dict)


@frozen
class Built:
    """A compiled model.

    Attributes:
        signature: Its signature, whose tensors may have new names.
        weights: Its weights.
        reordered: Whether convolutions, dense layers or modules of JAX were rewritten, so that
            scores are rounded otherwise.
    """

    signature: Signature
    weights: tuple[Weight, ...]
    reordered: bool = False


def build(
    original: Original,
    compilation: Compilation,
    source: Path,
    target: Path,
    threshold_bytes: int,
    table_bytes: int,
    *,
    reorder: bool = True,
    inline_loops: bool = False,
    open_modules: bool = False,
) -> Built:
    """Write the compiled model to the folder `target`, as a SavedModel without a checkpoint.

    Args:
        original: The model as TensorFlow loaded it.
        compilation: The signature and constants to compile.
        source: The folder of the original, for its assets.
        target: An empty folder.
        threshold_bytes: Tensors of at least this size become files.
        table_bytes: See `WeightFiles`.
        reorder: Rewrite convolutions and dense layers; scores are then rounded otherwise.
        inline_loops: Inline a graph with loops over variables too; see `loops`.
        open_modules: Replace modules of JAX by ops, if scores may be rounded otherwise.

    Raises:
        NotCompilable: The model can't be compiled.
        ModelError: A variable has no value.
    """
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(original.meta_graph.graph_def)
    _clear_devices(graph)
    _insert_constants(graph, compilation.constants)
    signature = _feed_by_placeholders(graph, compilation.signature)
    assets = asset_files(original.meta_graph)
    hide_paths(graph, assets)
    roots = _roots(signature)
    inits = list(init_ops(original.meta_graph))
    pruned = prune(graph, roots)
    variable_names = [node.name for node in pruned.node if node.op in VARIABLE_OPS]
    looped = not inline_loops and loops_over_variables(pruned, variable_names)
    graph, filling = (_keep_calls if looped else _inline_calls)(graph, roots, inits, assets)
    read_by_init = _upstream_names(graph, filling)
    files = WeightFiles(target, threshold_bytes, table_bytes, read_by_init=read_by_init)
    variables = freeze(graph, original, files, only_large=looped)
    variable_of_node = nodes_of_variables(graph, variable_names)
    # Before constants are folded: a module has many that follow from each other.
    opened = open_modules and reorder and not looped and bool(open_jax_modules(graph).rewritten)
    if not looped:
        graph = optimize(graph, [*roots, *filling], FOLD)
    reordered = reorder and not looped and _reorder(graph, roots)
    if reordered:
        graph = optimize(graph, [*roots, *filling], ("pruning",))
    files.read_by_init = _upstream_names(graph, filling)
    move_large_constants(graph, files)
    write_variables(graph, variable_of_node)
    filling += add_assignments(graph, variables)
    assets = restore_paths(graph, assets)
    _write(graph, original.meta_graph, signature, filling, assets, target)
    _copy_assets(source, target)
    return Built(signature, tuple(files.written), reordered or opened)


def _reorder(graph: GraphMessage, roots: list[str]) -> bool:
    rewritings = fold_scales(graph, roots), flatten_dense_layers(graph)
    return any(rewriting.rewritten for rewriting in rewritings)


def _inline_calls(
    graph: GraphMessage, roots: list[str], inits: list[str], assets: Mapping[str, str]
) -> tuple[GraphMessage, list[str]]:
    """Return the graph with all calls inlined, and the ops that fill its tables."""
    graph = optimize(graph, [*roots, *inits], INLINE)
    bypass_variables(graph, assets)
    table_ops = table_filling_ops(graph, inits)
    return optimize(graph, [*roots, *table_ops], ("pruning",)), table_ops


def _keep_calls(
    graph: GraphMessage, roots: list[str], inits: list[str], assets: Mapping[str, str]
) -> tuple[GraphMessage, list[str]]:
    """Return the graph with its calls unchanged, and the ops that fill its tables, inlined."""
    kept = prune(graph, roots)
    if not inits:
        return kept, []
    init_graph = optimize(graph, inits, INLINE)
    path_variables = bypass_variables(init_graph, assets)
    table_ops = table_filling_ops(init_graph, inits)
    init_graph = prune(init_graph, table_ops)
    for node in (*kept.node, *init_graph.node):
        if node.name in path_variables:
            raise NotCompilable(
                f'it reads the variable "{node.name}", which contains the path of an asset'
            )
    add_missing(kept, init_graph)
    return kept, table_ops


def _clear_devices(graph: GraphMessage) -> None:
    # A model trained on GPUs names devices that the executors may not have.
    for node in graph.node:
        node.device = ""
    for function in graph.library.function:
        for node in function.node_def:
            node.device = ""


def _roots(signature: Signature) -> list[str]:
    specs = [*signature.inputs, *signature.outputs]
    return list(dict.fromkeys(node_name(name) for spec in specs for name in spec.tensors))


def _insert_constants(graph: GraphMessage, constants: Mapping[str, Any]) -> None:
    """Replace tensors with constants."""
    for number, (tensor, value) in enumerate(constants.items()):
        name = f"tf2spark_constant_{number}"
        graph.node.append(constant(name, value))
        _redirect(graph, tensor, name)


def _feed_by_placeholders(graph: GraphMessage, signature: Signature) -> Signature:
    """Replace fed tensors that aren't placeholders with new ones; return the signature with them.

    Optimizing a graph keeps its placeholders, but can remove or rename any other fed tensor.
    """
    nodes = {node.name: node for node in graph.node}
    new_names: dict[str, str] = {}
    for spec in signature.inputs:
        for tensor in spec.tensors:
            if nodes[node_name(tensor)].op in _FED_OPS:
                continue
            node = graph.node.add(name=f"tf2spark_feed_{len(new_names)}", op="Placeholder")
            node.attr["dtype"].type = spec.dtype.code
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(spec.shape).as_proto())
            new_names[tensor] = f"{node.name}:0"
            _redirect(graph, tensor, node.name)
    return evolve(
        signature,
        inputs=tuple(_rename(spec, new_names) for spec in signature.inputs),
        outputs=tuple(_rename(spec, new_names) for spec in signature.outputs),
    )


def _rename(spec: TensorSpec, new_names: Mapping[str, str]) -> TensorSpec:
    return evolve(spec, tensors=tuple(new_names.get(name, name) for name in spec.tensors))


def _redirect(graph: GraphMessage, tensor: str, new_node: str) -> None:
    """Make all readers of a tensor read output 0 of another node."""
    for node in graph.node:
        for position, name in enumerate(node.input):
            if not is_control(name) and tensor_name(name) == tensor_name(tensor):
                node.input[position] = new_node


def _upstream_names(graph: GraphMessage, ops: Collection[str]) -> frozenset[str]:
    return frozenset(upstream({node.name: node for node in graph.node}, ops))


def _write(
    graph: GraphMessage,
    meta_graph: MetaGraph,
    signature: Signature,
    init_ops: list[str],
    assets: Mapping[str, str],
    target: Path,
) -> None:
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    new = saved.meta_graphs.add()
    new.meta_info_def.CopyFrom(meta_graph.meta_info_def)
    new.meta_info_def.ClearField("stripped_op_list")
    new.meta_info_def.ClearField("function_aliases")
    new.graph_def.CopyFrom(graph)
    _add_shapes(new.graph_def)
    new.signature_def[signature.name].CopyFrom(signature_def(signature))
    if init_ops:
        init = new.graph_def.node.add(name="tf2spark_init", op="NoOp")
        init.input.extend(f"^{name}" for name in init_ops)
        info = new.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE]
        info.name = init.name
        info.tensor_shape.unknown_rank = True
    for tensor, path in assets.items():
        file = new.asset_file_def.add(filename=path)
        file.tensor_info.name = tensor
    # Deterministic, so that compiling a model twice gives the same digest.
    (target / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))


def _add_shapes(graph: GraphMessage) -> None:
    """Write the shapes of each node's outputs next to it, as `tf.saved_model.save` does.

    From them, `score` sees how large a row gets; see `largest_row_bytes`.
    """
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(graph, name="")
    for node in graph.node:
        outputs = imported.get_operation_by_name(node.name).outputs
        shapes = [output.shape.as_proto() for output in outputs]
        node.attr["_output_shapes"].list.shape.extend(shapes)


def _copy_assets(source: Path, target: Path) -> None:
    for name in _ASSET_FOLDERS:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
