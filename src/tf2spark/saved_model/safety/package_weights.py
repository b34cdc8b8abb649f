"""The weights of a package against its graph: TensorFlow is fed their files' bytes unseen."""

from __future__ import annotations

from collections.abc import Iterable

from tf2spark.dtypes import from_code, shape_text
from tf2spark.errors import ModelError
from tf2spark.package.manifest import Weight
from tf2spark.saved_model.protos import MetaGraph, NodeMessage
from tf2spark.saved_model.signatures import shape

_FED_OPS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})


def check_weights(meta_graph: MetaGraph, weights: Iterable[Weight], path: str) -> None:
    """Check that each weight feeds a placeholder of its own dtype and shape.

    Raises:
        ModelError: One doesn't.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    for weight in weights:
        name, _, index = weight.tensor.partition(":")
        node = nodes.get(name)
        if node is None or index != "0" or node.op not in _FED_OPS:
            problem = "is not a placeholder of the graph"
        elif node.attr["dtype"].type != weight.code:
            expected = from_code(node.attr["dtype"].type)
            problem = f"is {from_code(weight.code)}, but the graph has {expected}"
        elif not _fits(node, weight):
            expected_shape = shape_text(shape(node.attr["shape"].shape))
            problem = f"has shape {list(weight.shape)}, but the graph has {expected_shape}"
        else:
            continue
        raise ModelError(f'"{path}" is damaged: weight "{weight.tensor}" {problem}')


def _fits(node: NodeMessage, weight: Weight) -> bool:
    expected = shape(node.attr["shape"].shape)
    return expected is None or (
        len(expected) == len(weight.shape)
        and all(size in (None, fed) for size, fed in zip(expected, weight.shape, strict=True))
    )
