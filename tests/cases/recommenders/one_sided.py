"""Values of one side by ops that no rule describes: loops, ragged and sparse rows, texts, branches.

In some of them rows of a side meet, which the score of one user and all items takes into account.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

import tf2spark
from cases.models.case import Feeds
from cases.models.saving import control_flow, graph_session, save_function, save_graph
from cases.models.tables import arrow, floats, ints, random
from cases.recommenders.case import Case
from cases.recommenders.deepfm import variable
from cases.recommenders.keras_parts import dense, embedding, export
from cases.recommenders.outputs import FACTORS, two_tables
from cases.recommenders.tables import (
    ROWS,
    Column,
    by_side,
    histories,
    items_of,
    measures,
    members,
    users_of,
)

layers = keras.layers
tf1 = tf.compat.v1
Spec = tf.TensorSpec
STEPS, WORDS, SIZE = 6, 40, 50
VOCABULARY = [f"w{number}" for number in range(WORDS)]


def lists_of_any_length(most: int, *, high: int, seed: int) -> Column:
    """Return lists of 1 to `most` positive ids."""

    def lists(rows: int) -> pa.Array:
        lengths = random(seed).integers(1, most + 1, rows)
        ids = ints(rows, most, low=1, high=high, seed=seed + 1)
        kept = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
        return pa.array(kept, pa.list_(pa.int64()))

    return lists


def texts(most: int, *, seed: int) -> Column:
    """Return texts of 1 to `most` words, a few of which are unknown."""
    lists = lists_of_any_length(most, high=WORDS + 5, seed=seed)
    return lambda rows: pa.array(
        [" ".join(f"w{id}" for id in row) for row in lists(rows).to_pylist()]
    )


def thin_vectors(*, seed: int) -> Column:
    """Return lists of `SIZE` numbers, most of them 0."""

    def vectors(rows: int) -> pa.Array:
        is_set = ints(rows, SIZE, high=8, seed=seed) == 0
        return arrow(np.where(is_set, floats(rows, SIZE, seed=seed + 1), 0.0), pa.float32())

    return vectors


# Keras: recurrent networks and texts.


def make_history_gru(path: Path) -> None:
    """Read histories of any length with a GRU, which doesn't know what padding is."""
    keras.utils.set_random_seed(6)
    history = layers.Input((None,), dtype="int64", name="history")
    item = layers.Input((), dtype="int64", name="item")
    taste = layers.GRU(8)(embedding(ROWS, 8)(history))
    x = layers.Concatenate()([taste, embedding(ROWS, 8)(item)])
    export(path, [history, item], dense(1)(dense(8, "relu")(x)))


def make_titles(path: Path) -> None:
    """Average the words of titles, padded to the longest title of a run."""
    keras.utils.set_random_seed(7)
    user = layers.Input((), dtype="int64", name="user")
    title = layers.Input((1,), dtype="string", name="title")
    ids = layers.TextVectorization(vocabulary=VOCABULARY)(title)
    pooled = layers.GlobalAveragePooling1D()(embedding(WORDS + 2, 8)(ids))
    export(path, [user, title], layers.Dot(axes=1)([embedding(ROWS, 8)(user), dense(8)(pooled)]))


# TF2 functions: `taste` makes a user's vector out of what the user has.


def _save(path: Path, taste: Callable[[Any, Any], Any], spec: Any) -> None:
    kept = {
        **two_tables(),
        "w0": variable(2 * FACTORS, 9, seed=188, scale=0.5),
        "w1": variable(9, 1, seed=189, scale=0.5),
    }

    def call(user: Any, item: Any) -> Any:
        sides = [taste(user, kept["u"]), tf.gather(kept["v"], item)]
        return {"score": tf.nn.relu(tf.concat(sides, 1) @ kept["w0"]) @ kept["w1"]}

    save_function(path, call, spec, Spec([None], tf.int64, "item"), keep=kept)


_HISTORY = Spec([None, STEPS], tf.int64, "user")


def make_ragged_history(path: Path) -> None:
    spec = tf.RaggedTensorSpec([None, None], tf.int64, 1)
    _save(path, lambda ids, table: tf.reduce_mean(tf.gather(table, ids), axis=1), spec)


def make_sparse_profile(path: Path) -> None:
    spec = tf.SparseTensorSpec([None, SIZE], tf.float32)
    _save(path, lambda x, table: tf.sparse.sparse_dense_matmul(x, table[:SIZE]), spec)


def make_query(path: Path) -> None:
    """Split a text into words and hash them."""

    def taste(text: Any, table: Any) -> Any:
        words = tf.strings.split(tf.strings.lower(text), " ")
        return tf.reduce_max(tf.gather(table, tf.strings.to_hash_bucket_fast(words, ROWS)), axis=1)

    _save(path, taste, Spec([None], tf.string, "user"))


def make_loop(path: Path) -> None:
    def taste(ids: Any, table: Any) -> Any:
        def step(at: Any, state: Any) -> tuple[Any, Any]:
            return at + 1, tf.tanh(0.5 * state + tf.gather(table, ids[:, at]))

        start = tf.zeros([tf.shape(ids)[0], FACTORS])
        return tf.while_loop(lambda at, state: at < STEPS, step, (0, start))[1]

    _save(path, taste, _HISTORY)


def make_branch(path: Path) -> None:
    """Take a branch by a number of the whole run, which is never the one that decides."""

    def taste(ids: Any, table: Any) -> Any:
        mean = tf.reduce_mean(tf.gather(table, ids), 1)
        return tf.cond(tf.reduce_sum(mean) > 1e9, lambda: -mean, lambda: mean * tf.constant(2.0))

    _save(path, taste, _HISTORY)


def make_checked_ids(path: Path) -> None:
    def taste(ids: Any, table: Any) -> Any:
        check = tf.debugging.assert_less(ids, tf.constant(ROWS, tf.int64))
        with tf.control_dependencies([check]):
            return tf.reduce_mean(tf.gather(table, tf.identity(ids)), 1)

    _save(path, taste, _HISTORY)


def make_unique_ids(path: Path) -> None:
    """Look up each id of a run once, whoever has it."""

    def taste(ids: Any, table: Any) -> Any:
        unique, index = tf.unique(tf.reshape(ids, [-1]))
        rows = tf.gather(tf.gather(table, unique), index)
        return tf.reduce_mean(tf.reshape(rows, [-1, STEPS, FACTORS]), 1)

    _save(path, taste, _HISTORY)


def make_centred_users(path: Path) -> None:
    """Subtract a part of the run's mean from each user's vector."""

    def taste(ids: Any, table: Any) -> Any:
        mean = tf.reduce_mean(tf.gather(table, ids), 1)
        return mean - 0.3 * tf.reduce_mean(mean, 0, keepdims=True)

    _save(path, taste, _HISTORY)


def make_centred_items(path: Path) -> None:
    """Subtract the catalog's mean from each item's vector."""
    kept = two_tables()

    def call(user: Any, item: Any) -> Any:
        v = tf.gather(kept["v"], item)
        v -= tf.reduce_mean(v, 0, keepdims=True)
        return {"score": tf.reduce_sum(tf.gather(kept["u"], user) * v, axis=1)}

    save_function(
        path, call, *(Spec([None], tf.int64, name) for name in ("user", "item")), keep=kept
    )


def make_tf1_loop(path: Path) -> None:
    """Loop with TF1's own ops: Enter, Switch, Merge, NextIteration, Exit."""
    with control_flow(1), graph_session() as session:
        user = tf1.placeholder(tf.int64, [None, STEPS], "user")
        item = tf1.placeholder(tf.int64, [None], "item")
        table = tf1.get_variable("table", [ROWS, FACTORS])

        def step(at: Any, state: Any) -> tuple[Any, Any]:
            return at + 1, tf.tanh(0.5 * state + 9.0 * tf.gather(table, user[:, at]))

        start = tf.zeros([tf.shape(user)[0], FACTORS])
        _, taste = tf1.while_loop(lambda at, state: at < STEPS, step, (0, start))
        taste = tf1.cond(tf.size(user) > 0, lambda: taste * tf.constant(3.0), lambda: taste)
        score = tf.reduce_sum(taste * tf.gather(table, item), axis=1)
        save_graph(session, path, {"user": user, "item": item}, {"score": score})


# Feeds, by hand.


def _padded_feeds(users: pa.Table, items: pa.Table) -> Feeds:
    rows = users["history"].to_pylist()
    longest = max(map(len, rows))
    padded = [[*row, *[0] * (longest - len(row))] for row in rows]
    return {
        "history": np.array(padded, np.int64),
        "item": np.array(items["item"].to_pylist(), np.int64),
    }


def _ragged_feeds(users: pa.Table, items: pa.Table) -> Feeds:
    rows = users["user"].to_pylist()
    return {
        "user": np.array([id for row in rows for id in row], np.int64),
        "user_1": np.cumsum([0, *map(len, rows)]).astype(np.int64),
        "item": np.array(items["item"].to_pylist(), np.int64),
    }


def _sparse_feeds(users: pa.Table, items: pa.Table) -> Feeds:
    dense_rows = np.array(users["user"].to_pylist(), np.float32)
    indices = np.argwhere(dense_rows)
    return {
        "user": indices.astype(np.int64),
        "user_1": dense_rows[tuple(indices.T)],
        "user_2": np.array(dense_rows.shape, np.int64),
        "item": np.array(items["item"].to_pylist(), np.int64),
    }


ITEMS = items_of(item=members(seed=21), tags=measures(7, seed=22))
HISTORIES = users_of(user=histories(STEPS, high=ROWS, seed=14))
IDS = by_side({"user": np.int64}, {"item": np.int64})
ALL_BUT = ("all but the pairs' own layers",)
CASES = [
    Case(
        "history_gru",
        make_history_gru,
        users_of(history=lists_of_any_length(STEPS, high=ROWS, seed=31)),
        ITEMS,
        _padded_feeds,
        feed={"history": tf2spark.padded("history", 0)},
        splits=ALL_BUT,
    ),
    Case(
        "titles",
        make_titles,
        users_of(user=members(seed=11)),
        items_of(title=texts(9, seed=32)),
        by_side({"user": np.int64}, {"title": object}, upright=("title",)),
        row_wise=False,
        splits=ALL_BUT,
    ),
    Case(
        "ragged_history",
        make_ragged_history,
        users_of(user=lists_of_any_length(9, high=ROWS, seed=33)),
        ITEMS,
        _ragged_feeds,
        splits=ALL_BUT,
    ),
    Case(
        "sparse_profile",
        make_sparse_profile,
        users_of(user=thin_vectors(seed=34)),
        ITEMS,
        _sparse_feeds,
        splits=ALL_BUT,
    ),
    Case(
        "query",
        make_query,
        users_of(user=texts(5, seed=35)),
        ITEMS,
        by_side({"user": object}, {"item": np.int64}),
        splits=ALL_BUT,
    ),
    *(
        Case(name, make, HISTORIES, ITEMS, IDS, splits=ALL_BUT)
        for name, make in (
            ("loop", make_loop),
            ("branch", make_branch),
            ("checked_ids", make_checked_ids),
            ("unique_ids", make_unique_ids),
            ("centred_users", make_centred_users),
            ("tf1_loop", make_tf1_loop),
        )
    ),
    Case(
        "centred_items",
        make_centred_items,
        users_of(user=members(seed=11)),
        ITEMS,
        IDS,
        row_wise=False,
        splits=ALL_BUT,
    ),
]
