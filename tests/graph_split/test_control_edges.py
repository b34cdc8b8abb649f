"""Control edges are removed where they only order ops, and kept where they assert."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from cases.graphs import item, scored, user
from tf2spark.graph_split.control_edges import refuse_assertions, remove_control_edges
from tf2spark.graph_split.forms import NotRowWise, NotSplit
from tf2spark.saved_model.upstream import control_inputs

tf1 = tf.compat.v1


def _asserted(x: Any) -> Any:
    with tf.control_dependencies([tf1.Assert(tf.reduce_all(x < 100), [x], name="small")]):
        return tf.identity(x, "checked")


def test_an_edge_that_only_orders_ops_is_removed() -> None:
    """An edge from an item's value to a user's would tie the sides together."""

    def build(x: Any, y: Any) -> Any:
        with tf.control_dependencies([y * 2]):
            after = tf.identity(x)
        return tf.reduce_sum(after * y, 1)

    assert scored(build, user(3), item(3)).check().pair_ops == {"MatMul": 1}


def test_an_assertion_is_kept() -> None:
    """A graph that checks its inputs runs whole, so the check still runs."""

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(_asserted(x) * y, 1)

    with pytest.raises(NotSplit, match=r'"checked" runs only if an assertion \("small/\w+"\)'):
        scored(build, user(3), item(3))


def test_an_assertion_upstream_of_the_edge_is_found() -> None:
    """The edge may lead to a group of checks, or to a value that was itself checked."""

    def build(x: Any, y: Any) -> Any:
        with tf.control_dependencies([tf.group(_asserted(x) + 1)]):
            return tf.reduce_sum(tf.identity(x) * y, 1)

    with pytest.raises(NotSplit, match="an assertion"):
        scored(build, user(3), item(3))


def test_mixed_rows_are_reported_before_an_assertion() -> None:
    """Such a graph can't run in blocks of pairs either."""

    def build(x: Any, y: Any) -> Any:
        return tf.nn.softmax(tf.reduce_sum(_asserted(x) * y, 1))

    with pytest.raises(NotRowWise, match="Softmax"):
        scored(build, user(3), item(3))


def test_an_assertion_that_the_score_does_not_wait_for_is_ignored() -> None:
    """It doesn't run for the score in the whole graph either."""

    def build(x: Any, y: Any) -> Any:
        _asserted(y)
        return tf.reduce_sum(x * y, 1)

    scored(build, user(3), item(3)).check()


def test_nodes_that_loading_runs_keep_their_edges() -> None:
    """Tables are filled in the order that the model prescribes."""
    graph = tf.Graph()
    with graph.as_default():
        first = tf.constant(1.0, name="first")
        with tf.control_dependencies([first]):
            tf.no_op("init")
        with tf.control_dependencies([first]):
            tf.identity(first, "score")
    graph_def = graph.as_graph_def()
    remove_control_edges(graph_def, "score:0", ["init"])
    edges = {node.name: control_inputs(node) for node in graph_def.node}
    assert edges == {"first": [], "init": ["^first"], "score": []}
    refuse_assertions(graph_def, "score:0")
