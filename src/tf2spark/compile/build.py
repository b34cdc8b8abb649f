"""The steps of `compile`: load, inline, freeze, fold, take out, and write a SavedModel again.

A graph with loops is neither inlined nor folded; see `loops`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from attrs import Factory, evolve, frozen
from tensorflow.core.protobuf import saved_model_pb2

from tf2spark.compile.assets import pass_variables_by, protect, restore
from tf2spark.compile.freeze import freeze
from tf2spark.compile.inline import FOLD, INLINE, optimised
from tf2spark.compile.loops import add_missing, assign, has_loops, pruned
from tf2spark.compile.original import NotCompilable, Original
from tf2spark.compile.signature import signature_def
from tf2spark.compile.weights import WeightFiles, constant, take_out
from tf2spark.package.manifest import Weight
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.reachable_nodes import INIT_SIGNATURE, asset_files, init_op
from tf2spark.saved_model.upstream import node_name, tensor_name, upstream

_ASSETS = ("assets", "assets.extra")


@frozen
class Call:
    """What is compiled: a signature with its inputs and outputs.

    Attributes:
        signature: As the compiled model will have it.
        constants: Values of the tensors that are constants from now on, by tensor.
    """

    signature: Signature
    constants: Mapping[str, Any] = Factory(dict)


@frozen
class Built:
    """A compiled model: its signature, whose tensors may have other names, and its weights."""

    signature: Signature
    weights: tuple[Weight, ...]


def build(
    original: Original, call: Call, source: Path, target: Path, threshold_bytes: int
) -> Built:
    """Write the compiled model to the folder `target`, as a SavedModel without a checkpoint.

    Raises:
        NotCompilable: The model can't be compiled.
        ModelError: A variable has no value.
    """
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(original.meta_graph.graph_def)
    _clear_devices(graph)
    _fold_constants(graph, call.constants)
    call = evolve(call, signature=_fed_by_placeholders(graph, call.signature))
    assets = asset_files(original.meta_graph)
    protect(graph, assets)
    roots = _roots(call)
    init = init_op(original.meta_graph)
    looped = has_loops(pruned(graph, roots))
    graph, tables = (_left_alone if looped else _inlined)(graph, roots, init, assets)
    files = WeightFiles(target, threshold_bytes)
    kept = freeze(graph, original, files, only_large=looped)
    if not looped:
        graph = optimised(graph, [*roots, *tables], FOLD)
    take_out(graph, files)
    tables += assign(graph, kept)
    assets = restore(graph, assets)
    _write(graph, original.meta_graph, call.signature, tables, assets, target)
    _copy_assets(source, target)
    return Built(call.signature, tuple(files.written))


def _inlined(
    graph: Any, roots: list[str], init: str, assets: Mapping[str, str]
) -> tuple[Any, list[str]]:
    """Return a graph without calls, and the ops that fill its tables."""
    graph = optimised(graph, [*roots, *([init] if init else [])], INLINE)
    pass_variables_by(graph, assets)
    tables = _table_inits(graph, init)
    return optimised(graph, [*roots, *tables], ("pruning",)), tables


def _left_alone(
    graph: Any, roots: list[str], init: str, assets: Mapping[str, str]
) -> tuple[Any, list[str]]:
    """Return a graph as it was, and the ops that fill its tables; these are inlined."""
    found = pruned(graph, roots)
    if not init:
        return found, []
    filling = optimised(graph, [init], INLINE)
    paths = pass_variables_by(filling, assets)
    tables = _table_inits(filling, init)
    filling = pruned(filling, tables)
    for node in (*found.node, *filling.node):
        if node.name in paths:
            raise NotCompilable(
                f'it reads the variable "{node.name}", which holds an asset\'s path'
            )
    add_missing(found, filling)
    return found, tables


def _clear_devices(graph: Any) -> None:
    for node in graph.node:
        node.device = ""
    for function in graph.library.function:
        for node in function.node_def:
            node.device = ""


def _roots(call: Call) -> list[str]:
    specs = [*call.signature.inputs, *call.signature.outputs]
    return list(dict.fromkeys(node_name(name) for spec in specs for name in spec.tensors))


def _fold_constants(graph: Any, constants: Mapping[str, Any]) -> None:
    """Put constants in the place of tensors."""
    for place, (tensor, value) in enumerate(constants.items()):
        name = f"tf2spark_constant_{place}"
        graph.node.append(constant(name, value))
        _redirect(graph, tensor, name)


_FED = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})


def _fed_by_placeholders(graph: Any, signature: Signature) -> Signature:
    """Give tensors inside the graph that are fed a placeholder: optimising moves all others."""
    nodes = {node.name: node for node in graph.node}
    moved: dict[str, str] = {}
    for spec in signature.inputs:
        for tensor in spec.tensors:
            if nodes[node_name(tensor)].op in _FED:
                continue
            node = graph.node.add(name=f"tf2spark_feed_{len(moved)}", op="Placeholder")
            node.attr["dtype"].type = spec.dtype.code
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(spec.shape).as_proto())
            moved[tensor] = f"{node.name}:0"
            _redirect(graph, tensor, node.name)
    return evolve(
        signature,
        inputs=tuple(_renamed(spec, moved) for spec in signature.inputs),
        outputs=tuple(_renamed(spec, moved) for spec in signature.outputs),
    )


def _renamed(spec: TensorSpec, moved: Mapping[str, str]) -> TensorSpec:
    return evolve(spec, tensors=tuple(moved.get(name, name) for name in spec.tensors))


def _redirect(graph: Any, tensor: str, name: str) -> None:
    """Let all that read a tensor read another node's output 0."""
    for node in graph.node:
        for place, one in enumerate(node.input):
            if not one.startswith("^") and tensor_name(one) == tensor_name(tensor):
                node.input[place] = name


_FILLS = ("InitializeTable", "LookupTableImport", "LookupTableInsert")


def _table_inits(graph: Any, init: str) -> list[str]:
    """Return the ops upstream of the init op that fill tables; variables are constants by then.

    Raises:
        NotCompilable: The init op does something else.
    """
    nodes = {node.name: node for node in graph.node}
    fills: list[str] = []
    for name, node in upstream(nodes, [init]).items():
        if node.op.startswith(_FILLS):
            fills.append(name)
        elif node.op.endswith("PartitionedCall"):
            raise NotCompilable(f'its init op calls a function that can\'t be inlined ("{name}")')
    return sorted(fills)


def _write(
    graph: Any,
    meta_graph: Any,
    signature: Signature,
    tables: list[str],
    assets: Mapping[str, str],
    target: Path,
) -> None:
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    new = saved.meta_graphs.add()
    new.meta_info_def.CopyFrom(meta_graph.meta_info_def)
    new.meta_info_def.ClearField("stripped_op_list")
    new.meta_info_def.ClearField("function_aliases")
    new.graph_def.CopyFrom(graph)
    new.signature_def[signature.name].CopyFrom(signature_def(signature))
    if tables:
        init = new.graph_def.node.add(name="tf2spark_init", op="NoOp")
        init.input.extend(f"^{name}" for name in tables)
        info = new.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE]
        info.name = init.name
        info.tensor_shape.unknown_rank = True
    for tensor, path in assets.items():
        file = new.asset_file_def.add(filename=path)
        file.tensor_info.name = tensor
    (target / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))


def _copy_assets(source: Path, target: Path) -> None:
    for name in _ASSETS:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
