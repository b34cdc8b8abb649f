"""`tf2spark.graph_split.dependence`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cases.models.saving import control_flow
from tf2spark.graph_split.dependence import lowered_nodes, sides_of_nodes
from tf2spark.saved_model.protos import SavedModel

tf1 = tf.compat.v1


def _message(graph: Any) -> Any:
    """Return a TensorFlow graph as our own message."""
    message = SavedModel().meta_graphs.add().graph_def
    message.ParseFromString(graph.as_graph_def().SerializeToString())
    return message


def test_a_node_depends_on_all_that_is_upstream_of_it() -> None:
    """Through any op, and by control edges too; a constant depends on neither side."""
    with tf1.Graph().as_default() as graph:
        user, item = (tf1.placeholder(tf.float32, [None], name) for name in ("user", "item"))
        tf.unique(user, name="one")
        with tf1.control_dependencies([item]):
            tf.constant(1.0, name="waits")
        tf.add(tf.identity(user), item, name="both")
        tf.constant(2.0, name="free")
    sides = sides_of_nodes(_message(graph), {"user": ["user"], "item": ["item"]})
    assert sides["one"] == {"user"}
    assert sides["waits"] == {"item"}
    assert sides["both"] == {"user", "item"}
    assert "free" not in sides


def test_the_nodes_of_loops_and_branches_are_known() -> None:
    """A loop within a branch within a loop; what comes after the outermost isn't inside."""
    with control_flow(1), tf1.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, [None], "x")

        def inner(value: Any) -> Any:
            return tf1.while_loop(
                lambda at, _: at < 2,
                lambda at, value: (at + 1, value * tf.constant(2.0, name="in_inner_loop")),
                (0, value),
            )[1]

        def body(at: Any, value: Any) -> tuple[Any, Any]:
            value = tf1.cond(at > 0, lambda: inner(value), lambda: tf.negative(value, "in_branch"))
            return at + 1, tf.add(value, tf.constant(1.0, name="in_loop"), name="after_branch")

        looped = tf1.while_loop(lambda at, _: at < 3, body, (0, x))[1]
        tf.multiply(looped, tf.constant(3.0, name="outside"), name="after_loop")
    lowered = lowered_nodes(_message(graph))
    names = {name.rpartition("/")[2] for name in lowered}
    assert names >= {"in_inner_loop", "in_branch", "in_loop", "after_branch"}
    assert not names & {"outside", "after_loop", "x"}
