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
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

THRESHOLD_BYTES = 16 << 20


@define
class WeightFiles:
    """Writes large tensors to files in ``weights/`` of the model's folder, and lists them.

    Attributes:
        folder: The model's folder.
        threshold_bytes: Tensors of at least this size become files.
        written: The files.
        read_by_init: The nodes that the init op reads. They stay in the graph, whatever their
            size: files are fed at every run, but loading a model feeds nothing.
    """

    folder: Path
    threshold_bytes: int = THRESHOLD_BYTES
    written: list[Weight] = Factory(list)
    read_by_init: Collection[str] = ()

    def accepts(self, name: str, value: npt.NDArray[Any]) -> bool:
        """Return whether the value of a node becomes a file: it is large and can be mapped."""
        if name in self.read_by_init:
            return False
        dtype_code = tf.as_dtype(value.dtype).as_datatype_enum
        return from_code(dtype_code).numpy is not None and value.nbytes >= self.threshold_bytes

    def node(self, name: str, value: npt.NDArray[Any]) -> NodeMessage:
        """Return a node with this value: a constant, or a placeholder that is fed from a file."""
        if not self.accepts(name, value):
            return constant(name, value)
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
    for node in graph_def.node:
        # The stored size counts: a constant of equal values is stored as one value.
        if node.op == "Const" and node.attr["value"].tensor.ByteSize() >= files.threshold_bytes:
            node.CopyFrom(files.node(node.name, tf.make_ndarray(node.attr["value"].tensor)))
