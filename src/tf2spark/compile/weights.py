"""Large tensors leave the graph: they become raw files, and placeholders that are fed from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from attrs import Factory, define
from tensorflow.core.framework import node_def_pb2

from tf2spark.dtypes import from_code
from tf2spark.package.manifest import Weight

THRESHOLD_BYTES = 16 << 20


@define
class WeightFiles:
    """Where large tensors go: files below `folder`, which is the model's."""

    folder: Path
    threshold_bytes: int = THRESHOLD_BYTES
    written: list[Weight] = Factory(list)

    def takes(self, value: npt.NDArray[Any]) -> bool:
        """Say whether a value is large enough for a file, and of a type that can be mapped."""
        tensor_type = tf.as_dtype(value.dtype).as_datatype_enum
        return from_code(tensor_type).numpy is not None and value.nbytes >= self.threshold_bytes

    def node(self, name: str, value: npt.NDArray[Any]) -> Any:
        """Return a node that has this value: a constant, or a placeholder fed from a file."""
        if not self.takes(value):
            return constant(name, value)
        tensor_type = tf.as_dtype(value.dtype).as_datatype_enum
        path = f"weights/{len(self.written)}.bin"
        (self.folder / "weights").mkdir(exist_ok=True)
        np.ascontiguousarray(value).tofile(self.folder / path)
        self.written.append(Weight(f"{name}:0", path, tensor_type, tuple(value.shape)))
        node = node_def_pb2.NodeDef(name=name, op="Placeholder")
        node.attr["dtype"].type = tensor_type
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
        return node


def constant(name: str, value: Any) -> Any:
    """Return a Const node."""
    node = node_def_pb2.NodeDef(name=name, op="Const")
    tensor = tf.make_tensor_proto(value)
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def take_out(graph_def: Any, files: WeightFiles) -> None:
    """Take the large constants out of a graph; those in function bodies, and strings, stay."""
    for node in graph_def.node:
        # One value repeated is stored as that value: what counts is what it holds.
        if node.op == "Const" and node.attr["value"].tensor.ByteSize() >= files.threshold_bytes:
            node.CopyFrom(files.node(node.name, tf.make_ndarray(node.attr["value"].tensor)))
