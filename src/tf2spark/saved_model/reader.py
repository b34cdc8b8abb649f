"""What a SavedModel holds, read without TensorFlow."""

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
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.reachable_nodes import asset_files
from tf2spark.saved_model.signatures import shape, signatures

__all__ = [
    "LoadedModel",
    "digest",
    "read",
    "read_contract",
    "read_package",
    "variables",
]

_SERVE = "serve"
_VARIABLE_OPS = frozenset({"VarHandleOp", "VariableV2", "Variable"})


@frozen(eq=False)
class LoadedModel:
    """A SavedModel that was read: its contract, and the message of the MetaGraph it describes.

    `weights` are the tensors that the runtime feeds by itself, from the files of a package.
    """

    contract: Contract
    meta_graph: Any
    weights: tuple[str, ...] = ()


@frozen
class _Files:
    """What is known of a model's files."""

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
    """Read a SavedModel, or one in a package.

    Args:
        path: The folder of a SavedModel or a package, or a base path of version folders named by
            integers.
        version: The version folder to use; the largest number where None.
        tags: The tags of the MetaGraph to use; where None, the one tagged ``serve`` and nothing
            else, or the only one.

    Raises:
        ModelNotFoundError: There is no SavedModel at `path`.
        ModelError: It can't be read, is not complete, or has no MetaGraph with these tags.
    """
    folder, number = model_files.find(path, version)
    if is_package(folder):
        return _read_local_package(folder, number, tags)
    path = folder / model_files.GRAPH_FILE
    message = _parse(path.read_bytes(), str(path))
    meta_graph = _pick(message.meta_graphs, tags, folder)
    # The loader restores nothing where the model names no restore op: local variables, say.
    if meta_graph.saver_def.restore_op_name and variables(meta_graph):
        model_files.check_variables(folder)
    assets = tuple(sorted(set(asset_files(meta_graph).values())))
    for asset in assets:
        if not (folder / "assets" / asset).is_file():
            raise ModelError(f'"{folder}" is not complete: assets/{asset} is missing')
    found = _Files(
        path.stat().st_size,
        model_files.size_bytes(folder / "variables"),
        assets,
        model_files.count_warmup_requests(folder),
    )
    return LoadedModel(_contract(str(folder), number, message, meta_graph, found), meta_graph)


def _read_local_package(
    folder: Path, version: int | None, tags: Sequence[str] | None
) -> LoadedModel:
    manifest = read_manifest(folder)
    wanted = tags.split(",") if isinstance(tags, str) else tags
    if wanted is not None and tuple(sorted(wanted)) != tuple(sorted(manifest.tags)):
        raise ModelError(
            f'"{folder}" is a package of the graph with the tags {list(manifest.tags)}, not '
            f"{list(wanted)}"
        )
    return read_package(
        str(folder), manifest, read_file(folder, manifest, model_files.GRAPH_FILE), version
    )


def read_package(
    path: str, manifest: Manifest, graph: bytes, version: int | None = None
) -> LoadedModel:
    """Read the model in a package: its manifest, and the content of its ``saved_model.pb``.

    Raises:
        ModelError: The graph can't be read.
    """
    message = _parse(graph, path)
    meta_graph = _pick(message.meta_graphs, manifest.tags, Path(path))
    sizes = {one.path: one.size_bytes for one in manifest.files}
    found = _Files(
        len(graph),
        sum(size for name, size in sizes.items() if name.startswith(("variables/", "weights/"))),
        tuple(sorted(set(asset_files(meta_graph).values()))),
        0,
    )
    contract = _contract(path, version, message, meta_graph, found, manifest)
    return LoadedModel(contract, meta_graph, tuple(one.tensor for one in manifest.weights))


def read_contract(
    path: str | os.PathLike[str],
    version: int | None = None,
    tags: Sequence[str] | None = None,
) -> Contract:
    """Read what a SavedModel takes and gives; arguments and errors are those of `read`."""
    return read(path, version=version, tags=tags).contract


def variables(meta_graph: Any) -> dict[str, Shape]:
    """Return the shapes of the graph's variables by the name that TensorFlow's errors give them."""
    return {
        node.attr["shared_name"].s.decode("utf-8", "replace") or node.name: shape(
            node.attr["shape"].shape
        )
        for node in meta_graph.graph_def.node
        if node.op in _VARIABLE_OPS
    }


def _parse(content: bytes, path: str) -> Any:
    if not content:
        raise ModelError(f'"{path}" is empty')
    broken = f'"{path}" ({len(content):,} bytes) is damaged or cut off; copy the model again'
    try:
        message = SavedModel.FromString(content)
    except DecodeError as error:
        raise ModelError(broken) from error
    if not message.meta_graphs:
        raise ModelError(broken + " (it holds no graph)")
    return message


def _tags(meta_graph: Any) -> tuple[str, ...]:
    return tuple(sorted(meta_graph.meta_info_def.tags))


def _pick(meta_graphs: Iterable[Any], tags: Sequence[str] | None, folder: Path) -> Any:
    by_tags = {_tags(meta_graph): meta_graph for meta_graph in meta_graphs}
    if isinstance(tags, str):
        tags = tags.split(",")
    if tags is None:
        wanted = (_SERVE,) if (_SERVE,) in by_tags else next(iter(by_tags))
        if wanted != (_SERVE,) and len(by_tags) > 1:
            raise ModelError(
                f'"{folder}" has several graphs and none is tagged just "{_SERVE}"; '
                f"choose one with tags=: {_tag_lists(by_tags)}"
            )
    else:
        wanted = tuple(sorted(tags))
    if wanted not in by_tags:
        known = {tag for each in by_tags for tag in each}
        near = [difflib.get_close_matches(tag, known, 1) for tag in wanted if tag not in known]
        hint = ", ".join(f'"{match[0]}"' for match in near if match)
        raise ModelError(
            f'"{folder}" has no graph with the tags {list(wanted)}; it has {_tag_lists(by_tags)}'
            + (f"; did you mean {hint}?" if hint else "")
        )
    return by_tags[wanted]


def _tag_lists(tag_sets: Iterable[tuple[str, ...]]) -> str:
    return ", ".join(str(list(tags)) for tags in tag_sets)


def _contract(
    path: str,
    version: int | None,
    message: Any,
    meta_graph: Any,
    files: _Files,
    package: Manifest | None = None,
) -> Contract:
    graph = meta_graph.graph_def
    found = signatures(meta_graph)
    return Contract(
        path=path,
        version=version,
        tag_sets=tuple(_tags(each) for each in message.meta_graphs),
        tags=_tags(meta_graph),
        signatures=found,
        tensorflow_version=meta_graph.meta_info_def.tensorflow_version,
        graph_bytes=files.graph_bytes,
        variables_bytes=files.variables_bytes,
        node_count=len(graph.node) + sum(len(each.node_def) for each in graph.library.function),
        function_count=len(graph.library.function),
        careful_ops=careful_ops(
            meta_graph, [name for each in found for spec in each.outputs for name in spec.tensors]
        ),
        assets=files.assets,
        warmup_requests=files.warmup_requests,
        package=package,
    )
