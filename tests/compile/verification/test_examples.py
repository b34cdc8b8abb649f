"""Models of serialized tf.Example messages are verified on messages that they accept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import save_function
from tf2spark.compile.verification.examples import generated_texts
from tf2spark.dtypes import FLOAT32, INT64, STRING
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.protos import GraphDef
from tf2spark.saved_model.tf_example.features import ParsedExample, ParsedFeature

TEXTS = tf.TensorSpec([None], tf.string, "examples")
DENSE = {
    "age": tf.io.FixedLenFeature([], tf.int64),
    "size": tf.io.FixedLenFeature([3], tf.float32),
}


def one_by_one(examples: Any) -> Any:
    def score(text: Any) -> Any:
        parsed = tf.io.parse_single_example(text, DENSE)
        return tf.reduce_sum(parsed["size"]) + tf.cast(parsed["age"], tf.float32)

    return {"y": tf.map_fn(score, examples, tf.float32)}


def single(example: Any) -> Any:
    parsed = tf.io.parse_single_example(example, DENSE)
    return {"y": parsed["size"] + tf.cast(parsed["age"], tf.float32)}


def sequences(examples: Any) -> Any:
    context, lists, lengths = tf.io.parse_sequence_example(
        examples,
        {"age": tf.io.FixedLenFeature([], tf.int64), "word": tf.io.VarLenFeature(tf.string)},
        {
            "clicks": tf.io.FixedLenSequenceFeature([2], tf.float32),
            "tags": tf.io.VarLenFeature(tf.int64),
        },
    )
    total = tf.reduce_sum(lists["clicks"], [1, 2]) + tf.cast(context["age"], tf.float32)
    tags = tf.sparse.reduce_sum(lists["tags"], [1, 2])
    return {"y": total + tf.cast(tags, tf.float32), "n": lengths["clicks"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "specs"),
    [
        (one_by_one, [TEXTS]),
        (single, [tf.TensorSpec([], tf.string, "example")]),
        (sequences, [TEXTS]),
    ],
)
def test_messages_are_made_of_what_the_graph_parses(
    tmp_path: Path, call: Any, specs: list[Any]
) -> None:
    """Single ones too, inside of loops, and sequences: the package is verified without a sample."""
    save_function(tmp_path / "model", call, *specs)
    package = tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "package")
    manifest = package.contract.package
    assert manifest is not None
    assert manifest.why_as_it_was is None
    assert manifest.verified is not None
    assert manifest.verified.inputs == "generated from the contract"


@pytest.mark.slow
def test_inputs_of_different_messages(tmp_path: Path) -> None:
    """Each gets the features that are parsed from it, and a string that isn't parsed a word."""

    def call(user: Any, item: Any, word: Any) -> Any:
        of_user = tf.io.parse_example(user, {"x": tf.io.FixedLenFeature([2], tf.float32)})
        of_item = tf.io.parse_example(item, {"x": tf.io.FixedLenFeature([], tf.int64)})
        scored = tf.reduce_sum(of_user["x"], 1) * tf.cast(of_item["x"], tf.float32)
        return {"y": scored, "n": tf.strings.length(word)}

    specs = [tf.TensorSpec([None], tf.string, name) for name in ("user", "item", "word")]
    save_function(tmp_path / "model", call, *specs)
    package = tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "package")
    assert package.contract.package is not None
    assert package.contract.package.verified is not None


def test_an_example_has_what_is_parsed() -> None:
    """Dense features of their size, one value for the others; a list has two steps of each."""
    parsed = ParsedExample(
        (
            ParsedFeature("a", FLOAT32, "dense", (50, 30)),
            ParsedFeature("b", INT64, "sparse"),
            ParsedFeature("c", STRING, "dense", (None, 2), is_list=True),
        ),
        complete=True,
    )
    spec = TensorSpec("texts", STRING, (None,), ("texts:0",), example=parsed)
    other = TensorSpec("word", STRING, (None,), ("word:0",))
    graph = GraphDef()
    first, *words = generated_texts(graph, Signature("s", (spec, other), (), ""))
    assert first["word"] == b"a"
    assert words == [{"texts": word, "word": word} for word in (b"a", b"")]
    message = tf.train.SequenceExample.FromString(first["texts"])
    context, (steps,) = message.context.feature, message.feature_lists.feature_list.values()
    assert list(context["a"].float_list.value) == [0.5] * 1500
    assert list(context["b"].int64_list.value) == [1]
    assert [list(step.bytes_list.value) for step in steps.feature] == [[b"a", b"a"]] * 2
