"""Moves large tensors out of the graph: into raw files, which feed placeholders."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from attrs import Factory, define
from tensorflow.core.framework import node_def_pb2

from tf2spark.dtypes import from_code
from tf2spark.package.manifest import Weight
from tf2spark.saved_model.graph.upstream import node_name
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

THRESHOLD_BYTES = 16 << 20
_GATHERS = frozenset({"Gather", "GatherV2"})


@define
class WeightFiles:
    """Writes large tensors to files in ``weights/`` of the model's folder, and lists them.

    Attributes:
        folder: The model's folder.
        threshold_bytes: Tensors of at least this size become files.
        table_bytes: The same for tables from which rows are gathered, and nothing else is read.
        written: The files.
        read_by_init: The nodes that the init op reads. They stay in the graph, whatever their
            size: files are fed at every run, but loading a model feeds nothing.
    """

    folder: Path
    threshold_bytes: int = THRESHOLD_BYTES
    table_bytes: int = THRESHOLD_BYTES
    written: list[Weight] = Factory(list)
    read_by_init: Collection[str] = ()

    def accepts(self, name: str, value: npt.NDArray[Any]) -> bool:
        """Return whether the value of a node becomes a file: it is large and can be mapped."""
        return value.nbytes >= self.threshold_bytes and self._can_be_mapped(name, value)

    def _can_be_mapped(self, name: str, value: npt.NDArray[Any]) -> bool:
        dtype_code = tf.as_dtype(value.dtype).as_datatype_enum
        return name not in self.read_by_init and from_code(dtype_code).numpy is not None

    def node(self, name: str, value: npt.NDArray[Any]) -> NodeMessage:
        """Return a node with this value: a constant, or a placeholder that is fed from a file."""
        return self._file(name, value) if self.accepts(name, value) else constant(name, value)

    def table(self, name: str, value: npt.NDArray[Any]) -> NodeMessage:
        """Return such a node for a table that isn't small."""
        return (
            self._file(name, value) if self._can_be_mapped(name, value) else constant(name, value)
        )

    def _file(self, name: str, value: npt.NDArray[Any]) -> NodeMessage:
        dtype_code = tf.as_dtype(value.dtype).as_datatype_enum
        path = f"weights/{len(self.written)}.bin"
        (self.folder / "weights").mkdir(exist_ok=True)
        np.ascontiguousarray(value).tofile(self.folder / path)
        self.written.append(Weight(f"{name}:0", path, dtype_code, tuple(value.shape)))
        node = node_def_pb2.NodeDef(name=name, op="Placeholder")
        node.attr["dtype"].type = dtype_code
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
        return node


def constant(name: str, value: Any) -> NodeMessage:
    """Return a Const node."""
    node = node_def_pb2.NodeDef(name=name, op="Const")
    tensor = tf.make_tensor_proto(value)
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def move_large_constants(graph_def: GraphMessage, files: WeightFiles) -> None:
    """Move the large constants of a graph to files; strings and constants in functions stay."""
    tables = _tables(graph_def)
    for node in graph_def.node:
        if node.op != "Const":
            continue
        # The stored size counts: a constant of equal values is stored as one value.
        size_bytes = node.attr["value"].tensor.ByteSize()
        if size_bytes >= files.threshold_bytes:
            node.CopyFrom(files.node(node.name, tf.make_ndarray(node.attr["value"].tensor)))
        elif size_bytes >= files.table_bytes and node.name in tables:
            node.CopyFrom(files.table(node.name, tf.make_ndarray(node.attr["value"].tensor)))


def _tables(graph_def: GraphMessage) -> set[str]:
    """Return the nodes of which every reader gathers rows."""
    gathered: set[str] = set()
    read: set[str] = set()
    for node in graph_def.node:
        names = [node_name(name) for name in node.input]
        is_gather = node.op in _GATHERS
        gathered.update(names[: int(is_gather)])
        read.update(names[int(is_gather) :])
    return gathered - read
