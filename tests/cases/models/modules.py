"""TF2 functions: several signatures, strings, control flow, all kinds of batch sizes and ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Case, Feeds
from cases.models.saving import save_function, save_module, weights
from cases.models.tables import (
    arrow,
    as_columns,
    by_name,
    chosen,
    floats,
    floats_table,
    ints,
    read,
    table,
)
from tf2spark.binding.feeds import literal, output

Spec = tf.TensorSpec
WORDS = ["red", "green", "blue", "grün", ""]


def make_signatures(path: Path) -> None:
    w = weights(3, 2, seed=1)
    b = weights(2, seed=2)

    def linear(x: Any) -> Any:
        return {"y": x @ w + b}

    def power(x: Any, k: Any) -> Any:
        return {"power": tf.abs(x) ** tf.cast(k, tf.float32), "odd": k % 2}

    signatures = {
        "serving_default": tf.function(linear, [Spec([None, 3], tf.float32, "x")]),
        "power": tf.function(power, [Spec([None], tf.float32, "x"), Spec([None], tf.int64, "k")]),
    }
    save_module(path, signatures, {"w": w, "b": b})


def power_table(rows: int) -> pa.Table:
    return table(x=arrow(floats(rows), pa.float32()), k=arrow(ints(rows, high=4), pa.int64()))


def make_one_signature(path: Path) -> None:
    """Have a single signature, which doesn't have the default name."""
    halve = tf.function(lambda x: {"half": x / 2}, [Spec([None], tf.float64, "x")])
    save_module(path, {"halve": halve})


def make_nested_dict(path: Path) -> None:
    """Take a dict, which the signature shows as features (a) and features_1 (b)."""

    def call(features: Any) -> Any:
        return {"difference": features["a"] - features["b"]}

    save_function(path, call, {"a": Spec([None], tf.float32), "b": Spec([None], tf.float32)})


def make_dict_of_inputs(path: Path) -> None:
    def call(a: Any, b: Any) -> Any:
        return {"quotient": tf.math.divide_no_nan(a, b), "a_is_more": a > b}

    save_function(path, call, Spec([None], tf.float32, "a"), Spec([None], tf.float32, "b"))


def two_scalars(rows: int) -> pa.Table:
    return table(
        a=arrow(floats(rows, seed=1), pa.float32()), b=arrow(floats(rows, seed=2), pa.float32())
    )


def make_labels(path: Path) -> None:
    w = weights(4, 3, seed=3)
    labels = tf.constant(["cat", "dog", "Löwe"])

    def call(x: Any) -> Any:
        best = tf.math.top_k(x @ w, 2)
        return {
            "label": tf.gather(labels, best.indices[:, 0]),
            "best": tf.gather(labels, best.indices),
            "scores": best.values,
        }

    save_function(path, call, Spec([None, 4], tf.float32, "x"), keep={"w": w})


def make_strings(path: Path) -> None:
    def call(words: Any) -> Any:
        return {
            "joined": tf.strings.reduce_join(words, 1, separator="-"),
            "swapped": tf.stack([tf.strings.upper(words[:, 1]), words[:, 0]], 1)[:, :, None],
            "bytes": tf.strings.length(words),
        }

    save_function(path, call, Spec([None, 2], tf.string, "words"))


def make_bools(path: Path) -> None:
    def call(x: Any, invert: Any) -> Any:
        positive = x > 0
        return {"all": tf.reduce_all(positive, 1), "flags": positive ^ invert[:, None]}

    save_function(path, call, Spec([None, 2], tf.float32, "x"), Spec([None], tf.bool, "invert"))


def bools_table(rows: int) -> pa.Table:
    return table(
        x=arrow(floats(rows, 2), pa.float64()), invert=arrow(ints(rows, high=2) > 0, pa.bool_())
    )


def make_cond(path: Path) -> None:
    w = weights(3, seed=4)

    def call(x: Any, training: Any, scale: Any) -> Any:
        y = tf.cond(training, lambda: x * w, lambda: x - w)
        return {"y": y * scale}

    specs = [Spec([None, 3], tf.float32, "x"), Spec([], tf.bool, "training")]
    save_function(path, call, *specs, Spec([], tf.float32, "scale"), keep={"w": w})


def cond_feeds(training: bool, scale: float) -> Any:
    def feeds(data: pa.Table) -> Feeds:
        x = read(data, "x", np.float32)
        return {"x": x, "training": np.array(training), "scale": np.array(scale, np.float32)}

    return feeds


def make_while(path: Path) -> None:
    """Count the steps of a Collatz sequence: other rows make the loop longer, not the count."""

    def step(n: Any, steps: Any) -> Any:
        following = tf.where(n % 2 == 0, n // 2, 3 * n + 1)
        return tf.where(n > 1, following, n), steps + tf.cast(n > 1, tf.int32)

    def call(n: Any) -> Any:
        zeros = tf.zeros_like(n, tf.int32)
        return {"steps": tf.while_loop(lambda m, _: tf.reduce_any(m > 1), step, [n, zeros])[1]}

    save_function(path, call, Spec([None], tf.int64, "n"))


def make_language(path: Path) -> None:
    def call(word: Any, lang: Any) -> Any:
        return {"tagged": tf.strings.join([word, "@", lang])}

    save_function(path, call, Spec([None], tf.string, "word"), Spec([], tf.string, "lang"))


def make_fixed_batch(path: Path) -> None:
    w = weights(3, 2, seed=5)
    save_function(path, lambda x: {"y": x @ w}, Spec([4, 3], tf.float32, "x"), keep={"w": w})


def in_fours(data: pa.Table) -> list[list[int]]:
    """Return runs of four rows; the last row pads the last run."""
    last = data.num_rows - 1
    starts = range(0, data.num_rows, 4)
    return [[min(row, last) for row in range(start, start + 4)] for start in starts]


def make_batch_of_one(path: Path) -> None:
    w = weights(3, 1, seed=6)
    save_function(path, lambda x: {"y": x @ w}, Spec([1, 3], tf.float32, "x"), keep={"w": w})


def make_unknown_rank(path: Path) -> None:
    save_function(path, lambda x: {"y": x * 2 + 1}, Spec(None, tf.float32, "x"))


def make_unknown_sizes(path: Path) -> None:
    def call(x: Any) -> Any:
        return {"sums": tf.reduce_sum(x, 2), "doubled": x * 2}

    save_function(path, call, Spec([None, None, None], tf.float32, "x"))


def make_matrix_from_list(path: Path) -> None:
    w = weights(3, 2, seed=8)
    save_function(path, lambda x: {"y": x @ w}, Spec([None, 2, 3], tf.float32, "x"), keep={"w": w})


def make_single_column(path: Path) -> None:
    save_function(path, lambda x: {"y": x * 3}, Spec([None, 1], tf.float32, "x"))


def make_joined_columns(path: Path) -> None:
    w = weights(6, 2, seed=9)
    save_function(path, lambda x: {"y": x @ w}, Spec([None, 6], tf.float32, "x"), keep={"w": w})


def joined_columns_table(rows: int) -> pa.Table:
    return table(
        pair=arrow(floats(rows, 2, seed=1), pa.float64()),
        one=arrow(ints(rows, seed=2), pa.int64()),
        three=arrow(floats(rows, 3, seed=3), pa.float32()),
    )


def joined_columns_feeds(data: pa.Table) -> Feeds:
    parts = [read(data, name, np.float32) for name in ("three", "one", "pair")]
    return {"x": np.concatenate([part.reshape(data.num_rows, -1) for part in parts], 1)}


def make_vocabulary(path: Path) -> None:
    """Look up words in a table that is filled from a text file, which becomes an asset."""
    source = path.with_name("vocabulary.txt")
    source.write_text("red\ngreen\nblue\n", encoding="utf-8")
    index = tf.lookup.TextFileIndex
    lines = (tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER)
    words = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(source), *lines), -1)
    names = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer([0, 1, 2], ["r", "g", "b"], tf.int64, tf.string), "?"
    )

    def call(word: Any) -> Any:
        number = words.lookup(word)
        return {"number": number, "letter": names.lookup(number)}

    spec = Spec([None], tf.string, "word")
    save_function(path, call, spec, keep={"words": words, "names": names})
    source.unlink()


def words_table(rows: int) -> pa.Table:
    return table(word=arrow(chosen(WORDS, rows), pa.string()))


def make_examples(path: Path) -> None:
    w = weights(3, 1, seed=10)
    features = {
        "x": tf.io.FixedLenFeature([3], tf.float32),
        "bias": tf.io.FixedLenFeature([], tf.float32, 0.5),
        "tags": tf.io.VarLenFeature(tf.int64),
        "name": tf.io.FixedLenFeature([], tf.string),
    }

    def call(examples: Any) -> Any:
        parsed = tf.io.parse_example(examples, features)
        tags = tf.sparse.to_dense(parsed["tags"])
        extra = tf.cast(tf.reduce_sum(tags, 1), tf.float32)
        return {"score": (parsed["x"] @ w)[:, 0] + parsed["bias"] + extra, "name": parsed["name"]}

    save_function(path, call, Spec([None], tf.string, "examples"), keep={"w": w})


def examples_table(rows: int) -> pa.Table:
    xs = floats(rows, 3, seed=1).tolist()
    return table(examples=pa.array([_example(row, x) for row, x in enumerate(xs)], pa.binary()))


def _example(row: int, x: list[float]) -> bytes:
    example = tf.train.Example()
    features = example.features.feature
    features["x"].float_list.value.extend(x)
    features["tags"].int64_list.value.extend(range(row % 4))
    features["name"].bytes_list.value.append(f"row {row}".encode())
    if row % 2:
        features["bias"].float_list.value.append(row / 4)
    return bytes(example.SerializeToString(deterministic=True))


_X = by_name(x=np.float32)
CASES = [
    Case("signature_default", make_signatures, floats_table("x", 3), _X),
    Case(
        "signature_named",
        make_signatures,
        power_table,
        by_name(x=np.float32, k=np.int64),
        kwargs={"signature": "power"},
    ),
    Case(
        "signature_only",
        make_one_signature,
        floats_table("x", leaf=pa.float64()),
        by_name(x=np.float64),
    ),
    Case(
        "nested_dict",
        make_nested_dict,
        two_scalars,
        lambda data: {
            "features": read(data, "a", np.float32),
            "features_1": read(data, "b", np.float32),
        },
        feed={"features": "a", "features_1": "b"},
    ),
    Case("dict_of_inputs", make_dict_of_inputs, two_scalars, by_name(a=np.float32, b=np.float32)),
    Case("labels", make_labels, floats_table("x", 4), _X),
    Case(
        "strings",
        make_strings,
        lambda rows: table(words=arrow(chosen(WORDS, rows, 2), pa.string())),
        by_name(words=object),
    ),
    Case("bools", make_bools, bools_table, by_name(x=np.float32, invert=bool)),
    Case(
        "cond_true",
        make_cond,
        floats_table("x", 3),
        cond_feeds(True, 1),
        feed={"training": True, "scale": 1},
    ),
    Case(
        "cond_false",
        make_cond,
        floats_table("x", 3),
        cond_feeds(False, 0.1),
        feed={"training": False, "scale": 0.1},
    ),
    Case(
        "while_loop",
        make_while,
        lambda rows: table(n=arrow(ints(rows, low=1, high=99), pa.int32())),
        by_name(n=np.int64),
    ),
    Case(
        "literal_string",
        make_language,
        words_table,
        lambda data: {"word": read(data, "word", object), "lang": np.array(b"en", object)},
        feed={"lang": literal("en")},
    ),
    Case("fixed_batch", make_fixed_batch, floats_table("x", 3), _X, batches=in_fours),
    Case(
        "batch_of_one",
        make_batch_of_one,
        floats_table("x", 3),
        _X,
        batches=lambda data: [[row] for row in range(data.num_rows)],
    ),
    Case(
        "unknown_rank_1",
        make_unknown_rank,
        floats_table("x"),
        _X,
        fetch={"y": output("y", rank=1)},
    ),
    Case(
        "unknown_rank_3",
        make_unknown_rank,
        floats_table("x", 2, 3),
        _X,
        fetch={"y": output("y", rank=3)},
    ),
    Case("unknown_sizes", make_unknown_sizes, floats_table("x", 3, 2), _X),
    Case(
        "flat_list_as_matrix",
        make_matrix_from_list,
        floats_table("x", 6),
        lambda data: {"x": read(data, "x", np.float32).reshape(-1, 2, 3)},
    ),
    Case(
        "columns_joined",
        make_joined_columns,
        joined_columns_table,
        joined_columns_feeds,
        feed={"x": ["three", "one", "pair"]},
    ),
    Case("vocabulary_asset", make_vocabulary, words_table, by_name(word=object)),
    Case("tf_examples", make_examples, examples_table, by_name(examples=object)),
    Case("single_column", make_single_column, floats_table("x"), as_columns(x=np.float32)),
    Case("single_column_lists", make_single_column, floats_table("x", 1), _X),
]
