"""Grappler, TensorFlow's graph optimizer: it inlines, prunes and folds."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.grappler import tf_optimizer

from tf2spark.compile.original import NotCompilable
from tf2spark.saved_model.protos import GraphMessage

INLINE = ("pruning", "function", "common_subgraph_elimination", "dependency")
FOLD = ("pruning", "constfold", "common_subgraph_elimination", "dependency")


def optimize(graph_def: GraphMessage, roots: Sequence[str], passes: Sequence[str]) -> GraphMessage:
    """Return a graph that computes the same values with less work.

    Loops and branches remain calls of functions. If Grappler lowers them ahead of time, the result
    has constants that belong to no frame (seen with TensorFlow 2.21 and Keras's LSTM).

    Args:
        graph_def: The graph; it is not changed.
        roots: The nodes that are fetched or run; nodes that aren't upstream of them are removed.
        passes: The names of Grappler's optimizers, as in ``meta_optimizer.cc``.

    Raises:
        NotCompilable: Grappler refuses the graph.
    """
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.graph_def.CopyFrom(graph_def)
    # Grappler keeps whatever the train op depends on, so the roots are passed as one.
    meta_graph.collection_def["train_op"].node_list.value.extend(roots)
    config = tf.compat.v1.ConfigProto()
    options = config.graph_options.rewrite_options
    options.optimizers.extend(passes)
    options.function_optimization = rewriter_config_pb2.RewriterConfig.AGGRESSIVE
    options.min_graph_nodes = -1  # small graphs too, which Grappler skips by default
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.TWO
    options.fail_on_optimizer_errors = True
    _allow_lowering(meta_graph.graph_def, allow=False)
    try:
        optimized_graph = tf_optimizer.OptimizeGraph(config, meta_graph)
    except (ValueError, tf.errors.OpError) as error:
        raise NotCompilable(f"TensorFlow's optimizer refuses its graph: {error}") from error
    _allow_lowering(optimized_graph, allow=True)
    return optimized_graph


_LOWERED = frozenset({"While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"})


def _allow_lowering(graph_def: GraphMessage, *, allow: bool) -> None:
    """Set whether loops and branches may become Switch and Merge ops.

    TensorFlow lowers them when it loads a graph, so it must be allowed in the result.
    """
    bodies = (function.node_def for function in graph_def.library.function)
    for nodes in (graph_def.node, *bodies):
        for node in nodes:
            if node.op in _LOWERED:
                node.attr["_lower_using_switch_merge"].b = allow
