"""Nodes added to the graph: on one side, across to the pairs, and for the pairs.

One ``GraphDef`` holds the original nodes and three graphs: what is computed per user, per item and
per pair. They share no edges. Where a pair needs a side's value, the side's tensor is fetched and
fed to the pair graph through a placeholder: these tensors are the *frontier*.

Inside the pair graph a tensor has one of two layouts: a `Pair` is [users * items, ...], as the
model's own ops expect it; the *grid* is [users, items, ...], in which a user's value
[users, 1, ...] and an item's [1, items, ...] broadcast.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt
from attrs import define, evolve, field, frozen

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import BY_CODE, INT32, STRING, Dims, DType
from tf2spark.graph_split.forms import (
    Const,
    NotSplit,
    Operand,
    Pair,
    Side,
    SideName,
    Value,
    broadcast_dims,
    common_side,
    require_known,
)
from tf2spark.saved_model.graph.node_attributes import set_attribute, write_constant, write_shape
from tf2spark.saved_model.graph.upstream import tensor_name
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

PREFIX = "tf2spark/"
USERS, ITEMS = f"{PREFIX}users", f"{PREFIX}items"
"""Placeholders of the pair graph for the number of users and items of a block."""
_DTYPES = {
    dtype.numpy: dtype for dtype in BY_CODE.values() if dtype.numpy and dtype.name != "bfloat16"
}
Attribute = DType | bool | int | float | str
_Computed = TypeVar("_Computed", bound=Value)
_FOLDS: Mapping[str, Callable[..., Array]] = {
    "AddV2": np.add,
    "MatMul": np.matmul,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Square": np.square,
}


@frozen
class FrontierTensor:
    """A tensor of a side, as it is fetched, and the placeholder that takes it to the pairs."""

    value: Side
    placeholder: str


@define
class GraphBuilder:
    """A graph that is being extended.

    Attributes:
        graph: A ``GraphDef``: the original's nodes, and those that are added.
        anchors: For each side, a fed tensor whose rows are counted for the side's, and its dtype.
        frontier: What crosses from a side to the pairs, by tensor.
        fill_values: The constant that fills all rows of a side's tensor, by tensor.
    """

    graph: GraphMessage
    anchors: dict[SideName, tuple[str, DType]] = field(factory=dict)
    frontier: dict[str, FrontierTensor] = field(factory=dict)
    fill_values: dict[str, Const] = field(factory=dict)
    _node_count: int = 0
    _tensors: dict[Hashable, str] = field(factory=dict)
    _repeated: dict[str, Pair] = field(factory=dict)
    _computed: dict[tuple[str, int], tuple[Value, Value]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for name in (USERS, ITEMS):
            self.placeholder(name, INT32, ())

    # Single nodes.

    def placeholder(self, name: str, dtype: DType, shape: Dims) -> str:
        """Add a placeholder of this whole shape, batch included."""
        return add_placeholder(self.graph, name, dtype, shape)

    def constant(self, value: npt.ArrayLike, dtype: DType | None = None) -> Const:
        """Add a constant of numbers; its dtype is the array's unless it is given."""
        array = np.asarray(value, None if dtype is None else dtype.numpy)
        dtype = dtype or _DTYPES[array.dtype]
        name = self._new_name("Const")
        write_constant(self.graph.node.add(name=name, op="Const"), array, dtype)
        return Const(f"{name}:0", dtype, array.shape, lambda: array)

    def zeros(self, shape: tuple[int, ...], dtype: DType) -> Const:
        return self.constant(np.zeros(shape, dtype.numpy), dtype)

    def int_vector(self, *values: int) -> str:
        """Return a constant vector of int32; the same tensor for the same values."""
        return self._tensor_once(
            ("vector", values), lambda: self.constant(np.array(values, np.int32)).tensor
        )

    def int_scalar(self, value: int) -> str:
        """Return a constant int32; the same tensor for the same value."""
        return self._tensor_once(("scalar", value), lambda: self.constant(np.int32(value)).tensor)

    def node(self, op: str, inputs: Sequence[str], **attributes: Attribute) -> str:
        """Add a node and return its first output."""
        return add_node(self.graph, self._new_name(op), op, inputs, attributes)

    def copy_node(self, original: NodeMessage, inputs: Sequence[str]) -> str:
        """Return the name of a copy with these inputs, or of the node itself if it has them."""
        if [tensor_name(name) for name in original.input] == list(inputs):
            return str(original.name)
        node = self.graph.node.add(name=self._new_name(original.op), op=original.op)
        node.input.extend(inputs)
        for name in original.attr:
            # Neither holds for the copy: what it is colocated with, and the inferred shape.
            if name not in ("_class", "_output_shapes"):
                node.attr[name].CopyFrom(original.attr[name])
        return str(node.name)

    def _new_name(self, op: str) -> str:
        self._node_count += 1
        return f"{PREFIX}{op}_{self._node_count}"

    def _tensor_once(self, key: Hashable, add: Callable[[], str]) -> str:
        if key not in self._tensors:
            self._tensors[key] = add()
        return self._tensors[key]

    def compute_once(
        self, purpose: str, value: Value, compute: Callable[[], _Computed]
    ) -> _Computed:
        """Return what was computed from this very value for this purpose, or compute it."""
        key = (purpose, id(value))
        if key not in self._computed:
            # The value is kept alive with the result, so that no other object gets its id.
            self._computed[key] = (compute(), value)
        return self._computed[key][0]  # type: ignore[return-value]

    # Across the frontier, and between the two layouts of pairs.

    def pair_placeholder(self, value: Side) -> str:
        """Return the placeholder through which a side's tensor reaches the pair graph."""
        if value.dtype is STRING or value.dtype.numpy is None:
            raise NotSplit(f"pairs would be computed from {value.dtype} values")
        if value.tensor not in self.frontier:
            require_known(value.dims, f"a value of each {value.side}")
            name = f"{PREFIX}{value.side}_{len(self.frontier)}"
            placeholder = self.placeholder(name, value.dtype, (None, *value.dims))
            # TensorFlow's optimizer (RemoveInvolution) mistakes -reshape(-x) for -reshape(x) if
            # that tensor itself is fetched, so only plain identities are fetched.
            fetched = self.node("Identity", [value.tensor], T=value.dtype)
            self.frontier[value.tensor] = FrontierTensor(evolve(value, tensor=fetched), placeholder)
        return self.frontier[value.tensor].placeholder

    def grid_operand(self, value: Operand) -> str:
        """Return a tensor that broadcasts to the grid [users, items, *dims]."""
        return self._tensor_once(("grid", value.tensor), lambda: self._grid_operand(value))

    def _grid_operand(self, value: Operand) -> str:
        match value:
            case Const():
                return value.tensor
            case Side():
                axis = self.int_scalar(1 if value.side == "user" else 0)
                placeholder = self.pair_placeholder(value)
                return self.node("ExpandDims", [placeholder, axis], T=value.dtype, Tdim=INT32)
            case Pair():
                return self.reshape_tensor(value.tensor, self.grid_shape(value.dims), value.dtype)

    def grid_shape(self, dims: Dims) -> str:
        """Return the shape [users, items, *dims] as a tensor."""

        def pack() -> str:
            sizes = [self.int_scalar(size) for size in require_known(dims, "a value per pair")]
            parts = [f"{USERS}:0", f"{ITEMS}:0", *sizes]
            return self.node("Pack", parts, T=INT32, N=len(parts), axis=0)

        return self._tensor_once(("grid shape", dims), pack)

    def flatten_grid(self, tensor: str, dtype: DType, dims: Dims) -> Pair:
        """Return a tensor [users, items, *dims] as a value per pair."""
        shape = self.int_vector(-1, *require_known(dims, "a value per pair"))
        return Pair(self.reshape_tensor(tensor, shape, dtype), dtype, dims)

    def repeat_for_pairs(self, value: Side) -> Pair:
        """Repeat a side's value for every pair."""
        if value.tensor not in self._repeated:
            shape = self.grid_shape(value.dims)
            grid = self.grid_operand(value)
            tensor = self.node("BroadcastTo", [grid, shape], T=value.dtype, Tidx=INT32)
            self._repeated[value.tensor] = self.flatten_grid(tensor, value.dtype, value.dims)
        return self._repeated[value.tensor]

    # Ops on operands.

    def fold(self, op: str, *values: Const) -> Const:
        """Apply an op to constants, here and now."""
        return self.constant(_FOLDS[op](*(value.value for value in values)), values[0].dtype)

    def broadcast_constant(self, value: Const, shape: tuple[int, ...]) -> Const:
        """Return a constant of rows of this shape, without a leading axis of size 1."""
        array = value.value.reshape(value.value.shape[-len(shape) :] if shape else ())
        return self.constant(np.broadcast_to(array, shape), value.dtype)

    @overload
    def write_elementwise(
        self, op: str, operands: Sequence[Side | Pair], dtype: DType, **attributes: Attribute
    ) -> Side | Pair: ...

    @overload
    def write_elementwise(
        self, op: str, operands: Sequence[Operand], dtype: DType, **attributes: Attribute
    ) -> Operand: ...

    def write_elementwise(
        self, op: str, operands: Sequence[Operand], dtype: DType, **attributes: Attribute
    ) -> Operand:
        """Add an elementwise op: on a side if all operands belong to it, else for the pairs."""
        constants = [operand for operand in operands if isinstance(operand, Const)]
        if len(constants) == len(operands):
            return self.fold(op, *constants)
        # Logical ops have no type attribute, most others only "T".
        if not op.startswith("Logical"):
            attributes = attributes or {"T": operands[0].dtype}
        side = common_side(operands)
        if side is not None:
            tensor = self.node(op, [operand.tensor for operand in operands], **attributes)
            return Side(side, tensor, dtype, broadcast_dims(operands))
        if op == "AddV2" and (bias := _pair_and_bias(operands)) is not None:
            # TensorFlow fuses a BiasAdd, and a ReLU after it, into the matrix product before it.
            tensor = self.node("BiasAdd", [operand.tensor for operand in bias], T=dtype)
            return Pair(tensor, dtype, broadcast_dims(operands))
        return self.pair_elementwise(
            operands, dtype, lambda inputs: self.node(op, inputs, **attributes)
        )

    def pair_elementwise(
        self, operands: Sequence[Operand], dtype: DType, add: Callable[[list[str]], str]
    ) -> Pair:
        """Add an elementwise op for the pairs, on operands that broadcast against each other.

        Args:
            operands: Its inputs.
            dtype: Of its result.
            add: Adds the node, given its inputs, and returns its output.
        """
        dims = broadcast_dims(operands)
        if not any(isinstance(operand, Side) for operand in operands):
            return Pair(add([operand.tensor for operand in operands]), dtype, dims)
        # Only a side's value needs the grid: without one, the rows are aligned already.
        grid = add([self.grid_operand(operand) for operand in operands])
        return self.flatten_grid(grid, dtype, dims)

    def reshape_tensor(self, tensor: str, shape: str, dtype: DType) -> str:
        return self.node("Reshape", [tensor, shape], T=dtype, Tshape=INT32)

    def reshape_operand(self, value: Side | Pair, dims: Dims) -> Side | Pair:
        """Reshape rows to other dimensions, all known, with the same number of values."""
        if value.dims == dims:
            return value
        shape = self.int_vector(-1, *require_known(dims, "a reshaped row"))
        return with_tensor(value, self.reshape_tensor(value.tensor, shape, value.dtype), dims)

    def row_count(self, side: SideName) -> str:
        """Return the number of a side's rows as a vector of one int32."""

        def slice_shape() -> str:
            # Any dense tensor that the side feeds has as many rows as the side.
            if side not in self.anchors:
                raise NotSplit(f"no input counts the {side}s")
            anchor, dtype = self.anchors[side]
            shape = self.node("Shape", [anchor], T=dtype, out_type=INT32)
            first = [shape, self.int_vector(0), self.int_vector(1)]
            return self.node("Slice", first, T=INT32, Index=INT32)

        return self._tensor_once(("rows", side), slice_shape)

    def fill_rows(self, value: Const, side: SideName, dims: Dims) -> Side:
        """Give every row of a side the same value."""
        sizes = require_known(dims, "a filled row")
        shape = self.node(
            "ConcatV2",
            [self.row_count(side), self.int_vector(*sizes), self.int_scalar(0)],
            T=INT32,
            N=2,
            Tidx=INT32,
        )
        tensor = self.node("BroadcastTo", [value.tensor, shape], T=value.dtype, Tidx=INT32)
        # Layer normalization checks whether its scale is filled with 1, and its offset with 0.
        self.fill_values[tensor] = value
        return Side(side, tensor, value.dtype, sizes)


def add_placeholder(graph: GraphMessage, name: str, dtype: DType, shape: Dims) -> str:
    """Add a placeholder of this whole shape, batch included."""
    node = graph.node.add(name=name, op="Placeholder")
    node.attr["dtype"].type = dtype.code
    write_shape(node, shape)
    return f"{name}:0"


def add_node(
    graph: GraphMessage,
    name: str,
    op: str,
    inputs: Sequence[str],
    attributes: Mapping[str, Attribute],
) -> str:
    """Add a node and return its first output."""
    node = graph.node.add(name=name, op=op)
    node.input.extend(inputs)
    for key, value in attributes.items():
        set_attribute(node.attr[key], value)
    return f"{name}:0"


def with_tensor(
    value: Side | Pair, tensor: str, dims: Dims, dtype: DType | None = None
) -> Side | Pair:
    """Return a value of the same form and side, held by another tensor."""
    dtype = dtype or value.dtype
    if isinstance(value, Side):
        return Side(value.side, tensor, dtype, dims)
    return Pair(tensor, dtype, dims)


def _pair_and_bias(operands: Sequence[Operand]) -> tuple[Pair, Const] | None:
    """Return two operands as a ``BiasAdd`` takes them, if they are rows and a vector as long."""
    rows, bias = operands
    if isinstance(rows, Const):
        rows, bias = bias, rows
    if not isinstance(rows, Pair) or not isinstance(bias, Const) or len(bias.shape) != 1:
        return None
    return (rows, bias) if rows.dims == bias.shape and rows.dtype.is_floating else None
