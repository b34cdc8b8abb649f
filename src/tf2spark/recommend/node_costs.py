"""What the nodes of a graph compute per pair: how many operations, and how many bytes of values."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from attrs import frozen

from tf2spark.dtypes import Dims, Shape, from_code
from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.saved_model.graph.upstream import data_inputs, node_name, tensor_name, upstream
from tf2spark.tensorflow_c.graph import graph_tensor_info

FREE = frozenset(
    ["Const", "Placeholder", "Reshape", "Pack", "ExpandDims", "Identity", "Shape", "Slice",
     "Squeeze"]
)  # fmt: skip
"""Ops that compute nothing: they only change or describe a shape."""
_REDUCTIONS = frozenset(["Sum", "Mean", "Max", "Min", "Prod", "All", "Any"])
PRODUCTS = frozenset(
    ["MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D"]
)


@frozen(eq=False)
class CostedGraph:
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

    def has_rows(self, node: Any) -> bool:
        """Say whether a node's result may have rows: not where its first dimension is known."""
        shape = self.shapes.get(f"{node.name}:0")
        return shape is None or bool(shape and shape[0] is None)

    def value_bytes(self, node: Any) -> int:
        """Return the bytes per pair of a node's result: 0 where it only changes the shape."""
        shape = self.pair_shape(node)
        if node.op in FREE or shape is None:
            return 0
        code = next((node.attr[key].type for key in ("DstT", "T") if key in node.attr), 1)
        return row_bytes(shape, code)

    def flops(self, node: Any) -> int:
        """Count the additions and multiplications of a node per pair."""
        shape = self.pair_shape(node)
        if node.op in FREE or shape is None:
            return 0
        values = prod(known_sizes(shape))
        if node.op in PRODUCTS:
            return 2 * values * self.inner_size(node)
        if node.op in _REDUCTIONS:
            operand = self.shapes.get(tensor_name(node.input[0])) or ()
            return max(values, prod(known_sizes(operand)))
        return values

    def inner_size(self, node: Any) -> int:
        """Return how many products are summed for one value of a matrix product.

        Both operands tell, and exporters often leave out what only one of them has.
        """
        transposed_left = _is_set(node, "adj_x") or _is_set(node, "transpose_a")
        transposed_right = _is_set(node, "adj_y") or _is_set(node, "transpose_b")
        left, right = (self.shapes.get(tensor_name(name)) for name in node.input[:2])
        if node.op == "Conv2D" and right is not None:
            return prod(known_sizes(right[:-1]))  # height, width and depth of its window
        size = _dim(left, -2 if transposed_left else -1)
        if size is None and node.op != "Einsum":
            size = _dim(right, -1 if transposed_right else -2)
        return size or 1


def _is_set(node: Any, attribute: str) -> bool:
    """Say whether a node has an attribute that is true; asking for one would add it to the node."""
    return attribute in node.attr and bool(node.attr[attribute].b)


def _dim(shape: Shape, position: int) -> int | None:
    """Return a dimension counted from the end; None where it isn't known."""
    return shape[position] if shape is not None and len(shape) >= -position else None


def pair_graph(split: SplitGraph) -> CostedGraph:
    """Return what is computed per pair: downstream of the values that the sides compute."""
    frontier = {placeholder for _, placeholder in (*split.users, *split.items)}
    return _costed_graph(split.graph, split.score, frontier)


def whole_graph(split: SplitGraph, model: PairModel) -> CostedGraph:
    """Return the original graph, whose nodes are still in the split one."""
    inputs = {tensor_name(name) for spec in model.inputs.values() for name in spec.tensors}
    return _costed_graph(split.graph, model.score.tensors[0], inputs)


def inputs_first(nodes: Sequence[Any]) -> list[Any]:
    """Return nodes in an order in which each comes after those that it reads, but for loops."""
    by_name, done = {node.name: node for node in nodes}, dict[str, Any]()
    todo, entered = list(nodes), set[str]()
    while todo:
        node = todo[-1]
        read = (by_name.get(node_name(name)) for name in data_inputs(node))
        missing = [each for each in read if each is not None and each.name not in entered]
        entered.add(node.name)
        if missing:
            todo += missing
        else:
            done.setdefault(todo.pop().name, node)
    return list(done.values())


def _costed_graph(graph: Any, score: str, fed: set[str]) -> CostedGraph:
    nodes = list(upstream({node.name: node for node in graph.node}, [score], fed=fed).values())
    names = {f"{node.name}:0" for node in nodes}
    for node in nodes:
        names |= set(data_inputs(node))
    infos = graph_tensor_info(graph.SerializeToString(), sorted(names))
    return CostedGraph(nodes, {name: info[1] for name, info in infos.items() if info is not None})


def known_sizes(shape: Dims) -> tuple[int, ...]:
    return tuple(size for size in shape if size is not None)


def row_bytes(dims: Dims, code: int) -> int:
    """Return the bytes of one row: an unknown size counts as 1, a string as 4 bytes."""
    dtype = from_code(code).numpy
    return prod(size or 1 for size in dims) * (4 if dtype is None else dtype.itemsize)
