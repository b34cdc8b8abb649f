"""The model of a `recommend` job on disk: a SavedModel, its weights, and the catalog's values."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import DType
from tf2spark.package.folder import entry_of
from tf2spark.package.manifest import FileEntry, Manifest
from tf2spark.package.safe_files import list_files
from tf2spark.plan.recommend import ItemTensor
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.saved_model.protos import SavedModel

_GRAPH = "saved_model.pb"
_ROWS_PER_WRITE = 1 << 16
_LINKED_FOLDERS = ("assets", "weights")


def linked_files(files: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    """Return those of a model's files that a new tree has as they are."""
    return tuple(file for file in files if file.path.partition("/")[0] in _LINKED_FOLDERS)


def new_tree(source: Path, parent: Path) -> Path:
    """Return a new folder with the assets and weights of a model, linked rather than copied."""
    tree = parent / f"catalog-{uuid.uuid4().hex[:12]}"
    tree.mkdir(parents=True)
    for name in _LINKED_FOLDERS:
        if (source / name).is_dir():
            shutil.copytree(source / name, tree / name, copy_function=_link_or_copy)
    return tree


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def write_graph(tree: Path, meta_graph: Any) -> None:
    """Write a MetaGraph as the SavedModel of a folder."""
    message = SavedModel(saved_model_schema_version=1)
    message.meta_graphs.add().CopyFrom(meta_graph)
    (tree / _GRAPH).write_bytes(message.SerializeToString(deterministic=True))


def write_item_tensor(
    tree: Path, number: int, placeholder: str, dtype: DType, values: Array, order: Array
) -> ItemTensor:
    """Write a value of every item into a file that workers map.

    Args:
        tree: The model's folder.
        number: Of the file; each tensor has its own.
        placeholder: The tensor that is fed from the file.
        dtype: The values' dtype.
        values: [items, ...].
        order: [items], which row of `values` comes first, second, ... in the file.
    """
    path = f"catalog/{number}.bin"
    (tree / "catalog").mkdir(exist_ok=True)
    with (tree / path).open("wb") as file:
        # A slice at a time, so that memory never holds a second copy of a large catalog.
        for first in range(0, len(order), _ROWS_PER_WRITE):
            np.ascontiguousarray(values[order[first : first + _ROWS_PER_WRITE]]).tofile(file)
    return ItemTensor(placeholder, path, dtype.code, values.shape)


def write_table(tree: Path, path: str, table: pa.Table) -> None:
    """Write a table as an Arrow file with a single batch, which workers map."""
    (tree / "catalog").mkdir(exist_ok=True)
    table = table.combine_chunks()
    with pa.OSFile(str(tree / path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(1, table.num_rows))


def refer_to(tree: Path, model: PairModel) -> ModelRef:
    """Return the reference to a tree of a model, with the digest of the tree's content."""
    linked = {file.path: file for file in model.linked_files}
    entries = (linked.get(file.path) or entry_of(tree, file.path) for file in list_files(tree))
    manifest, reference = Manifest(tuple(entries), model.tags, model.weights), model.reference()
    return evolve(
        reference, path=str(tree), digest=manifest.digest, files=manifest.files, storage="own"
    )
