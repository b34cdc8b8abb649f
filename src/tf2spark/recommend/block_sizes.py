"""Work and memory a pair, and the blocks of users and items that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isqrt, prod
from typing import Any

from attrs import frozen

from tf2spark.dtypes import Shape, from_code
from tf2spark.graph_split.forms import Dims
from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.pair_model import CatalogModel
from tf2spark.saved_model.upstream import node_name, tensor_name
from tf2spark.tensorflow_c.graph import graph_tensor_info

# Of the largest tensor of a block of pairs: it is read again right after it was written, from the
# processor's cache (2 to 3 MiB measured best; smaller ones are more runs, larger ones miss it).
_TENSOR_BYTES = 3 << 20
# Where nothing is wider than a score.
_MOST_PAIRS, _SCORE_BYTES = 1 << 20, 8
# A block's scores are looked at together: of so many users at least, so that it costs little.
_FEWEST_USERS = 32
# Items to a user in a block: items are packed for every block's product, so that many users share
# it, and the best k are found faster in long rows.
_USERS_TO_ITEMS = 16


@frozen
class Sizing:
    """What a pair costs, and the blocks.

    Attributes:
        flops_whole: Multiplications and additions of a pair in the whole graph.
        flops_pair: The same in what is left for pairs.
        bytes_pair: Of the values that are computed for a pair.
        bytes_user: Of the values that are computed for a user.
        bytes_item: The same for an item.
        block_users: Users of a block.
        block_items: Items of a block.
        pair_ops: What is computed for a pair, in words.
        left_ops: The matrix products of the whole graph that no pair needs, in words.
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


def sizing_of(taken: SplitGraph, items: int, model: CatalogModel) -> Sizing:
    """Count the work of a graph that was taken apart, and choose its blocks."""
    nodes = {node.name: node for node in taken.graph.node}
    stops = {node_name(placeholder) for _, placeholder in (*taken.users, *taken.items)}
    pair = list(_above(nodes, taken.score, stops))
    infos = _infos(taken.graph, pair)
    widest, total = 4, 0
    for node in pair:
        size = _row_bytes(node, infos)
        total += size
        widest = max(widest, size)
    pairs = _MOST_PAIRS if widest <= _SCORE_BYTES else max(1, _TENSOR_BYTES // widest)
    users = min(pairs, max(_FEWEST_USERS, isqrt(pairs // _USERS_TO_ITEMS)))
    per_block = max(1, pairs // users)
    whole, whole_infos = _whole(taken.graph, model)
    gone = Counter(_products(whole, whole_infos)) - Counter(_products(pair, infos))
    return Sizing(
        sum(_flops(node, whole_infos) for node in whole),
        sum(_flops(node, infos) for node in pair),
        total,
        sum(_value_bytes(value.dims, value.dtype.code) for value, _ in taken.users),
        sum(_value_bytes(value.dims, value.dtype.code) for value, _ in taken.items),
        users,
        max(1, min(per_block, items)),
        (*_products(pair, infos), *_others(pair, infos)),
        tuple(gone.elements()),
    )


def _products(nodes: list[Any], infos: dict[str, Shape]) -> Iterator[str]:
    """Name the matrix products with their sizes, from the inputs to the score."""
    for node in reversed(nodes):
        shape = infos.get(f"{node.name}:0")
        if node.op in _PRODUCTS and shape and shape[0] is None:
            width = prod(size for size in shape if size is not None)
            yield f"{node.op} {_inner(node, infos)} -> {width}"


def _others(nodes: list[Any], infos: dict[str, Shape]) -> Iterator[str]:
    """Count the other ops."""
    found: Counter[str] = Counter()
    for node in nodes:
        shape = infos.get(f"{node.name}:0")
        if node.op not in _FREE | _PRODUCTS and shape and shape[0] is None:
            found[node.op] += 1
    if found:
        yield ", ".join(f"{op} x {n}" if n > 1 else op for op, n in found.most_common())


def _above(nodes: dict[str, Any], name: str, stops: set[str]) -> Iterator[Any]:
    """Yield the nodes that a tensor needs, down to the placeholders of the frontier."""
    todo, seen = [name], set()
    while todo:
        one = node_name(todo.pop())
        if one in seen or one in stops or one not in nodes:
            continue
        seen.add(one)
        yield nodes[one]
        todo += nodes[one].input


def _infos(graph: Any, nodes: list[Any]) -> dict[str, Shape]:
    names = {f"{node.name}:0" for node in nodes}
    for node in nodes:
        names |= {tensor_name(one) for one in node.input if not one.startswith("^")}
    found = graph_tensor_info(graph.SerializeToString(), sorted(names))
    return {name: info[1] for name, info in found.items() if info is not None}


_FREE = frozenset(
    [
        "Const",
        "Placeholder",
        "Reshape",
        "Pack",
        "ExpandDims",
        "Identity",
        "Shape",
        "Slice",
        "Squeeze",
    ]
)


def _row_bytes(node: Any, infos: dict[str, Shape]) -> int:
    """Return the bytes of a pair in a node's result; nothing for what only changes the shape."""
    shape = infos.get(f"{node.name}:0")
    if node.op in _FREE or shape is None or not shape or shape[0] is not None:
        return 0
    # [users * items, ...] or [users, items, ...]: unknown sizes are the pairs'.
    code = next((node.attr[key].type for key in ("DstT", "T") if key in node.attr), 1)
    return _value_bytes(tuple(size for size in shape if size is not None), code)


def _value_bytes(dims: Dims, code: int) -> int:
    kind = from_code(code).numpy
    return prod(size or 1 for size in dims) * (4 if kind is None else kind.itemsize)


_REDUCTIONS = frozenset(["Sum", "Mean", "Max", "Min", "Prod", "All", "Any"])
_PRODUCTS = frozenset(
    ["MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D"]
)


def _flops(node: Any, infos: dict[str, Shape]) -> int:
    """Count a row's multiplications and additions in a node."""
    shape = infos.get(f"{node.name}:0")
    if node.op in _FREE or shape is None or (shape and shape[0] is not None) or not shape:
        return 0
    values = prod(size for size in shape if size is not None)
    if node.op in _PRODUCTS:
        return 2 * values * _inner(node, infos)
    if node.op in _REDUCTIONS:
        before = infos.get(tensor_name(node.input[0])) or ()
        return max(values, prod(size for size in before if size is not None))
    return values


def _inner(node: Any, infos: dict[str, Shape]) -> int:
    """Return how many products are added up for a value of a matrix product."""
    first = infos.get(tensor_name(node.input[0]))
    if not first:
        return 1
    turned = node.attr["adj_x"].b or node.attr["transpose_a"].b
    size = first[-2] if turned and len(first) > 1 else first[-1]
    return size or 1


def _whole(graph: Any, model: CatalogModel) -> tuple[list[Any], dict[str, Shape]]:
    """Return the nodes of the graph as it was, which are there still, and their shapes."""
    nodes = {node.name: node for node in graph.node}
    stops = {node_name(name) for spec in model.inputs.values() for name in spec.tensors}
    needed = list(_above(nodes, model.score.tensors[0], stops))
    return needed, _infos(graph, needed)
