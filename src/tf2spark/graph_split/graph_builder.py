"""Nodes written into a graph: on one side, across to the pairs, and for the pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from attrs import define, evolve, field

from tf2spark.dtypes import BY_CODE, INT32, STRING, DType
from tf2spark.graph_split.forms import (
    Array,
    Const,
    Dims,
    NotSplit,
    Pair,
    Side,
    SideName,
    broadcast_dims,
    known,
)
from tf2spark.saved_model.reachable_nodes import tensor_name

PREFIX = "tf2spark/"
USERS, ITEMS = f"{PREFIX}users", f"{PREFIX}items"
_DTYPES = {one.numpy: one for one in BY_CODE.values() if one.numpy and one.name != "bfloat16"}
Operand = Const | Side | Pair
M = TypeVar("M")
_FOLDS: Mapping[str, Any] = {
    "AddV2": np.add,
    "MatMul": np.matmul,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Square": np.square,
}


@define
class Frontier:
    """A side's tensor that the pair graph is fed, and the placeholder that takes it there."""

    value: Side
    placeholder: str


@define
class Builder:
    """A graph in the making: the original's nodes, and those that are written beside them.

    Attributes:
        graph: A ``GraphDef``.
        anchors: A fed tensor of each side, which tells how many rows there are.
        frontier: What crosses from a side to the pairs, by tensor.
        filled_with: The constant that all rows of a side's tensor are, by tensor.
    """

    graph: Any
    anchors: dict[SideName, tuple[str, DType]] = field(factory=dict)
    frontier: dict[str, Frontier] = field(factory=dict)
    filled_with: dict[str, Const] = field(factory=dict)
    _count: int = 0
    _cache: dict[Any, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for name in (USERS, ITEMS):
            self.placeholder(name, INT32, ())

    def placeholder(self, name: str, dtype: DType, shape: Dims) -> str:
        """Write a placeholder of this whole shape."""
        node = self.graph.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = dtype.code
        for size in shape:
            node.attr["shape"].shape.dim.add(size=-1 if size is None else size)
        node.attr["shape"].shape.SetInParent()
        return f"{name}:0"

    def constant(self, value: Any, dtype: DType | None = None) -> Const:
        """Write a constant of numbers."""
        array = np.asarray(value, None if dtype is None else dtype.numpy)
        dtype = dtype or _DTYPES[array.dtype]
        name = self._name("Const")
        node = self.graph.node.add(name=name, op="Const")
        write_constant(node, array, dtype)
        return Const(f"{name}:0", dtype, array.shape, lambda: array)

    def ints(self, *values: int) -> str:
        """Return a constant vector of int32, written once."""
        if values not in self._cache:
            self._cache[values] = self.constant(np.array(values, np.int32)).tensor
        return str(self._cache[values])

    def scalar(self, value: int) -> str:
        """Return a constant int32, written once."""
        key = ("scalar", value)
        if key not in self._cache:
            self._cache[key] = self.constant(np.int32(value)).tensor
        return str(self._cache[key])

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Write a node and return its first output."""
        node = self.graph.node.add(name=self._name(op), op=op)
        node.input.extend(inputs)
        for name, value in attributes.items():
            set_attribute(node.attr[name], value)
        return f"{node.name}:0"

    def copy(self, original: Any, inputs: Sequence[str]) -> str:
        """Write a node again with other inputs and return its name; the same where they are."""
        if [tensor_name(name) for name in original.input] == list(inputs):
            return str(original.name)
        node = self.graph.node.add(name=self._name(original.op), op=original.op)
        node.input.extend(inputs)
        for name in original.attr:
            if name not in ("_class", "_output_shapes"):
                node.attr[name].CopyFrom(original.attr[name])
        return str(node.name)

    def _name(self, op: str) -> str:
        self._count += 1
        return f"{PREFIX}{op}_{self._count}"

    # Across to the pairs.

    def cross(self, value: Side) -> str:
        """Return the placeholder by which a side's tensor reaches the pair graph."""
        if value.dtype is STRING or value.dtype.numpy is None:
            raise NotSplit(f"pairs would be computed from {value.dtype} values")
        if value.tensor not in self.frontier:
            known(value.dims, f"a value of each {value.side}")
            name = f"{PREFIX}{value.side}_{len(self.frontier)}"
            tensor = self.placeholder(name, value.dtype, (None, *value.dims))
            # TensorFlow's optimizer takes -reshape(-x) for -reshape(x) where that itself is
            # fetched (its RemoveInvolution): what is fetched is never more than an identity.
            fetched = self.node("Identity", [value.tensor], T=value.dtype)
            self.frontier[value.tensor] = Frontier(evolve(value, tensor=fetched), tensor)
        return self.frontier[value.tensor].placeholder

    def spread(self, value: Operand) -> str:
        """Return a tensor that broadcasts to [users, items, ...]."""
        key = ("spread", value.tensor)
        if key in self._cache:
            return str(self._cache[key])
        match value:
            case Const():
                made = value.tensor
            case Side():
                axis = self.scalar(1 if value.side == "user" else 0)
                made = self.node("ExpandDims", [self.cross(value), axis], T=value.dtype, Tdim=INT32)
            case Pair():
                made = self.reshaped(value.tensor, self.pair_shape(value.dims), value.dtype)
        self._cache[key] = made
        return made

    def pair_shape(self, dims: Dims) -> str:
        """Return the shape [users, items, ...] as a tensor."""
        key = ("shape", dims)
        if key not in self._cache:
            sizes = [self.scalar(size) for size in known(dims, "a pair's value")]
            parts = [f"{USERS}:0", f"{ITEMS}:0", *sizes]
            self._cache[key] = self.node("Pack", parts, T=INT32, N=len(parts), axis=0)
        return str(self._cache[key])

    def reshaped(self, tensor: str, shape: str, dtype: DType) -> str:
        return self.node("Reshape", [tensor, shape], T=dtype, Tshape=INT32)

    def flattened(self, tensor: str, dtype: DType, dims: Dims) -> Pair:
        """Return a tensor [users, items, ...] as a value a pair."""
        shape = self.ints(-1, *known(dims, "a pair's value"))
        return Pair(self.reshaped(tensor, shape, dtype), dtype, dims)

    def whole(self, value: Side) -> Pair:
        """Repeat a side's value for every pair."""
        key = ("whole", value.tensor)
        if key not in self._cache:
            shape = self.pair_shape(value.dims)
            tensor = self.node(
                "BroadcastTo", [self.spread(value), shape], T=value.dtype, Tidx=INT32
            )
            self._cache[key] = self.flattened(tensor, value.dtype, value.dims)
        found: Pair = self._cache[key]
        return found

    # Ops on operands.

    def cached(self, what: str, value: Any, make: Callable[[], M]) -> M:
        """Return what was made of a value before, or make it."""
        key = (what, id(value))
        if key not in self._cache:
            # The value is kept too, so that no other gets its id.
            self._cache[key] = (make(), value)
        found: M = self._cache[key][0]
        return found

    def folded(self, op: str, *values: Const) -> Const:
        """Apply an op to constants, here and now."""
        return self.constant(_FOLDS[op](*(one.value for one in values)), values[0].dtype)

    def broadcast_constant(self, value: Const, shape: tuple[int, ...]) -> Const:
        """Return a constant of rows of this shape."""
        array = value.value.reshape(value.value.shape[-len(shape) :] if shape else ())
        return self.constant(np.broadcast_to(array, shape), value.dtype)

    def zeros(self, shape: tuple[int, ...], dtype: DType) -> Const:
        return self.constant(np.zeros(shape, dtype.numpy), dtype)

    def elementwise(
        self, op: str, operands: Sequence[Operand], dtype: DType, **attributes: Any
    ) -> Any:
        """Apply an elementwise op: on its side where there is one, else for the pairs."""
        if all(isinstance(one, Const) for one in operands):
            return self.folded(op, *operands)  # type: ignore[arg-type]
        dims = broadcast_dims(operands)
        if not op.startswith("Logical"):
            attributes = attributes or {"T": operands[0].dtype}
        side = one_side(operands)
        if side is not None:
            tensor = self.node(op, [one.tensor for one in operands], **attributes)
            return Side(side, tensor, dtype, dims)
        if op == "AddV2" and (bias := _bias_last(operands)) is not None:
            # TensorFlow fuses this one, and a ReLU behind it, into a matrix product before it.
            tensor = self.node("BiasAdd", [one.tensor for one in bias], T=dtype)
            return Pair(tensor, dtype, dims)
        return self.of_pairs(operands, dtype, lambda inputs: self.node(op, inputs, **attributes))

    def of_pairs(
        self, operands: Sequence[Operand], dtype: DType, write: Callable[[list[str]], str]
    ) -> Pair:
        """Write an elementwise op on operands that broadcast against each other, for the pairs."""
        dims = broadcast_dims(operands)
        if not any(isinstance(one, Side) for one in operands):
            return Pair(write([one.tensor for one in operands]), dtype, dims)
        return self.flattened(write([self.spread(one) for one in operands]), dtype, dims)

    def reshape(self, value: Side | Pair, dims: Dims) -> Side | Pair:
        """Give rows other dimensions; one may be unknown on a side whose own are unknown too."""
        if value.dims == dims:
            return value
        shape = self.ints(-1, *known(dims, "a reshaped row"))
        return renewed(value, self.reshaped(value.tensor, shape, value.dtype), dims)

    def rows(self, side: SideName) -> str:
        """Return the number of a side's rows as a vector of one int32."""
        key = ("rows", side)
        if key not in self._cache:
            anchor, dtype = self.anchors[side]
            shape = self.node("Shape", [anchor], T=dtype, out_type=INT32)
            self._cache[key] = self.node(
                "Slice", [shape, self.ints(0), self.ints(1)], T=INT32, Index=INT32
            )
        return str(self._cache[key])

    def filled(self, value: Const, side: SideName, dims: Dims) -> Side:
        """Give every row of a side the same value."""
        sizes = known(dims, "a filled row")
        shape = self.node(
            "ConcatV2",
            [self.rows(side), self.ints(*sizes), self.scalar(0)],
            T=INT32,
            N=2,
            Tidx=INT32,
        )
        tensor = self.node("BroadcastTo", [value.tensor, shape], T=value.dtype, Tidx=INT32)
        self.filled_with[tensor] = value
        return Side(side, tensor, value.dtype, sizes)


def write_constant(node: Any, array: Array, dtype: DType) -> None:
    """Write the attributes of a ``Const`` of numbers."""
    node.attr["dtype"].type = dtype.code
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype.code
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_shape.SetInParent()
    tensor.tensor_content = np.ascontiguousarray(array).tobytes()


def renewed(value: Side | Pair, tensor: str, dims: Dims, dtype: DType | None = None) -> Side | Pair:
    """Return a value of the same form that another tensor holds."""
    dtype = dtype or value.dtype
    if isinstance(value, Side):
        return Side(value.side, tensor, dtype, dims)
    return Pair(tensor, dtype, dims)


def one_side(operands: Sequence[Any]) -> SideName | None:
    """Return the side that all operands are of, constants apart; None where there is none."""
    rows = [one for one in operands if not isinstance(one, Const)]
    if not all(isinstance(one, Side) for one in rows):
        return None
    sides = {one.side for one in rows}
    return sides.pop() if len(sides) == 1 else None


def _bias_last(operands: Sequence[Operand]) -> tuple[Pair, Const] | None:
    """Return vectors of pairs and a constant vector as wide, if that is what two operands are."""
    first, second = operands
    if isinstance(first, Const):
        first, second = second, first
    same = isinstance(first, Pair) and isinstance(second, Const) and len(second.shape) == 1
    if same and first.dims == second.shape and first.dtype.is_floating:  # type: ignore[union-attr]
        return first, second  # type: ignore[return-value]
    return None


def set_attribute(attribute: Any, value: Any) -> None:
    """Write a value into a node's attribute."""
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
        case list():
            attribute.list.i.extend(value)
            attribute.list.SetInParent()
        case _:
            raise TypeError(value)
