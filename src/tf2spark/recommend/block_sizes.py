"""Work and memory per pair, and the sizes of the blocks of users and items that follow from them.

A block is a number of users against a number of items: the pair graph runs once per block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isqrt, prod
from typing import Any

from attrs import frozen

from tf2spark.dtypes import Dims, Shape, from_code
from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.pair_model import PairModel
from tf2spark.saved_model.upstream import data_inputs, tensor_name, upstream
from tf2spark.tensorflow_c.graph import graph_tensor_info

# The largest tensor of a block: it is read right after it is written, so it should still be in the
# processor's cache (2 to 3 MiB measured best; smaller blocks mean more runs, larger ones miss it).
_TENSOR_BYTES = 3 << 20
# Where no tensor of a pair is wider than its score, blocks have this many pairs.
_MAX_PAIRS, _SCORE_BYTES = 1 << 21, 8
# Top-k processes the scores of all users of a block at once, which is cheap from this many on.
_MIN_USERS = 32
# Items per user in a block: TensorFlow repacks the items for each block's matrix product, so
# many users should share that; but the best k are found faster in long rows.
_ITEMS_PER_USER = 16


@frozen
class BlockSizes:
    """What a pair costs, and the blocks that follow.

    Attributes:
        flops_whole: Floating-point operations per pair in the whole graph.
        flops_pair: Floating-point operations per pair in the pair graph.
        bytes_pair: Bytes of the values that are computed per pair.
        bytes_user: Bytes of the values that are computed once per user.
        bytes_item: Bytes of the values that are computed once per item.
        block_users: Users per block.
        block_items: Items per block.
        pair_ops: What is computed per pair, as text.
        left_ops: The matrix products of the whole graph that no pair computes, as text.
    """

    flops_whole: int
    flops_pair: int
    bytes_pair: int
    bytes_user: int
    bytes_item: int
    block_users: int
    block_items: int
    pair_ops: tuple[str, ...]
    left_ops: tuple[str, ...]


def choose_block_sizes(split: SplitGraph, items: int, model: PairModel) -> BlockSizes:
    """Count the work of a split graph, and choose its blocks for a catalog of this many items."""
    pair = _pair_graph(split)
    whole = _whole_graph(split, model)
    widest_bytes = max([4, *map(pair.value_bytes, pair.nodes)])
    block_users, block_items = block_shape(widest_bytes)
    left_ops = Counter(_product_texts(whole)) - Counter(_product_texts(pair))
    return BlockSizes(
        sum(map(whole.flops, whole.nodes)),
        sum(map(pair.flops, pair.nodes)),
        sum(map(pair.value_bytes, pair.nodes)),
        sum(_row_bytes(value.dims, value.dtype.code) for value, _ in split.users),
        sum(_row_bytes(value.dims, value.dtype.code) for value, _ in split.items),
        block_users,
        max(1, min(block_items, items)),
        (*_product_texts(pair), *_other_op_texts(pair)),
        tuple(left_ops.elements()),
    )


def block_shape(widest_bytes: int) -> tuple[int, int]:
    """Return users and items per block for pairs whose widest tensor has this many bytes."""
    pairs = _MAX_PAIRS if widest_bytes <= _SCORE_BYTES else max(1, _TENSOR_BYTES // widest_bytes)
    users = min(pairs, max(_MIN_USERS, isqrt(pairs // _ITEMS_PER_USER)))
    return users, max(1, pairs // users)


# The cost of nodes.


_FREE = frozenset(
    ["Const", "Placeholder", "Reshape", "Pack", "ExpandDims", "Identity", "Shape", "Slice",
     "Squeeze"]
)  # fmt: skip
"""Ops that compute nothing: they only change or describe a shape."""
_REDUCTIONS = frozenset(["Sum", "Mean", "Max", "Min", "Prod", "All", "Any"])
_PRODUCTS = frozenset(
    ["MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D"]
)


@frozen(eq=False)
class _CostedGraph:
    """Nodes from the score up to the inputs, and the shapes of their tensors.

    A tensor with an unknown first dimension, [None, ...], has a row per pair; in the pair graph it
    may also be [None, None, ...], users by items. All other tensors are computed once, not per
    pair, and cost nothing here.
    """

    nodes: list[Any]
    shapes: dict[str, Shape]

    def pair_shape(self, node: Any) -> Dims | None:
        """Return the shape of a node's result where there is a row per pair, else None."""
        shape = self.shapes.get(f"{node.name}:0")
        return shape if shape and shape[0] is None else None

    def value_bytes(self, node: Any) -> int:
        """Return the bytes per pair of a node's result: 0 where it only changes the shape."""
        shape = self.pair_shape(node)
        if node.op in _FREE or shape is None:
            return 0
        code = next((node.attr[key].type for key in ("DstT", "T") if key in node.attr), 1)
        return _row_bytes(shape, code)

    def flops(self, node: Any) -> int:
        """Count the additions and multiplications of a node per pair."""
        shape = self.pair_shape(node)
        if node.op in _FREE or shape is None:
            return 0
        values = prod(_known(shape))
        if node.op in _PRODUCTS:
            return 2 * values * self.inner_size(node)
        if node.op in _REDUCTIONS:
            operand = self.shapes.get(tensor_name(node.input[0])) or ()
            return max(values, prod(_known(operand)))
        return values

    def inner_size(self, node: Any) -> int:
        """Return how many products are summed for one value of a matrix product.

        Both operands tell, and exporters often leave out what only one of them has.
        """
        transposed_left = node.attr["adj_x"].b or node.attr["transpose_a"].b
        transposed_right = node.attr["adj_y"].b or node.attr["transpose_b"].b
        left, right = (self.shapes.get(tensor_name(name)) for name in node.input[:2])
        if node.op == "Conv2D" and right is not None:
            return prod(_known(right[:-1]))  # height, width and depth of its window
        size = _dim(left, -2 if transposed_left else -1)
        if size is None and node.op != "Einsum":
            size = _dim(right, -1 if transposed_right else -2)
        return size or 1


def _pair_graph(split: SplitGraph) -> _CostedGraph:
    """Return what is computed per pair: downstream of the values that the sides compute."""
    frontier = {placeholder for _, placeholder in (*split.users, *split.items)}
    return _costed_graph(split.graph, split.score, frontier)


def _whole_graph(split: SplitGraph, model: PairModel) -> _CostedGraph:
    """Return the original graph, whose nodes are still in the split one."""
    inputs = {tensor_name(name) for spec in model.inputs.values() for name in spec.tensors}
    return _costed_graph(split.graph, model.score.tensors[0], inputs)


def _costed_graph(graph: Any, score: str, fed: set[str]) -> _CostedGraph:
    nodes = list(upstream({node.name: node for node in graph.node}, [score], fed=fed).values())
    names = {f"{node.name}:0" for node in nodes}
    for node in nodes:
        names |= set(data_inputs(node))
    infos = graph_tensor_info(graph.SerializeToString(), sorted(names))
    return _CostedGraph(nodes, {name: info[1] for name, info in infos.items() if info is not None})


def _known(shape: Dims) -> tuple[int, ...]:
    return tuple(size for size in shape if size is not None)


def _row_bytes(dims: Dims, code: int) -> int:
    """Return the bytes of one row: an unknown size counts as 1, a string as 4 bytes."""
    dtype = from_code(code).numpy
    return prod(size or 1 for size in dims) * (4 if dtype is None else dtype.itemsize)


# Nodes as text.


def _product_texts(graph: _CostedGraph) -> Iterator[str]:
    """Describe the matrix products with their sizes, from the inputs to the score."""
    for node in reversed(graph.nodes):
        shape = graph.pair_shape(node)
        if node.op in _PRODUCTS and shape is not None:
            yield f"{node.op} {graph.inner_size(node)} -> {prod(_known(shape))}"


def _other_op_texts(graph: _CostedGraph) -> Iterator[str]:
    """Count the other ops."""
    ops = Counter(
        node.op
        for node in graph.nodes
        if node.op not in _FREE | _PRODUCTS and graph.pair_shape(node) is not None
    )
    if ops:
        yield ", ".join(f"{op} x {n}" if n > 1 else op for op, n in ops.most_common())


def _dim(shape: Shape, position: int) -> int | None:
    """Return a dimension counted from the end; None where it isn't known."""
    return shape[position] if shape is not None and len(shape) >= -position else None
