"""Scores that are the inner product of one vector of each side, and nothing else.

Only of them can be said, from norms alone, how far a pair's score may be from what was rounded or
left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf2spark.dtypes import BFLOAT16, FLOAT32, INT32
from tf2spark.graph_split.graph_builder import (
    PREFIX,
    Attribute,
    add_node,
    add_placeholder,
)
from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.plan.recommend import CoarseScan
from tf2spark.saved_model.graph.node_attributes import write_constant
from tf2spark.saved_model.graph.upstream import data_inputs, node_name
from tf2spark.saved_model.protos import GraphMessage


def is_inner_product(split: SplitGraph) -> bool:
    """Say whether the score is the inner product of two vectors of float32."""
    if len(split.users) != 1 or len(split.items) != 1:
        return False
    placeholders = [split.users[0][1], split.items[0][1]]
    nodes = {node.name: node for node in split.graph.node}
    node = nodes[node_name(split.score)]
    while node.op in ("Reshape", "Identity"):
        node = nodes[node_name(data_inputs(node)[0])]
    return (
        node.op == "MatMul"
        and node.attr["T"].type == FLOAT32.code
        and list(data_inputs(node)) == placeholders
        and (node.attr["transpose_a"].b, node.attr["transpose_b"].b) == (False, True)
    )


def add_coarse_scan(split: SplitGraph) -> CoarseScan | None:
    """Add the nodes that multiply in bfloat16, and those that multiply few pairs in float32.

    Returns:
        Their tensors; None where the score isn't an inner product.
    """
    if not is_inner_product(split):
        return None
    graph = split.graph
    (user, user_vectors), (_, item_vectors) = split.users[0], split.items[0]
    (width,) = user.dims
    users = add_placeholder(graph, f"{PREFIX}coarse_users", BFLOAT16, (None, width))
    items = add_placeholder(graph, f"{PREFIX}coarse_items", BFLOAT16, (None, width))
    product = {"transpose_a": False, "transpose_b": True}
    scores = _node(graph, "MatMul", "coarse_scores", [users, items], T=BFLOAT16, **product)
    candidates = add_placeholder(graph, f"{PREFIX}candidates", INT32, (None, None))
    gathered = _node(
        graph, "GatherV2", "candidate_vectors", [item_vectors, candidates, _int(graph, "first", 0)],
        Tparams=FLOAT32, Tindices=INT32, Taxis=INT32,
    )  # fmt: skip
    column = _node(
        graph, "ExpandDims", "user_columns", [user_vectors, _int(graph, "last", 2)],
        T=FLOAT32, Tdim=INT32,
    )  # fmt: skip
    rescored = _node(
        graph, "BatchMatMulV2", "candidate_scores", [gathered, column],
        T=FLOAT32, adj_x=False, adj_y=False,
    )  # fmt: skip
    return CoarseScan(users, items, scores, candidates, rescored)


def _int(graph: GraphMessage, name: str, value: int) -> str:
    node = graph.node.add(name=f"{PREFIX}{name}_axis", op="Const")
    write_constant(node, np.array(value, np.int32), INT32)
    return f"{node.name}:0"


def _node(
    graph: GraphMessage, op: str, name: str, inputs: Sequence[str], **attributes: Attribute
) -> str:
    return add_node(graph, f"{PREFIX}{name}", op, inputs, attributes)
