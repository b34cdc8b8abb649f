"""Which features a string input has, in graphs as TensorFlow's APIs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

import tf2spark
from tf2spark.errors import ContractError

_FEATURES = {
    "age": tf.io.FixedLenFeature([], tf.float32),
    "city": tf.io.FixedLenFeature([1], tf.string, "nowhere"),
    "tags": tf.io.VarLenFeature(tf.string),
    "pair": tf.io.FixedLenSequenceFeature([2], tf.int64, allow_missing=True),
}
_KEYS = ("age", "city", "pair", "tags")
_ROWS = pd.DataFrame({"age": [30, 41], "tags": [["a"], None], "pair": [[1, 2, 3, 4], []]})


def _sum(parsed: dict[str, Any]) -> Any:
    """Return a number for each row that all features change."""
    tags = tf.sparse.to_dense(parsed["tags"], "")
    count = tf.reduce_sum(tf.cast(tf.not_equal(tags, ""), tf.float32), 1)
    letters = tf.cast(tf.strings.length(parsed["city"]), tf.float32)[:, 0]
    pairs = tf.cast(tf.reduce_sum(parsed["pair"], [1, 2]), tf.float32)
    return parsed["age"] + 100 * letters + 1000 * count + 10000 * pairs


def _in_function(examples: Any) -> Any:
    return {"y": _sum(tf.io.parse_example(examples, _FEATURES))}


def _in_function_of_a_function(examples: Any) -> Any:
    parse = tf.function(lambda texts: tf.io.parse_example(tf.reshape(texts, [-1]), _FEATURES))
    return {"y": _sum(parse(tf.identity(examples)))}


def _in_branch(examples: Any) -> Any:
    y = tf.cond(
        tf.size(examples) > 0,
        lambda: _sum(tf.io.parse_example(examples, _FEATURES)),
        lambda: tf.zeros([0]),
    )
    return {"y": y}


def _in_map(examples: Any) -> Any:
    def one(text: Any) -> Any:
        parsed = tf.io.parse_single_example(text, _FEATURES)
        batched = {key: parsed[key][None] for key in ("age", "city", "pair")}
        return _sum(batched | {"tags": tf.sparse.expand_dims(parsed["tags"], 0)})[0]

    return {"y": tf.map_fn(one, examples, fn_output_signature=tf.float32)}


@pytest.mark.parametrize(
    "serve",
    [_in_function, _in_function_of_a_function, _in_branch, _in_map],
    ids=lambda f: f.__name__,
)
def test_tf2_exports_take_columns(tmp_path: Path, serve: Any) -> None:
    """The parsing op is found through functions, branches and loops."""
    _save(tmp_path, serve)
    _check(str(tmp_path))


@pytest.mark.parametrize("single", [False, True], ids=["batch", "map"])
def test_tf1_exports_take_columns(tmp_path: Path, single: bool) -> None:
    """Estimators export a placeholder that a ParseExample reads."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], "input_example_tensor")
        if single:
            y = v1.map_fn(
                lambda text: _sum(v1.parse_example(tf.reshape(text, [1]), _FEATURES))[0],
                examples,
                dtype=tf.float32,
            )
        else:
            y = _sum(v1.parse_example(examples, _FEATURES))
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"examples": examples}, {"y": y})
    _check(str(tmp_path / "m"))


def _save(folder: Path, serve: Any) -> None:
    module = tf.Module()
    spec = tf.TensorSpec([None], tf.string, "examples")
    module.serve = tf.function(serve, input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures=module.serve)


def _check(path: str) -> None:
    model = tf2spark.SavedModel(path)
    (spec,) = model.contract.signatures[0].inputs
    assert spec.example is not None
    assert spec.example.keys == _KEYS
    assert spec.example.complete
    assert [each.key for each in spec.example.features if each.required] == ["age"]
    scored = model.score(_ROWS, feed={"examples": tf2spark.example()})
    assert scored.y.tolist() == [101730.0, 741.0]
    named = model.score(_ROWS, feed={"examples": tf2spark.example("age")})
    assert named.y.tolist() == [730.0, 741.0]
    with pytest.raises(ContractError, match=r"feed=\{\"examples\": tf2spark.example\(\)\}"):
        model.score(_ROWS)


def test_sequence_examples_take_lists_of_steps(tmp_path: Path) -> None:
    """A feature list is one column: a list of steps."""

    def serve(examples: Any) -> Any:
        context, lists, _ = tf.io.parse_sequence_example(
            examples,
            {"age": _FEATURES["age"]},
            {
                "ids": tf.io.FixedLenSequenceFeature([], tf.int64),
                "words": tf.io.RaggedFeature(tf.string),
            },
        )
        words = tf.reduce_sum(lists["words"].row_lengths(2).to_tensor(), 1)
        total = tf.reduce_sum(lists["ids"], 1) + 1000 * tf.cast(words, tf.int64)
        return {"y": context["age"] + tf.cast(total, tf.float32)}

    _save(tmp_path, serve)
    model = tf2spark.SavedModel(str(tmp_path))
    rows = pd.DataFrame({"age": [0.5, 1.5], "ids": [[1, 2], []], "words": [[["a"], ["b"]], None]})
    assert model.score(rows, feed={"examples": tf2spark.example()}).y.tolist() == [2003.5, 1.5]
    assert "tf.SequenceExample: feed with example(...)" in str(model.contract)


def test_what_else_reads_the_strings_may_have_other_features(tmp_path: Path) -> None:
    """A key that no parsing op names is refused only if nothing else reads the strings."""

    def serve(examples: Any) -> Any:
        sizes = tf.strings.length(examples)
        return {"y": _sum(tf.io.parse_example(examples, _FEATURES)), "size": sizes}

    _save(tmp_path, serve)
    model = tf2spark.SavedModel(str(tmp_path))
    (spec,) = model.contract.signatures[0].inputs
    assert spec.example is not None
    assert not spec.example.complete
    rows = _ROWS.assign(more=[1, 2])
    scored = model.score(rows, feed={"examples": tf2spark.example("age", "more")})
    assert scored.y.tolist() == [730.0, 741.0]
    assert (scored["size"] > 20).all()
