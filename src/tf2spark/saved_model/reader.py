"""Reading a SavedModel without TensorFlow: its contract, and its MetaGraph."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from google.protobuf.message import DecodeError

from tf2spark import other_formats
from tf2spark.dtypes import Shape
from tf2spark.errors import ModelError
from tf2spark.package.digests import check_digest
from tf2spark.package.folder import is_package, read_file, read_manifest
from tf2spark.package.manifest import FileEntry, Manifest
from tf2spark.saved_model import files as model_files
from tf2spark.saved_model.contract import Contract
from tf2spark.saved_model.graph.loader_runs import asset_files, loader_runs, read_assets
from tf2spark.saved_model.graph.reachable_nodes import Run
from tf2spark.saved_model.op_notes import careful_ops
from tf2spark.saved_model.protos import MetaGraph, SavedModel
from tf2spark.saved_model.safety.map_entries import check_map_entries
from tf2spark.saved_model.safety.message_scan import check_message_count
from tf2spark.saved_model.safety.package_weights import check_weights
from tf2spark.saved_model.safety.well_formed import check_graph
from tf2spark.saved_model.signatures import shape, signatures
from tf2spark.saved_model.tf_example.trace import with_examples

__all__ = [
    "LoadedModel",
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
        files: The files of a plain SavedModel; None for a package, whose manifest lists them.
        missing_assets: Asset files that the graph names and that aren't there.
        logged_call: The signature, feed and fetch that a model in MLflow was logged with, for calls
            that give none of them.
    """

    contract: Contract
    meta_graph: MetaGraph
    weights: tuple[str, ...] = ()
    files: model_files.ModelFiles | None = None
    missing_assets: tuple[str, ...] = ()
    logged_call: tuple[str | None, Any, Any] = (None, None, None)

    def check_assets(self, runs: Iterable[Run]) -> None:
        """Check that no asset file that these runs read is missing.

        Raises:
            ModelError: One is.
        """
        if self.missing_assets:
            for asset in read_assets(self.meta_graph, runs, self.missing_assets):
                raise ModelError(f'"{self.contract.path}" is incomplete: assets/{asset} is missing')

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """Every file of the model with its SHA-256."""
        if self.files is not None:
            return self.files.entries
        return self.contract.package.files if self.contract.package else ()

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) over the files; a package's is that of its manifest."""
        if self.files is not None:
            return self.files.digest
        return self.contract.package.digest if self.contract.package else ""


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
    digest: str | None = None,
) -> LoadedModel:
    """Read a SavedModel, packaged or not.

    Args:
        path: The folder of a SavedModel or a package, or a base path of version folders with
            integer names.
        version: The version to use; None for the largest.
        tags: The tags of the MetaGraph to use; None for the one tagged only ``serve``, or the only
            one there is.
        digest: The digest (hex) that the model must have; None for any.

    Raises:
        ModelNotFoundError: There is no SavedModel at `path`.
        ModelError: It can't be read, is incomplete, has no MetaGraph with these tags, or has
            another digest.
    """
    folder, found_version = model_files.find(path, version)
    if is_package(folder):
        return _read_local_package(folder, found_version, tags, digest)
    files = model_files.ModelFiles(folder)
    content = files.read_graph()
    if digest is not None:  # before anything in the files is believed
        check_digest(digest, files.digest, str(folder))
    message = _parse(content, str(folder / model_files.GRAPH_FILE))
    meta_graph = _choose_meta_graph(message.meta_graphs, tags, str(folder))
    _check_graph(meta_graph, str(folder))
    # Without a restore op the loader restores nothing: all variables may be local, for example.
    if meta_graph.saver_def.restore_op_name and variable_shapes(meta_graph):
        model_files.check_variables(files, folder)
    facts = _FileFacts(
        len(content),
        files.size_bytes("variables/"),
        _assets(meta_graph),
        model_files.count_warmup_requests(files, folder),
    )
    contract = _contract(str(folder), found_version, message, meta_graph, facts)
    missing = tuple(asset for asset in facts.assets if f"assets/{asset}" not in files.paths)
    loaded = LoadedModel(contract, meta_graph, files=files, missing_assets=missing)
    loaded.check_assets(loader_runs(meta_graph))
    return loaded


def _read_local_package(
    folder: Path, version: int | None, tags: Sequence[str] | None, digest: str | None
) -> LoadedModel:
    manifest = read_manifest(folder)
    check_digest(digest, manifest.digest, str(folder))
    if tags is not None and _tag_set(tags) != _tag_set(manifest.tags):
        raise ModelError(
            f'"{folder}" is a package of the graph tagged {list(manifest.tags)}, '
            f"not {list(_tag_set(tags))}"
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
    meta_graph = _choose_meta_graph(message.meta_graphs, manifest.tags, path)
    _check_graph(meta_graph, path)
    check_weights(meta_graph, manifest.weights, path)
    sizes = {file.path: file.size_bytes for file in manifest.files}
    facts = _FileFacts(
        len(graph),
        sum(size for name, size in sizes.items() if name.startswith(("variables/", "weights/"))),
        _assets(meta_graph),
        0,
    )
    contract = _contract(path, version, message, meta_graph, facts, manifest)
    return LoadedModel(
        contract,
        meta_graph,
        tuple(weight.tensor for weight in manifest.weights),
        missing_assets=tuple(asset for asset in facts.assets if f"assets/{asset}" not in sizes),
    )


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
    if other_formats.is_lfs_pointer(content):
        raise other_formats.error_of("git lfs", path)
    check_message_count(content, SavedModel, path)
    damaged = f'"{path}" ({len(content):,} bytes) is damaged or truncated; copy the model again'
    try:
        message = SavedModel.FromString(content)
    except (DecodeError, RecursionError) as error:
        raise ModelError(f"{damaged} ({error})") from error
    except MemoryError as error:
        raise ModelError(f'"{path}" ({len(content):,} bytes) needs too much memory') from error
    # A truncated message can still parse, with fewer fields.
    if not message.meta_graphs:
        raise ModelError(damaged + " (it contains no graph)")
    return message


def _assets(meta_graph: MetaGraph) -> tuple[str, ...]:
    return tuple(sorted(set(asset_files(meta_graph).values())))


def _tag_set(tags: Sequence[str]) -> tuple[str, ...]:
    """Return tags as TensorFlow compares them, as a set; "a,b" stands for two."""
    return tuple(sorted(set(tags.split(",") if isinstance(tags, str) else tags)))


def _choose_meta_graph(
    meta_graphs: Iterable[MetaGraph], tags: Sequence[str] | None, path: str
) -> MetaGraph:
    by_tags: dict[tuple[str, ...], MetaGraph] = {}
    for meta_graph in meta_graphs:
        tag_set = _tag_set(meta_graph.meta_info_def.tags)
        if tag_set in by_tags:
            raise ModelError(
                f'"{path}" has two graphs tagged {list(tag_set)}, of which TensorFlow can load '
                "only one"
            )
        by_tags[tag_set] = meta_graph
    requested = _default_tags(by_tags, path) if tags is None else _tag_set(tags)
    if requested not in by_tags:
        raise ModelError(
            f'"{path}" has no graph tagged {list(requested)}; it has {_tag_lists(by_tags)}'
            + _tag_hint(requested, by_tags)
        )
    return by_tags[requested]


def _check_graph(meta_graph: MetaGraph, path: str) -> None:
    try:
        check_map_entries(meta_graph)
        check_graph(meta_graph.graph_def)
    except ModelError as error:
        raise ModelError(f'"{path}" can\'t be loaded: {error}') from error


def _default_tags(tag_sets: Iterable[tuple[str, ...]], path: str) -> tuple[str, ...]:
    available = list(tag_sets)
    if (_SERVE,) in available:
        return (_SERVE,)
    if len(available) > 1:
        raise ModelError(
            f'"{path}" has several graphs and none is tagged only "{_SERVE}"; '
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
    described = with_examples(meta_graph, signatures(meta_graph))
    outputs = [spec for signature in described for spec in signature.outputs]
    return Contract(
        path=path,
        version=version,
        tag_sets=tuple(_tag_set(graph.meta_info_def.tags) for graph in message.meta_graphs),
        tags=_tag_set(meta_graph.meta_info_def.tags),
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
