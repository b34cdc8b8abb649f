"""Control edges: dropped where they only order what is computed, never where they assert."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from cases.graphs import item, scored, user
from tf2spark.graph_split.control_edges import refuse_assertions, remove_control_edges
from tf2spark.graph_split.forms import NotRowWise, NotSplit

tf1 = tf.compat.v1


def _asserted(x: Any) -> Any:
    with tf.control_dependencies([tf1.Assert(tf.reduce_all(x < 100), [x], name="small")]):
        return tf.identity(x, "checked")


def test_an_order_of_computation_is_dropped() -> None:
    """An edge from an item's value to a user's would tie the two sides together."""

    def build(x: Any, y: Any) -> Any:
        with tf.control_dependencies([y * 2]):
            after = tf.identity(x)
        return tf.reduce_sum(after * y, 1)

    assert scored(build, user(3), item(3)).check().pair_ops == {"MatMul": 1}


def test_an_assertion_is_not_lost() -> None:
    """A graph that checks what it is fed runs whole, so that the check still runs."""

    def build(x: Any, y: Any) -> Any:
        return tf.reduce_sum(_asserted(x) * y, 1)

    with pytest.raises(NotSplit, match=r'"checked" runs only if an assertion \("small/\w+"\)'):
        scored(build, user(3), item(3))


def test_an_assertion_behind_other_ops_is_found() -> None:
    """The edge may lead to a group of checks, or to a value that was itself checked."""

    def build(x: Any, y: Any) -> Any:
        with tf.control_dependencies([tf.group(_asserted(x) + 1)]):
            return tf.reduce_sum(tf.identity(x) * y, 1)

    with pytest.raises(NotSplit, match="an assertion"):
        scored(build, user(3), item(3))


def test_what_mixes_rows_outweighs_an_assertion() -> None:
    """Such a graph may not even run in blocks of pairs."""

    def build(x: Any, y: Any) -> Any:
        return tf.nn.softmax(tf.reduce_sum(_asserted(x) * y, 1))

    with pytest.raises(NotRowWise, match="Softmax"):
        scored(build, user(3), item(3))


def test_an_assertion_about_something_else_stops_nothing() -> None:
    """What the score doesn't wait for is not part of it."""

    def build(x: Any, y: Any) -> Any:
        _asserted(y)
        return tf.reduce_sum(x * y, 1)

    scored(build, user(3), item(3)).check()


def test_what_loading_runs_keeps_its_edges() -> None:
    """Tables are filled in the order that the model wants."""
    graph = tf.Graph()
    with graph.as_default():
        first = tf.constant(1.0, name="first")
        with tf.control_dependencies([first]):
            tf.no_op("init")
        with tf.control_dependencies([first]):
            tf.identity(first, "score")
    made = graph.as_graph_def()
    remove_control_edges(made, "score:0", ["init"])
    edges = {node.name: [one for one in node.input if one[0] == "^"] for node in made.node}
    assert edges == {"first": [], "init": ["^first"], "score": []}
    refuse_assertions(made, "score:0")
