"""Values of a module while it is translated: known numbers, and tensors of the graph.

JAX writes every broadcast out, for any number of rows. TensorFlow broadcasts by itself, so a tensor
has the sizes that it has in the graph beside those that the module gives it: an axis that has
size 1 in the graph stands for all positions. Only what can't be broadcast is made as large.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import Factory, define, evolve, frozen
from tensorflow.core.framework import node_def_pb2

from tf2spark.compile.stablehlo.literals import Array
from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.weights import constant
from tf2spark.dtypes import from_code
from tf2spark.saved_model.graph.node_attributes import set_attribute
from tf2spark.saved_model.protos import GraphMessage

MAX_KNOWN = 1 << 20
"""The most numbers of a value that is computed here; a hostile module could ask for any amount."""
_MAX_TOTAL = 1 << 26


@frozen
class Rows:
    """A size that is the number of rows of the batch, times a number.

    Loops compute where a part of a batch begins, so sums and differences are known in two cases.
    """

    times: int = 1

    def __add__(self, other: Size) -> Rows:
        if isinstance(other, Rows) or other != 0:
            raise NotOpened(_COMPUTED)
        return self

    __radd__ = __add__

    def __sub__(self, other: Size) -> Size:
        return 0 if self == other else self + other

    def __rsub__(self, other: int) -> Size:
        raise NotOpened(_COMPUTED)


_COMPUTED = "its module computes with the number of rows"

_INT32 = np.dtype(np.int32)
Size = int | Rows
Sizes = tuple[Size, ...]


@frozen(eq=False)
class Known:
    """Numbers that are known here; those of shapes may be `Rows`, in an array of objects."""

    array: Array

    @property
    def sizes(self) -> Sizes:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return _INT32 if self.array.dtype == object else self.array.dtype

    def check_numbers(self) -> None:
        """Refuse to compute with the number of rows."""
        if self.array.dtype == object:
            raise NotOpened(_COMPUTED)


@frozen
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: Its name in the graph.
        dtype: Its dtype.
        sizes: Its sizes in the module.
        graph_sizes: Its sizes in the graph: the same, or 1 along some axes, or none at all.
    """

    name: str
    dtype: np.dtype[Any]
    sizes: Sizes
    graph_sizes: Sizes


Value = Known | Tensor


def known(array: Array, dtype: np.dtype[Any]) -> Known:
    """Return numbers of a dtype; an array of objects stays one only where it has `Rows`."""
    has_rows = any(isinstance(number, Rows) for number in array.reshape(-1).tolist())
    return Known(array if has_rows else array.astype(dtype))


@define
class Nodes:
    """The nodes that are added to a graph.

    Attributes:
        graph: The graph.
        prefix: How their names begin.
        rows_of: A tensor whose first axis is the batch.
        rows_dtype: Its dtype.
        count: How many there are.
        constants: The values of constants, by their names.
        computed: How many numbers were computed here, or written as constants.
        written: The constants of known values, so that a large one is written once.
        row_numbers: Tensors whose numbers are the positions of rows in the batch.
        row_counts: Tensors that are the number of rows.
        joined: The parts of tensors that were joined along an axis.
    """

    graph: GraphMessage
    prefix: str
    rows_of: str = ""
    rows_dtype: np.dtype[Any] = _INT32
    count: int = 0
    constants: dict[str, Array] = Factory(dict)
    computed: int = 0
    written: dict[int, tuple[Known, Tensor]] = Factory(dict)
    row_numbers: set[str] = Factory(set)
    row_counts: set[str] = Factory(set)
    joined: dict[str, tuple[int, Sequence[Tensor]]] = Factory(dict)

    def add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node, and return its name."""
        node = node_def_pb2.NodeDef(name=self._name(op), op=op, input=inputs)
        for key, value in attributes.items():
            if isinstance(value, np.dtype):
                value = from_code(tf.as_dtype(value).as_datatype_enum)
            set_attribute(node.attr[key], value)
        self.graph.node.append(node)
        return str(node.name)

    def constant(self, value: Any) -> str:
        """Add a constant, and return its name."""
        node = constant(self._name("Const"), value)
        self.graph.node.append(node)
        self.constants[node.name] = np.asarray(value)
        return str(node.name)

    def check_size(self, sizes: Sequence[int]) -> None:
        """Refuse to compute with more numbers here than is reasonable."""
        numbers = prod(sizes)
        if numbers > MAX_KNOWN:
            raise NotOpened("its module computes large values from constants")
        self.count_numbers(numbers)

    def count_numbers(self, numbers: int) -> None:
        """Refuse to take more memory than is reasonable, however often a constant is used."""
        self.computed += numbers
        if self.computed > _MAX_TOTAL:
            raise NotOpened("its module has too many constants that follow from each other")

    def refuse_row_numbers(self, results: Sequence[str]) -> None:
        """Refuse results that depend on how many rows there are, or on where a row is among them.

        JAX computes both to look up each row in itself, which is done without them.
        """
        inputs = {node.name: node.input for node in self.graph.node}
        pending, needed = list(results), set(results)
        while pending:
            new = set(inputs.get(pending.pop(), ())) - needed
            needed |= new
            pending += new
        if needed & self.row_numbers:
            raise NotOpened("its module numbers the rows of the batch")
        if needed & self.row_counts:
            raise NotOpened(_COMPUTED)

    def _name(self, op: str) -> str:
        self.count += 1
        return f"{self.prefix}/{op}_{self.count}"

    def shape(self, sizes: Sizes, like: Tensor | None = None) -> str:
        """Return a tensor with these sizes, for the batch as it is when the graph runs.

        Args:
            sizes: The sizes.
            like: A tensor with an axis that is the batch: what takes part in an op takes its size
                from another part, so that a value of users doesn't wait for the items.
        """
        if not any(isinstance(size, Rows) for size in sizes):
            return self.constant(np.array(sizes, np.int32))
        parts = [self.size(size, like) for size in sizes]
        return self.add("Pack", parts, N=len(parts), T=_INT32, axis=0)

    def size(self, size: Size, like: Tensor | None = None) -> str:
        """Return a tensor with one size, for the batch as it is when the graph runs."""
        if isinstance(size, int):
            return self.constant(np.int32(size))
        name, dtype = (like.name, like.dtype) if like else (self.rows_of, self.rows_dtype)
        axis = like.graph_sizes.index(Rows()) if like else 0
        shape = self.add("Shape", [name], T=dtype, out_type=_INT32)
        ends = [self.constant(np.array([end], np.int32)) for end in (axis, axis + 1, 1)]
        kinds = {"T": _INT32, "Index": _INT32}
        rows = self.add("StridedSlice", [shape, *ends], **kinds, shrink_axis_mask=1)
        if size.times == 1:
            return rows
        times = self.constant(np.int32(size.times))
        return self.add("Mul", [rows, times], T=_INT32)


def reshape_target(sizes: Sizes) -> Array:
    """Return the shape to give to a reshape: the number of rows follows from the others.

    Raises:
        NotOpened: It would not.
    """
    if sum(isinstance(size, Rows) for size in sizes) > 1:
        raise NotOpened("its module has a value with the batch along two axes")
    return np.array([-1 if isinstance(size, Rows) else size for size in sizes], np.int32)


def as_tensor(nodes: Nodes, value: Value) -> Tensor:
    """Return a value as a tensor; one number for all places stays one number.

    Raises:
        NotOpened: It is a number of rows.
    """
    if isinstance(value, Tensor):
        return value
    value.check_numbers()
    if id(value) not in nodes.written:
        nodes.written[id(value)] = value, _constant(nodes, value)
    return nodes.written[id(value)][1]


def _constant(nodes: Nodes, value: Known) -> Tensor:
    array = value.array
    if array.ndim and array.size and not any(array.strides):
        array = array.reshape(-1)[0]
    nodes.count_numbers(array.size)
    return Tensor(nodes.constant(array), value.dtype, value.sizes, array.shape)


def in_full(nodes: Nodes, value: Value, others: Sequence[Value] = ()) -> Tensor:
    """Return a tensor that is as large in the graph as in the module.

    Args:
        nodes: The nodes that are added.
        value: The value.
        others: What it is combined with, one of which may have an axis that is the batch.
    """
    return full_along(nodes, value, range(len(value.sizes)), others)


def full_along(
    nodes: Nodes, value: Value, axes: Sequence[int], others: Sequence[Value] = ()
) -> Tensor:
    """Return a tensor that is as large in the graph as in the module along some axes.

    Along the others it keeps size 1, if it has that; see `in_full`.
    """
    tensor = as_tensor(nodes, value)
    present = tensor.graph_sizes or (1,) * len(tensor.sizes)
    target = tuple(
        size if axis in axes else kept
        for axis, (size, kept) in enumerate(zip(tensor.sizes, present, strict=True))
    )
    if tensor.graph_sizes == target:
        return tensor
    like = next((other for other in others if _has_batch(other)), None)
    shape = nodes.shape(target, like if isinstance(like, Tensor) else None)
    kinds = {"T": tensor.dtype, "Tidx": _INT32}
    name = nodes.add("BroadcastTo", [tensor.name, shape], **kinds)
    return evolve(tensor, name=name, graph_sizes=target)


def _has_batch(value: Value) -> bool:
    return isinstance(value, Tensor) and Rows() in value.graph_sizes


def reshaped(nodes: Nodes, tensor: Tensor, graph_sizes: Sizes, sizes: Sizes) -> Tensor:
    """Return a tensor with other sizes and the same numbers."""
    if graph_sizes == tensor.graph_sizes:
        return evolve(tensor, sizes=sizes)
    target = nodes.constant(reshape_target(graph_sizes))
    kinds = {"T": tensor.dtype, "Tshape": _INT32}
    name = nodes.add("Reshape", [tensor.name, target], **kinds)
    if tensor.name in nodes.row_numbers:
        nodes.row_numbers.add(name)
    return Tensor(name, tensor.dtype, sizes, graph_sizes)
