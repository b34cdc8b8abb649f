"""Inputs that belong to neither side, and a word of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.saving import save_function
from cases.recommenders.case import Case
from cases.recommenders.deepfm import variable
from cases.recommenders.outputs import FACTORS, id_specs, two_tables
from cases.recommenders.tables import (
    by_side,
    items_of,
    measures,
    members,
    numbers,
    string_ids,
    users_of,
    words,
)
from tf2spark.binding.feeds import literal

Spec = tf.TensorSpec
CITIES = ["Lima", "Osaka", "Kyiv"]
GENRES = ["comedy", "drama", "horror", "western"]


def make_context(path: Path) -> None:
    """Add inputs of neither side: an hour, a device, two weights."""
    kept = {
        **two_tables(),
        "hours": variable(24, 4, seed=82, scale=0.7),
        "w0": variable(2 * FACTORS + 6, 16, seed=83, scale=0.3),
        "w1": variable(16, 1, seed=84, scale=0.4),
    }

    def call(user: Any, item: Any, hour: Any, device: Any, mix: Any) -> Any:
        phone = tf.cast(tf.equal(device, "phone"), tf.float32)
        context = tf.concat([tf.gather(kept["hours"], hour), phone, 1 - phone], axis=1)
        u, v = tf.gather(kept["u"], user), tf.gather(kept["v"], item)
        deep = tf.nn.relu(tf.concat([u, context, v], 1) @ kept["w0"]) @ kept["w1"]
        both = tf.concat([deep, tf.reduce_sum(u * v, 1, keepdims=True)], axis=1)
        return {"score": tf.reduce_sum(both * mix, axis=1)}

    specs = [
        Spec([None], tf.int32, "hour"),
        Spec([None, 1], tf.string, "device"),
        Spec([None, 2], tf.float32, "mix"),
    ]
    save_function(path, call, *id_specs(), *specs, keep=kept)


def make_crossed_words(path: Path) -> None:
    """Cross a word of the user and one of the item into an id, which can't be split."""
    kept = {
        "crossed": variable(64, seed=85, scale=0.8),
        "cities": variable(32, seed=86, scale=0.5),
        "w": variable(4, 1, seed=87, scale=0.3),
    }

    def call(city: Any, age: Any, genre: Any, tags: Any) -> Any:
        both = tf.strings.join([city, genre], separator="_X_")
        crossed = tf.gather(kept["crossed"], tf.strings.to_hash_bucket_fast(both, 64))
        lower = tf.strings.lower(city)
        alone = tf.gather(kept["cities"], tf.strings.to_hash_bucket_fast(lower, 32))
        linear = tf.squeeze(tags @ kept["w"], axis=1) + tf.math.log1p(age) / 10
        return {"ctr": tf.sigmoid(crossed + alone + linear)}

    specs = [
        Spec([None], tf.string, "city"),
        Spec([None], tf.float32, "age"),
        Spec([None], tf.string, "genre"),
        Spec([None, 4], tf.float32, "tags"),
    ]
    save_function(path, call, *specs, keep=kept)


CONTEXT_FEED = {"hour": 5, "device": literal(["phone"]), "mix": literal([0.5, 1.5])}
CONTEXT_FEEDS = by_side(
    {"user": np.int64},
    {"item": np.int64},
    hour=np.array([5], np.int32),
    device=np.array([["phone"]], object),
    mix=np.array([[0.5, 1.5]], np.float32),
)
CASES = [
    Case(
        "context",
        make_context,
        users_of(user=members(seed=131)),
        items_of(item=members(seed=132)),
        CONTEXT_FEEDS,
        feed=CONTEXT_FEED,
        splits=("embeddings", "context", "first dense layer", "product"),
    ),
    Case(
        "crossed_words",
        make_crossed_words,
        users_of(
            string_ids("u"),
            city=words(CITIES, seed=133),
            age=numbers(low=18, high=90, seed=134, kind=pa.int16()),
        ),
        items_of(string_ids("title "), genre=words(GENRES, seed=135), tags=measures(4, seed=136)),
        by_side({"city": object, "age": np.float32}, {"genre": object, "tags": np.float32}),
        splits=("linear term", "user's own word"),
    ),
]
