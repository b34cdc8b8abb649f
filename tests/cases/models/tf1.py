"""TF1 graphs: raw tensor names, `keep_prob`, reference variables, tables with init ops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Case, Feeds
from cases.models.saving import control_flow, graph_session, save_graph
from cases.models.tables import arrow, by_name, chosen, floats_table, read, table

tf1 = tf.compat.v1
WORDS = ["low", "mid", "high", "none"]


def mlp(x: Any, keep_prob: Any) -> Any:
    """Build a small network of reference variables, with dropout as in TF1's tutorials."""
    with tf1.variable_scope("net", use_resource=False):
        hidden = tf.nn.relu(_layer(x, 4, 5, "hidden"), name="hidden/relu")
        return _layer(tf.nn.dropout(hidden, rate=1 - keep_prob, seed=1), 5, 2, "top")


def _layer(x: Any, width: int, units: int, name: str) -> Any:
    with tf1.variable_scope(name):
        weights = tf1.get_variable("w", [width, units], initializer=tf1.random_normal_initializer())
        bias = tf1.get_variable("b", [units], initializer=tf1.random_normal_initializer())
        return x @ weights + bias


def make_tf1_raw(path: Path) -> None:
    """Have no signature, only tensors with names."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 4], "x")
        keep_prob = tf1.placeholder(tf.float32, [], "keep_prob")
        tf.identity(mlp(x, keep_prob), "logits")
        save_graph(session, path)


def raw_feeds(**constants: Any) -> Callable[[pa.Table], Feeds]:
    def feeds(data: pa.Table) -> Feeds:
        feeds: Feeds = {"x:0": read(data, "features", np.float32)}
        for name, value in constants.items():
            feeds[f"{name}:0"] = np.array(value, np.float32)
        return feeds

    return feeds


def make_tf1_constants(path: Path) -> None:
    """Take `keep_prob` and `is_training` as inputs of the signature."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 4], "x")
        keep_prob = tf1.placeholder(tf.float32, [], "keep_prob")
        is_training = tf1.placeholder(tf.bool, [], "is_training")
        logits = mlp(x, keep_prob)
        scores = tf.cond(is_training, lambda: logits, lambda: tf.nn.softmax(logits))
        inputs = {"x": x, "keep_prob": keep_prob, "is_training": is_training}
        save_graph(session, path, inputs, {"scores": scores})


def constants_feeds(data: pa.Table) -> Feeds:
    constants = {"keep_prob": np.array(1, np.float32), "is_training": np.array(False)}
    return {"x": read(data, "features", np.float32), **constants}


def make_tf1_defaults(path: Path) -> None:
    """Have inputs with defaults, one of them outside the signature."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 4], "x")
        keep_prob = tf1.placeholder_with_default(1.0, [], "keep_prob")
        scale = tf1.placeholder_with_default(2.5, [], "scale")
        save_graph(session, path, {"x": x}, {"y": mlp(x, keep_prob) * scale})


def make_tf1_unfed(path: Path) -> None:
    """Leave `keep_prob` out of the signature, which the v2 loader refuses to load."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 4], "x")
        keep_prob = tf1.placeholder(tf.float32, [], "keep_prob")
        save_graph(session, path, {"x": x}, {"y": mlp(x, keep_prob)})


def make_tf1_two_graphs(path: Path) -> None:
    """Have two MetaGraphs, between which the v2 loader can't choose."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 4], "x")
        tag_sets = (["serve"], ["serve", "gpu"])
        save_graph(session, path, {"x": x}, {"y": mlp(x, 1.0)}, tag_sets=tag_sets)


def make_tf1_table(path: Path) -> None:
    """Look up words in a table that a main op fills from an asset file."""
    source = path.with_name("levels.txt")
    source.write_text("low\t-1.5\nmid\t0.25\nhigh\t7\n", encoding="utf-8")
    with graph_session() as session:
        words = tf1.placeholder(tf.string, [None], "words")
        columns = (tf.string, 0, tf.float32, 1)
        initializer = tf.lookup.TextFileInitializer(str(source), *columns)
        levels = tf1.lookup.StaticHashTable(initializer, -100.0)
        main_op = tf1.tables_initializer()
        outputs = {"level": levels.lookup(words)}
        save_graph(session, path, {"words": words}, outputs, main_op=main_op)
    source.unlink()


def make_tf1_collections(path: Path) -> None:
    """Name the initializers of tables and local variables in collections only."""
    source = path.with_name("levels.txt")
    source.write_text("low\nmid\nhigh\n", encoding="utf-8")
    with graph_session() as session:
        words = tf1.placeholder(tf.string, [None], "words")
        lines = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        in_file = tf.lookup.TextFileInitializer(
            str(source), tf.string, lines[0], tf.int64, lines[1]
        )
        number = tf1.lookup.StaticHashTable(in_file, 3).lookup(words)
        in_graph = tf.lookup.KeyValueTensorInitializer(["low", "none"], [0.5, -2.0])
        bonus = tf1.lookup.StaticHashTable(in_graph, 0.0).lookup(words)
        weights = tf1.get_variable("weights", [4], initializer=tf1.random_normal_initializer())
        local = {"collections": [tf1.GraphKeys.LOCAL_VARIABLES], "trainable": False}
        offset = tf1.get_variable("offset", initializer=5.0, **local)
        scale = tf1.get_variable("scale", initializer=3.0, use_resource=False, **local)
        session.run(tf1.tables_initializer())
        outputs = {"y": tf.gather(weights, number) * scale + bonus + offset}
        save_graph(session, path, {"words": words}, outputs)
    source.unlink()


def make_tf1_control_flow(path: Path) -> None:
    """Loop and branch with TF1's own ops (Enter, Switch, Merge, ...)."""
    with control_flow(1), graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 4], "x")
        start = [tf.constant(0), x]
        looped = tf1.while_loop(
            lambda i, _: i < 3,
            lambda i, y: (i + 1, tf.sin(y) + x * tf.cast(i, tf.float32)),
            start,
        )[1]
        few = tf1.cond(tf.rank(x) > 1, lambda: looped[:, :2], lambda: looped[:, 2:])
        save_graph(session, path, {"x": x}, {"y": few})


def make_tf1_many_inputs(path: Path) -> None:
    """Split and pack: ops with several outputs, whose tensors are named node:1, node:2."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 6], "x")
        parts = tf.split(x, 3, axis=1, name="parts")
        tf.multiply(parts[0], parts[2], name="product")
        save_graph(session, path)


_FEATURES = floats_table("features", 4)
_RAW = {"x:0": "features", "keep_prob:0": 1.0}
CASES = [
    Case(
        "tf1_raw",
        make_tf1_raw,
        _FEATURES,
        raw_feeds(keep_prob=1.0),
        feed=_RAW,
        fetch={"logits": "logits:0"},
    ),
    Case(
        "tf1_hidden_layer",
        make_tf1_raw,
        floats_table("features", 4, leaf=pa.float64()),
        raw_feeds(),
        feed={"x:0": "features"},
        fetch={"hidden": "net/hidden/relu:0"},
    ),
    Case(
        "tf1_fed_inside",
        make_tf1_raw,
        floats_table("features", 5),
        lambda data: {
            "net/hidden/relu:0": read(data, "features", np.float32),
            "keep_prob:0": np.array(1, np.float32),
        },
        feed={"net/hidden/relu:0": "features", "keep_prob:0": 1},
        fetch={"logits": "logits:0"},
    ),
    Case(
        "tf1_constants",
        make_tf1_constants,
        _FEATURES,
        constants_feeds,
        feed={"x": "features", "keep_prob": 1.0, "is_training": False},
    ),
    Case(
        "tf1_defaults",
        make_tf1_defaults,
        _FEATURES,
        raw_feeds(),
        feed={"x": "features"},
    ),
    Case(
        "tf1_default_fed",
        make_tf1_defaults,
        _FEATURES,
        raw_feeds(scale=-1.0),
        feed={"x": "features", "scale:0": -1.0},
    ),
    Case(
        "tf1_unfed_keep_prob",
        make_tf1_unfed,
        _FEATURES,
        raw_feeds(keep_prob=1.0),
        feed={"x": "features", "keep_prob:0": 1.0},
        v2_refuses=True,
    ),
    Case(
        "tf1_two_graphs",
        make_tf1_two_graphs,
        _FEATURES,
        raw_feeds(),
        feed={"x": "features"},
        v2_refuses=True,
    ),
    Case(
        "tf1_table_asset",
        make_tf1_table,
        lambda rows: table(words=arrow(chosen(WORDS, rows), pa.string())),
        by_name(words=object),
    ),
    Case(
        "tf1_collections",
        make_tf1_collections,
        lambda rows: table(words=arrow(chosen(WORDS, rows), pa.string())),
        by_name(words=object),
    ),
    Case("tf1_control_flow", make_tf1_control_flow, floats_table("x", 4), by_name(x=np.float32)),
    Case(
        "tf1_second_output",
        make_tf1_many_inputs,
        floats_table("x", 6),
        lambda data: {"x:0": read(data, "x", np.float32)},
        feed={"x:0": "x"},
        fetch={"middle": "parts:1", "product": "product:0"},
    ),
]
