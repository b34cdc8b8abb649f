"""Attributes of nodes, written into a ``NodeDef``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tf2spark.dtypes import Dims, DType
from tf2spark.saved_model.protos import AttrMessage, NodeMessage


def write_constant(node: NodeMessage, array: npt.NDArray[Any], dtype: DType) -> None:
    """Write the attributes of a ``Const`` of numbers."""
    node.attr["dtype"].type = dtype.code
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype.code
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    # A scalar's shape has no dimensions, yet must be there: without it the shape is unknown.
    tensor.tensor_shape.SetInParent()
    tensor.tensor_content = np.ascontiguousarray(array).tobytes()


def write_shape(node: NodeMessage, dims: Dims) -> None:
    """Write the attribute ``shape`` of a placeholder, batch axis included."""
    shape = node.attr["shape"].shape
    shape.Clear()
    for size in dims:
        shape.dim.add(size=-1 if size is None else size)
    shape.SetInParent()


def set_attribute(attribute: AttrMessage, value: DType | bool | int | float | str) -> None:
    """Write a value into an attribute of a node."""
    match value:
        case DType():
            attribute.type = value.code
        case bool():
            attribute.b = value
        case int():
            attribute.i = value
        case float():
            attribute.f = value
        case str():
            attribute.s = value.encode()
