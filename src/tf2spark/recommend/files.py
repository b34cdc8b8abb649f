"""The model of a recommending job on disk: a SavedModel, its weights, and the catalog's values."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.dtypes import DType
from tf2spark.graph_split.forms import Array
from tf2spark.package.folder import entries_of
from tf2spark.package.manifest import Manifest
from tf2spark.plan.recommend import ItemTensor
from tf2spark.plan.score import ModelRef
from tf2spark.saved_model.protos import SavedModel

_GRAPH = "saved_model.pb"
_ROWS_AT_ONCE = 1 << 16
_LINKED = ("assets", "weights")


def new_tree(source: Path, parent: Path) -> Path:
    """Return a new folder with the assets and weights of a model, linked, not copied."""
    tree = parent / f"catalog-{uuid.uuid4().hex[:12]}"
    tree.mkdir(parents=True)
    for name in _LINKED:
        if (source / name).is_dir():
            shutil.copytree(source / name, tree / name, copy_function=_linked)
    return tree


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_graph(tree: Path, meta_graph: Any) -> None:
    """Write a MetaGraph as the SavedModel of a folder."""
    message = SavedModel(saved_model_schema_version=1)
    message.meta_graphs.add().CopyFrom(meta_graph)
    (tree / _GRAPH).write_bytes(message.SerializeToString(deterministic=True))


def write_item_tensor(
    tree: Path, place: int, placeholder: str, dtype: DType, values: Array, order: Array
) -> ItemTensor:
    """Write a value of every item, in this order, from which workers map it."""
    path = f"catalog/{place}.bin"
    (tree / "catalog").mkdir(exist_ok=True)
    with (tree / path).open("wb") as file:
        # A part at a time, so that no second copy of a large catalog stands in memory.
        for first in range(0, len(order), _ROWS_AT_ONCE):
            np.ascontiguousarray(values[order[first : first + _ROWS_AT_ONCE]]).tofile(file)
    return ItemTensor(placeholder, path, dtype.code, values.shape)


def write_table(tree: Path, path: str, table: pa.Table) -> None:
    """Write a table as an Arrow file of one batch, from which workers map it."""
    (tree / "catalog").mkdir(exist_ok=True)
    table = table.combine_chunks()
    with pa.OSFile(str(tree / path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(1, table.num_rows))


def referred(tree: Path, model: ModelRef) -> ModelRef:
    """Return what a worker is told of the model in a folder, called by its content."""
    manifest = Manifest(entries_of(tree), model.tags, model.weights)
    return evolve(model, path=str(tree), digest=manifest.digest, files=())
