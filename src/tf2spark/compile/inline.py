"""Grappler, TensorFlow's own optimiser of graphs: inlines, prunes and folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.grappler import tf_optimizer

from tf2spark.compile.original import NotCompilable

INLINE = ("pruning", "function", "common_subgraph_elimination", "dependency")
FOLD = ("pruning", "constfold", "common_subgraph_elimination", "dependency")


def optimised(graph_def: Any, roots: Sequence[str], passes: Sequence[str]) -> Any:
    """Return a graph that gives the same values for less work.

    Loops and branches stay calls of functions: lowered here, ahead of time, they come out with
    constants that belong to no frame (seen with TensorFlow 2.21, Keras's LSTM).

    Args:
        graph_def: The graph.
        roots: The nodes that are fetched or run; what they don't depend on goes.
        passes: Grappler's optimisers, by their names in ``meta_optimizer.cc``.

    Raises:
        NotCompilable: Grappler refuses the graph.
    """
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.graph_def.CopyFrom(graph_def)
    meta_graph.collection_def["train_op"].node_list.value.extend(roots)
    config = tf.compat.v1.ConfigProto()
    options = config.graph_options.rewrite_options
    options.optimizers.extend(passes)
    options.function_optimization = rewriter_config_pb2.RewriterConfig.AGGRESSIVE
    options.min_graph_nodes = -1
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.TWO
    options.fail_on_optimizer_errors = True
    _mark(meta_graph.graph_def, lower=False)
    try:
        optimised_graph = tf_optimizer.OptimizeGraph(config, meta_graph)
    except (ValueError, tf.errors.OpError) as error:
        raise NotCompilable(f"TensorFlow's optimiser refuses its graph: {error}") from error
    _mark(optimised_graph, lower=True)
    return optimised_graph


_LOWERED = frozenset({"While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"})


def _mark(graph_def: Any, *, lower: bool) -> None:
    """Say whether loops and branches may be lowered; TensorFlow does it when it loads a graph."""
    for nodes in (graph_def.node, *(each.node_def for each in graph_def.library.function)):
        for node in nodes:
            if node.op in _LOWERED:
                node.attr["_lower_using_switch_merge"].b = lower
