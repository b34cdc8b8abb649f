"""Control edges are removed where they only order ops, and kept where they assert."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from cases.graphs import item, scored, user
from tf2spark.graph_split.control_edges import refuse_assertions, remove_control_edges
from tf2spark.graph_split.forms import NotRowWise, NotSplit
from tf2spark.saved_model.graph.upstream import control_inputs, upstream

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


def _rows_of_three(side: str, tensor: str) -> tuple[int, ...]:
    return (3,)


def test_an_assertion_about_pairs_is_kept() -> None:
    """A graph that checks its pairs runs whole, so the check still runs."""

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(_asserted(x * y), 1)

    with pytest.raises(NotSplit, match=r'"checked" runs only if an assertion \("small/\w+"\)'):
        scored(build, user(3), item(3))


def test_an_assertion_about_a_side_runs_with_its_values() -> None:
    """Rows that the model rejects get no score, however the graph is split."""

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(_asserted(x) * y, 1)

    split = scored(build, user(3), item(3), row_dims=_rows_of_three).check().split
    nodes = {node.name: node for node in split.graph.node}
    run_for_users = upstream(nodes, [value.tensor for value, _ in split.users])
    # The assertion is in a branch of the check.
    assert "If" in {node.op for node in run_for_users.values()}


def test_an_assertion_about_the_other_side_is_kept() -> None:
    """It can't run with the values that wait for it, also where it leads to a group of checks."""

    def build(x: Any, y: Any) -> Any:
        with tf.control_dependencies([tf.group(_asserted(x) + 1)]):
            return tf.reduce_sum(x * tf.identity(y), 1)

    with pytest.raises(NotSplit, match="an assertion"):
        scored(build, user(3), item(3), row_dims=_rows_of_three)


def test_a_constant_that_waits_for_an_assertion_is_kept() -> None:
    """It would be a constant of the pairs as well, for which the assertion doesn't run."""

    def build(x: Any, y: Any) -> Any:
        with tf.control_dependencies([_asserted(x)]):
            weight = tf.constant([1.0, 2.0, 3.0], name="waits")
        return tf.reduce_sum(x * y * weight, 1)

    with pytest.raises(NotSplit, match='"waits" runs only if an assertion'):
        scored(build, user(3), item(3), row_dims=_rows_of_three)


def test_mixed_rows_are_reported_before_an_assertion() -> None:
    """Such a graph can't run in blocks of pairs either."""

    def build(x: Any, y: Any) -> Any:
        return tf.nn.softmax(tf.reduce_sum(_asserted(x * y), 1))

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
    refuse_assertions(graph_def, "score:0", {})
