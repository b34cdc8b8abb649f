"""Reading a SavedModel without TensorFlow: its contract, and its MetaGraph."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from google.protobuf.message import DecodeError

from tf2spark.dtypes import Shape
from tf2spark.errors import ModelError
from tf2spark.package.folder import is_package, read_file, read_manifest
from tf2spark.package.manifest import Manifest
from tf2spark.saved_model import files as model_files
from tf2spark.saved_model.contract import Contract
from tf2spark.saved_model.files import digest
from tf2spark.saved_model.op_notes import careful_ops
from tf2spark.saved_model.protos import MetaGraph, SavedModel
from tf2spark.saved_model.reachable_nodes import asset_files
from tf2spark.saved_model.signatures import shape, signatures

__all__ = [
    "LoadedModel",
    "digest",
    "read",
    "read_contract",
    "read_package",
    "variable_shapes",
]

_SERVE = "serve"
_VARIABLE_OPS = frozenset({"VarHandleOp", "VariableV2", "Variable"})


@frozen(eq=False)
class LoadedModel:
    """A SavedModel that was read.

    Attributes:
        contract: Its inputs and outputs, and what else is known about it.
        meta_graph: The message of the MetaGraph that the contract describes.
        weights: The tensors that the runtime, not the user, feeds from the files of a package.
    """

    contract: Contract
    meta_graph: MetaGraph
    weights: tuple[str, ...] = ()


@frozen
class _FileFacts:
    """What is known about a model's files."""

    graph_bytes: int
    variables_bytes: int
    assets: tuple[str, ...]
    warmup_requests: int


def read(
    path: str | os.PathLike[str],
    *,
    version: int | None = None,
    tags: Sequence[str] | None = None,
) -> LoadedModel:
    """Read a SavedModel, packaged or not.

    Args:
        path: The folder of a SavedModel or a package, or a base path of version folders with
            integer names.
        version: The version to use; None for the largest.
        tags: The tags of the MetaGraph to use; None for the one tagged only ``serve``, or the only
            one there is.

    Raises:
        ModelNotFoundError: There is no SavedModel at `path`.
        ModelError: It can't be read, is incomplete, or has no MetaGraph with these tags.
    """
    folder, found_version = model_files.find(path, version)
    if is_package(folder):
        return _read_local_package(folder, found_version, tags)
    graph_file = folder / model_files.GRAPH_FILE
    message = _parse(graph_file.read_bytes(), str(graph_file))
    meta_graph = _choose_meta_graph(message.meta_graphs, tags, folder)
    # Without a restore op the loader restores nothing: all variables may be local, for example.
    if meta_graph.saver_def.restore_op_name and variable_shapes(meta_graph):
        model_files.check_variables(folder)
    facts = _FileFacts(
        graph_file.stat().st_size,
        model_files.size_bytes(folder / "variables"),
        _assets(meta_graph),
        model_files.count_warmup_requests(folder),
    )
    for asset in facts.assets:
        if not (folder / "assets" / asset).is_file():
            raise ModelError(f'"{folder}" is incomplete: assets/{asset} is missing')
    contract = _contract(str(folder), found_version, message, meta_graph, facts)
    return LoadedModel(contract, meta_graph)


def _read_local_package(
    folder: Path, version: int | None, tags: Sequence[str] | None
) -> LoadedModel:
    manifest = read_manifest(folder)
    requested = tags.split(",") if isinstance(tags, str) else tags
    if requested is not None and tuple(sorted(requested)) != tuple(sorted(manifest.tags)):
        raise ModelError(
            f'"{folder}" is a package of the graph tagged {list(manifest.tags)}, '
            f"not {list(requested)}"
        )
    graph = read_file(folder, manifest, model_files.GRAPH_FILE)
    return read_package(str(folder), manifest, graph, version)


def read_package(
    path: str, manifest: Manifest, graph: bytes, version: int | None = None
) -> LoadedModel:
    """Read the model in a package, given its manifest and the content of its ``saved_model.pb``.

    Raises:
        ModelError: The graph can't be read.
    """
    message = _parse(graph, path)
    meta_graph = _choose_meta_graph(message.meta_graphs, manifest.tags, Path(path))
    sizes = {file.path: file.size_bytes for file in manifest.files}
    facts = _FileFacts(
        len(graph),
        sum(size for name, size in sizes.items() if name.startswith(("variables/", "weights/"))),
        _assets(meta_graph),
        0,
    )
    contract = _contract(path, version, message, meta_graph, facts, manifest)
    return LoadedModel(contract, meta_graph, tuple(weight.tensor for weight in manifest.weights))


def read_contract(
    path: str | os.PathLike[str],
    version: int | None = None,
    tags: Sequence[str] | None = None,
) -> Contract:
    """Read only the contract of a SavedModel; arguments and errors are those of `read`."""
    return read(path, version=version, tags=tags).contract


def variable_shapes(meta_graph: MetaGraph) -> dict[str, Shape]:
    """Return the shapes of the graph's variables, by the names used in TensorFlow's errors."""
    return {
        node.attr["shared_name"].s.decode("utf-8", "replace") or node.name: shape(
            node.attr["shape"].shape
        )
        for node in meta_graph.graph_def.node
        if node.op in _VARIABLE_OPS
    }


def _parse(content: bytes, path: str) -> Any:
    """Return the SavedModel message."""
    if not content:
        raise ModelError(f'"{path}" is empty')
    damaged = f'"{path}" ({len(content):,} bytes) is damaged or truncated; copy the model again'
    try:
        message = SavedModel.FromString(content)
    except DecodeError as error:
        raise ModelError(damaged) from error
    # A truncated message can still parse, with fewer fields.
    if not message.meta_graphs:
        raise ModelError(damaged + " (it contains no graph)")
    return message


def _assets(meta_graph: MetaGraph) -> tuple[str, ...]:
    return tuple(sorted(set(asset_files(meta_graph).values())))


def _tags(meta_graph: MetaGraph) -> tuple[str, ...]:
    return tuple(sorted(meta_graph.meta_info_def.tags))


def _choose_meta_graph(
    meta_graphs: Iterable[MetaGraph], tags: Sequence[str] | None, folder: Path
) -> MetaGraph:
    by_tags = {_tags(meta_graph): meta_graph for meta_graph in meta_graphs}
    if isinstance(tags, str):
        tags = tags.split(",")
    requested = _default_tags(by_tags, folder) if tags is None else tuple(sorted(tags))
    if requested not in by_tags:
        raise ModelError(
            f'"{folder}" has no graph tagged {list(requested)}; it has {_tag_lists(by_tags)}'
            + _tag_hint(requested, by_tags)
        )
    return by_tags[requested]


def _default_tags(tag_sets: Iterable[tuple[str, ...]], folder: Path) -> tuple[str, ...]:
    available = list(tag_sets)
    if (_SERVE,) in available:
        return (_SERVE,)
    if len(available) > 1:
        raise ModelError(
            f'"{folder}" has several graphs and none is tagged only "{_SERVE}"; '
            f"choose one with tags=: {_tag_lists(available)}"
        )
    return available[0]


def _tag_hint(requested: tuple[str, ...], tag_sets: Iterable[tuple[str, ...]]) -> str:
    known = {tag for tags in tag_sets for tag in tags}
    matches = [difflib.get_close_matches(tag, known, 1) for tag in requested if tag not in known]
    nearest = ", ".join(f'"{match[0]}"' for match in matches if match)
    return f"; did you mean {nearest}?" if nearest else ""


def _tag_lists(tag_sets: Iterable[tuple[str, ...]]) -> str:
    return ", ".join(str(list(tags)) for tags in tag_sets)


def _contract(
    path: str,
    version: int | None,
    message: Any,
    meta_graph: MetaGraph,
    facts: _FileFacts,
    package: Manifest | None = None,
) -> Contract:
    graph = meta_graph.graph_def
    functions = graph.library.function
    described = signatures(meta_graph)
    outputs = [spec for signature in described for spec in signature.outputs]
    return Contract(
        path=path,
        version=version,
        tag_sets=tuple(map(_tags, message.meta_graphs)),
        tags=_tags(meta_graph),
        signatures=described,
        tensorflow_version=meta_graph.meta_info_def.tensorflow_version,
        graph_bytes=facts.graph_bytes,
        variables_bytes=facts.variables_bytes,
        node_count=len(graph.node) + sum(len(function.node_def) for function in functions),
        function_count=len(functions),
        careful_ops=careful_ops(meta_graph, [name for spec in outputs for name in spec.tensors]),
        assets=facts.assets,
        warmup_requests=facts.warmup_requests,
        package=package,
    )
