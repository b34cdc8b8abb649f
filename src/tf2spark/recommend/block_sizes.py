"""Work and memory per pair, and the sizes of the blocks of users and items that follow from them.

A block is a number of users against a number of items: the pair graph runs once per block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isqrt, prod

from attrs import frozen

from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.node_costs import (
    FREE,
    PRODUCTS,
    CostedGraph,
    known_sizes,
    pair_graph,
    row_bytes,
    whole_graph,
)

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
    pair = pair_graph(split)
    whole = whole_graph(split, model)
    widest_bytes = max([4, *map(pair.value_bytes, pair.nodes)])
    block_users, block_items = block_shape(widest_bytes)
    left_ops = Counter(_product_texts(whole)) - Counter(_product_texts(pair))
    return BlockSizes(
        sum(map(whole.flops, whole.nodes)),
        sum(map(pair.flops, pair.nodes)),
        sum(map(pair.value_bytes, pair.nodes)),
        sum(row_bytes(value.dims, value.dtype.code) for value, _ in split.users),
        sum(row_bytes(value.dims, value.dtype.code) for value, _ in split.items),
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


def _product_texts(graph: CostedGraph) -> Iterator[str]:
    """Describe the matrix products with their sizes, from the inputs to the score."""
    for node in reversed(graph.nodes):
        shape = graph.pair_shape(node)
        if node.op in PRODUCTS and shape is not None:
            yield f"{node.op} {graph.inner_size(node)} -> {prod(known_sizes(shape))}"


def _other_op_texts(graph: CostedGraph) -> Iterator[str]:
    """Count the other ops."""
    ops = Counter(
        node.op
        for node in graph.nodes
        if node.op not in FREE | PRODUCTS and graph.pair_shape(node) is not None
    )
    if ops:
        yield ", ".join(f"{op} x {n}" if n > 1 else op for op, n in ops.most_common())
