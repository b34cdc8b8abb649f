"""Interactions of fields: xDeepFM's and AutoInt's as DeepCTR writes them, DLRM's as TFRS does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cases.models.saving import save_function
from cases.recommenders.case import Case
from cases.recommenders.deepfm import variable
from cases.recommenders.tables import ROWS, by_side, items_of, members, users_of

WIDTH = 4
NAMES = ("user", "segment", "item", "genre")
Interact = Callable[[Any, dict[str, Any]], Any]


def _save(path: Path, interact: Interact, **weights: tuple[int, ...]) -> None:
    """Save a model that looks up four fields, stacks them and scores what `interact` returns."""
    kept = {name: variable(ROWS, WIDTH, seed=i, scale=0.6) for i, name in enumerate(NAMES)}
    for i, (name, shape) in enumerate(weights.items()):
        kept[name] = variable(*shape, seed=20 + i, scale=0.4)

    def call(user: Any, segment: Any, item: Any, genre: Any) -> Any:
        ids = zip(NAMES, (user, segment, item, genre), strict=True)
        fields = tf.stack([tf.gather(kept[name], values) for name, values in ids], 1)
        return {"ctr": tf.sigmoid(tf.matmul(interact(fields, kept), kept["top"]))}

    specs = [tf.TensorSpec([None], tf.int64, name) for name in NAMES]
    save_function(path, call, *specs, keep=kept)


def make_xdeepfm(path: Path) -> None:
    """The compressed interaction: products of all fields by dimension, with the batch second."""

    def interact(fields: Any, kept: dict[str, Any]) -> Any:
        hidden, pooled = fields, []
        for layer, filters in enumerate(("filters0", "filters1")):
            size = 4 * (4, 3)[layer]
            left, right = (tf.split(x, [1] * WIDTH, 2) for x in (fields, hidden))
            dots = tf.reshape(tf.matmul(left, right, transpose_b=True), [WIDTH, -1, size])
            rows = tf.transpose(dots, [1, 0, 2])
            hidden = tf.transpose(tf.nn.conv1d(rows, kept[filters], 1, "VALID"), [0, 2, 1])
            pooled.append(tf.reduce_sum(tf.nn.relu(hidden), -1))
        return tf.concat(pooled, 1)

    _save(path, interact, filters0=(1, 16, 3), filters1=(1, 12, 2), top=(5, 1))


def make_autoint_stacked(path: Path) -> None:
    """Attention over the fields, whose heads are stacked before the batch."""

    def interact(fields: Any, kept: dict[str, Any]) -> Any:
        query, key, value = (
            tf.stack(tf.split(tf.tensordot(fields, kept[name], 1), 2, axis=2))
            for name in ("query", "key", "value")
        )
        attention = tf.nn.softmax(tf.matmul(query, key, transpose_b=True))
        heads = tf.concat(tf.split(tf.matmul(attention, value), 2), -1)
        return tf.reshape(tf.nn.relu(tf.squeeze(heads, 0)), [-1, 4 * WIDTH])

    matrix = (WIDTH, WIDTH)
    _save(path, interact, query=matrix, key=matrix, value=matrix, top=(4 * WIDTH, 1))


def make_dlrm(path: Path) -> None:
    """Dot products of all fields, of which a mask over all rows keeps a triangle."""

    def interact(fields: Any, kept: dict[str, Any]) -> Any:
        products = tf.matmul(fields, fields, transpose_b=True)
        ones = tf.ones_like(products)
        mask = ones - tf.linalg.band_part(ones, 0, -1)
        dots = tf.reshape(tf.boolean_mask(products, mask), (tf.shape(fields)[0], 6))
        return tf.concat([tf.reshape(fields, [-1, 4 * WIDTH]), dots], 1)

    _save(path, interact, top=(4 * WIDTH + 6, 1))


USERS = users_of(user=members(seed=91), segment=members(seed=92))
ITEMS = items_of(item=members(seed=93), genre=members(seed=94))
FEEDS = by_side({"user": np.int64, "segment": np.int64}, {"item": np.int64, "genre": np.int64})
CASES = [
    Case("xdeepfm", make_xdeepfm, USERS, ITEMS, FEEDS, splits=("embeddings",)),
    Case("autoint_stacked", make_autoint_stacked, USERS, ITEMS, FEEDS, splits=("embeddings",)),
    Case("dlrm", make_dlrm, USERS, ITEMS, FEEDS, splits=("embeddings",)),
]
