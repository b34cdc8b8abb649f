"""Dense layers over sequences become matrix products of two dimensions, with all that follows.

A dense layer multiplies the last dimension of its input, and the dimensions before it are rows to
it, however many they are. So with W of shape [K, N] and r(x) = reshape(x, [-1, x.shape[-1]])::

    batch_matmul(x, W)          =  reshape(matmul(r(x), W), [..., N])
    reshape(m, s) + b           =  reshape(m + flat(b), s)      b has the last dimensions of s
    f(reshape(m, s))            =  reshape(f(m), s)             f works element by element
    f(reshape(m, s), c)         =  reshape(f(m, c), s)          c is one number
    f(reshape(m, s), reshape(n, s))  =  reshape(f(m, n), s)     m and n have the same shape
    c * m ** 3                  =  (c * m) * m ** 2       in GELU's approximation

Keras writes the left sides: products that TensorFlow computes sequence by sequence, and a reshape
between each product and its bias. Of the right sides, TensorFlow computes a product together with
its bias and activation (ReLU, GELU). A reshape itself copies nothing. All reshapes of the graph
stay, and r(x) takes the last dimension from x, so that a wrong size fails as it did.

Only products are summed in another order, so scores differ by rounding. Each product that is left
as it is has its reason (`Refusal`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import Factory, define, evolve, frozen
from tensorflow.core.framework import node_def_pb2, types_pb2

from tf2spark.compile.rewrites.rewriting import Refusal, Rewriting, attribute, channels_last
from tf2spark.compile.weights import constant
from tf2spark.saved_model.graph.upstream import is_control, node_name, tensor_name
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

_PRODUCTS = frozenset({"BatchMatMulV2", "MatMul"})
_UNARY = frozenset({"Elu", "Erf", "Erfc", "Exp", "Identity", "LeakyRelu", "Neg", "Relu", "Relu6",
                    "Rsqrt", "Selu", "Sigmoid", "Softplus", "Sqrt", "Square", "Tanh"})  # fmt: skip
_BINARY = frozenset({"Add", "AddV2", "Maximum", "Minimum", "Mul", "Pow", "RealDiv", "Sub"})


@frozen
class _Flat:
    """A tensor that is the reshape of a matrix, or the matrix itself.

    Attributes:
        matrix: The node of the matrix, [rows, width].
        root: The product that it was made from: matrices of one product have the same shape.
        width: The last dimension of the matrix.
        shape: The node with the tensor's shape; "" if the tensor is the matrix.
        shape_type: The dtype of the shape.
        always: No matrix can fail to have that shape.
    """

    matrix: str
    root: str
    width: int
    shape: str = ""
    shape_type: int = types_pb2.DT_INT32
    always: bool = False


@define
class _Rewriter:
    """A graph while it is rewritten, and what is known of its tensors: each node's output 0."""

    graph: GraphMessage
    nodes: dict[str, Any]
    flats: dict[str, _Flat] = Factory(dict)

    def add(self, node: NodeMessage) -> str:
        self.graph.node.append(node)
        self.nodes[node.name] = self.graph.node[-1]
        return str(node.name)

    def add_constant(self, name: str, value: Any) -> str:
        return self.add(constant(name, value))

    def value(self, name: str) -> Any:
        """Return the value of a constant; None for any other tensor."""
        node = self.nodes.get(node_name(name))
        return (
            None
            if node is None or node.op != "Const"
            else tf.make_ndarray(node.attr["value"].tensor)
        )

    def flat(self, name: str) -> _Flat | None:
        return self.flats.get(node_name(name)) if tensor_name(name).endswith(":0") else None


def flatten_dense_layers(graph: GraphMessage) -> Rewriting:
    """Rewrite the dense layers of a frozen graph. Nodes that nothing reads any more stay in it.

    Every tensor of the graph keeps its name and, but for rounding, its value.
    """
    rewriter = _Rewriter(graph, {node.name: node for node in graph.node})
    try:
        order = list(_topological(rewriter.nodes))
    except CycleError:
        return Rewriting((), (Refusal("", "the graph has a loop of TensorFlow 1"),))
    rewritten, refused = [], []
    for node in order:
        op = node.op
        if op in _PRODUCTS:
            if reason := _rewrite_product(rewriter, node):
                refused.append(Refusal(node.name, reason))
        elif not any(map(is_control, node.input)):
            _rewrite_after(rewriter, node)
        if node.op != op:
            rewritten.append(node.name)
    return Rewriting(tuple(rewritten), tuple(refused))


def _topological(nodes: Mapping[str, Any]) -> Iterator[NodeMessage]:
    readers = {name: list(map(node_name, node.input)) for name, node in nodes.items()}
    return (nodes[name] for name in TopologicalSorter(readers).static_order() if name in nodes)


def _rewrite_product(rewriter: _Rewriter, node: NodeMessage) -> str:
    """Make a product one of two dimensions; return why it isn't one, or ""."""
    if node.attr["T"].type != types_pb2.DT_FLOAT:
        return "it doesn't compute in float32"
    flags = map(partial(attribute, node), ("adj_x", "adj_y", "transpose_a", "transpose_b"))
    if any(flag is not None and flag.b for flag in flags):
        return "a factor is transposed"
    if any(map(is_control, node.input)):
        return "it waits for another op"
    weights = rewriter.nodes.get(node_name(node.input[1]))
    if weights is None or weights.op != "Const":
        return "its second factor is not a constant of the graph"
    dims = [dim.size for dim in weights.attr["value"].tensor.tensor_shape.dim]
    if len(dims) != 2:
        return "its second factor is not a matrix"
    width = dims[1]
    if node.op == "MatMul":
        rewriter.flats[node.name] = _Flat(node.name, node.name, width)
        return ""
    rows, shape = _rows_and_shape(rewriter, node, width)
    name = f"{node.name}/tf2spark_flat"
    product = node_def_pb2.NodeDef(name=name, op="MatMul", input=[rows, node.input[1]])
    product.attr["T"].type = types_pb2.DT_FLOAT
    flat = _Flat(rewriter.add(product), name, width, shape, always=True)
    _become_reshape(rewriter, node, flat)
    return ""


def _rows_and_shape(rewriter: _Rewriter, node: NodeMessage, width: int) -> tuple[str, str]:
    """Add the first factor of a product as a matrix, and the shape of what the product gives."""
    base = f"{node.name}/tf2spark"
    shape = node_def_pb2.NodeDef(name=f"{base}_shape", op="Shape", input=[node.input[0]])
    shape.attr["T"].type = types_pb2.DT_FLOAT
    shape.attr["out_type"].type = types_pb2.DT_INT32
    rewriter.add(shape)
    ends = [rewriter.add_constant(f"{base}_end_{n}", np.array([n], np.int32)) for n in (-1, 0, 1)]
    last, zero, one = ends
    before = _slice(rewriter, f"{base}_before", [shape.name, zero, last, one], "begin_mask")
    after = _slice(rewriter, f"{base}_last", [shape.name, last, zero, one], "end_mask")
    any_rows = rewriter.add_constant(f"{base}_any", np.array([-1], np.int32))
    widths = rewriter.add_constant(f"{base}_width", np.array([width], np.int32))
    rows_shape = _concat(rewriter, f"{base}_rows_shape", any_rows, after)
    rows = rewriter.add(_reshape(f"{base}_rows", node.input[0], rows_shape))
    return rows, _concat(rewriter, f"{base}_result_shape", before, widths)


def _slice(rewriter: _Rewriter, name: str, inputs: list[str], mask: str) -> str:
    node = node_def_pb2.NodeDef(name=name, op="StridedSlice", input=inputs)
    node.attr["T"].type = node.attr["Index"].type = types_pb2.DT_INT32
    node.attr[mask].i = 1
    return rewriter.add(node)


def _concat(rewriter: _Rewriter, name: str, first: str, second: str) -> str:
    axis = rewriter.add_constant(f"{name}/axis", np.array(0, np.int32))
    node = node_def_pb2.NodeDef(name=name, op="ConcatV2", input=[first, second, axis])
    node.attr["T"].type = node.attr["Tidx"].type = types_pb2.DT_INT32
    node.attr["N"].i = 2
    return rewriter.add(node)


def _rewrite_after(rewriter: _Rewriter, node: NodeMessage) -> None:
    """Move what follows a reshaped matrix before the reshape, where that is the same."""
    flat = rewriter.flat(node.input[0]) if node.input else None
    if node.op in _BINARY and len(node.input) == 2:
        _rewrite_binary(rewriter, node)
    elif flat is None:
        return
    elif node.op == "Reshape" and (flat.always or not flat.shape):
        node.input[0] = flat.matrix
        dtype = attribute(node, "Tshape")
        shape_type = types_pb2.DT_INT32 if dtype is None else dtype.type
        rewriter.flats[node.name] = evolve(
            flat, shape=node.input[1], shape_type=shape_type, always=False
        )
    elif node.op == "BiasAdd" and channels_last(node):
        bias = rewriter.value(node.input[1])
        if bias is not None and bias.shape == (_last_size(rewriter, flat),) == (flat.width,):
            _move(rewriter, node, flat, [flat.matrix, node.input[1]])
    elif node.op in _UNARY:
        _move(rewriter, node, flat, [flat.matrix])


def _rewrite_binary(rewriter: _Rewriter, node: NodeMessage) -> None:
    first, second = map(rewriter.flat, node.input)
    if first is not None and second is not None:
        if (first.root, first.shape) == (second.root, second.shape):
            _move(rewriter, node, first, [first.matrix, second.matrix])
        return
    flat, value = first or second, rewriter.value(node.input[0 if first is None else 1])
    if flat is None or value is None:
        return
    if value.ndim == 0 and node.op == "Mul" and (cubed := _cubed(rewriter, flat.matrix)):
        # The only form of GELU that TensorFlow's optimizer knows.
        square = node_def_pb2.NodeDef(name=f"{node.name}/tf2spark_square", op="Square")
        scaled = node_def_pb2.NodeDef(name=f"{node.name}/tf2spark_scaled", op="Mul")
        square.input.append(cubed)
        scaled.input.extend([node.input[0 if first is None else 1], cubed])
        for new in (square, scaled):
            new.attr["T"].type = types_pb2.DT_FLOAT
        _move(rewriter, node, flat, [rewriter.add(scaled), rewriter.add(square)])
    elif value.ndim == 0:
        inputs = [node.input[0] if first is None else flat.matrix,
                  node.input[1] if second is None else flat.matrix]  # fmt: skip
        _move(rewriter, node, flat, inputs)
    elif node.op in ("Add", "AddV2") and _ends_with(rewriter, flat, value.shape):
        bias = rewriter.add_constant(f"{node.name}/tf2spark_bias", value.reshape(-1))
        _move(rewriter, node, flat, [flat.matrix, bias], op="BiasAdd")


def _cubed(rewriter: _Rewriter, name: str) -> str:
    """Return the matrix whose third power a matrix is; "" if it is none."""
    node = rewriter.nodes[name]
    exponent = rewriter.value(node.input[1]) if node.op == "Pow" else None
    return node.input[0] if exponent is not None and exponent.ndim == 0 and exponent == 3 else ""


def _last_size(rewriter: _Rewriter, flat: _Flat) -> int | None:
    """Return the last dimension of a tensor, if its shape's node shows it."""
    if not flat.shape:
        return flat.width
    node = rewriter.nodes[node_name(flat.shape)]
    if node.op == "ConcatV2":
        node = rewriter.nodes[node_name(node.input[-2])]
    elif node.op == "Pack":
        node = rewriter.nodes[node_name(node.input[-1])]
    sizes = rewriter.value(node.name)
    return None if sizes is None or not sizes.size else int(sizes.reshape(-1)[-1])


def _ends_with(rewriter: _Rewriter, flat: _Flat, dims: tuple[int, ...]) -> bool:
    """Return whether the last dimensions of a tensor are these, and make up all of the width."""
    if len(dims) == 1:
        return dims == (_last_size(rewriter, flat),) == (flat.width,)
    sizes = rewriter.value(flat.shape) if flat.shape else None
    if sizes is None or np.prod(dims) != flat.width or len(dims) > len(sizes):
        return False
    return tuple(sizes[len(sizes) - len(dims) :]) == dims


def _move(
    rewriter: _Rewriter, node: NodeMessage, flat: _Flat, inputs: list[str], *, op: str = ""
) -> None:
    """Let an op work on a matrix, and its node become the reshape of the result."""
    if not flat.shape and not op:  # it does already
        rewriter.flats[node.name] = evolve(flat, matrix=node.name)
        return
    moved = node_def_pb2.NodeDef()
    moved.CopyFrom(node)
    moved.name, moved.op = f"{node.name}/tf2spark_flat", op or node.op
    del moved.input[:]
    moved.input.extend(inputs)
    moved.attr.pop("_output_shapes", None)
    _become_reshape(rewriter, node, evolve(flat, matrix=rewriter.add(moved)))


def _become_reshape(rewriter: _Rewriter, node: NodeMessage, flat: _Flat) -> None:
    if flat.shape:
        node.CopyFrom(_reshape(node.name, flat.matrix, flat.shape, flat.shape_type))
    else:
        identity = node_def_pb2.NodeDef(name=node.name, op="Identity", input=[flat.matrix])
        identity.attr["T"].type = types_pb2.DT_FLOAT
        node.CopyFrom(identity)
    rewriter.flats[node.name] = flat


def _reshape(
    name: str, source: str, shape: str, shape_type: int = types_pb2.DT_INT32
) -> NodeMessage:
    node: NodeMessage = node_def_pb2.NodeDef(name=name, op="Reshape", input=[source, shape])
    node.attr["T"].type = types_pb2.DT_FLOAT
    node.attr["Tshape"].type = shape_type
    return node
