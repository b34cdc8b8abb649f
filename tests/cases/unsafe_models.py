"""A SavedModel whose functions compute or have side effects, and ways to alter its graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tf2spark.errors import UnsafeModelError
from tf2spark.saved_model import reader
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.safety import op_check

tf1 = tf.compat.v1
STRINGS = tf.TensorSpec([None], tf.string, "s")
FLOATS = tf.TensorSpec([None], tf.float32, "x")


class Actions(tf.Module):
    """Functions that only compute, and functions that have side effects."""

    def __init__(self, vocabulary: Path):
        super().__init__()
        index = tf.lookup.TextFileIndex
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(vocabulary), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            ),
            -1,
        )
        self.seen = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.count = tf.Variable(0.0)
        self.last = tf.Variable("", dtype=tf.string)

    @tf.function(input_signature=[STRINGS])
    def look_up(self, s: Any) -> Any:
        """Read a table."""
        return {"out": self.table.lookup(s)}

    @tf.function(input_signature=[FLOATS])
    def compute(self, x: Any) -> Any:
        """Use control flow, random numbers, an assertion, a print, a tf.data pipeline."""
        tf.debugging.assert_all_finite(x, "finite")
        tf.print("scoring", output_stream=tf1.logging.info)
        total = tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t + x), [0, x])[1]
        total = tf.cond(tf.reduce_sum(x) > 0, lambda: total, lambda: -total)
        numbers = tf.data.Dataset.range(3).map(lambda i: i * i)
        extra = numbers.reduce(tf.constant(0, tf.int64), lambda a, b: a + b)
        return {"out": total + tf.random.uniform([]) + tf.cast(extra, tf.float32)}

    @tf.function(input_signature=[STRINGS])
    def write(self, s: Any) -> Any:
        """Write a file inside a loop."""

        def body(i: Any) -> Any:
            tf.io.write_file("/tmp/tf2spark-never-written", s[0])
            return i + 1

        return {"out": tf.while_loop(lambda i: i < tf.size(s), body, [0])[0]}

    @tf.function(input_signature=[STRINGS])
    def read(self, s: Any) -> Any:
        """Read the files that the rows name."""
        return {"out": tf.map_fn(tf.io.read_file, s)}

    @tf.function(input_signature=[STRINGS])
    def lines(self, s: Any) -> Any:
        """Read a file inside a tf.data pipeline."""
        lines = tf.data.TextLineDataset(s[0]).map(tf.strings.length)
        return {"out": lines.reduce(0, lambda a, b: a + b)}

    @tf.function(input_signature=[FLOATS])
    def python(self, x: Any) -> Any:
        """Call back into Python."""
        return {"out": tf.numpy_function(lambda v: v, [x], tf.float32)}

    @tf.function(input_signature=[STRINGS])
    def print_to_file(self, s: Any) -> Any:
        """Print to a file."""
        tf.print(s, output_stream="file:///tmp/tf2spark-never-written")
        return {"out": s}

    @tf.function(input_signature=[FLOATS])
    def counting(self, x: Any) -> Any:
        """Keep a number between runs."""
        return {"out": x + self.count.assign_add(1.0)}

    @tf.function(input_signature=[STRINGS])
    def keep_in_variable(self, s: Any) -> Any:
        """Keep a string between runs."""
        self.last.assign(s[0])
        return {"out": tf.identity(s)}

    @tf.function(input_signature=[STRINGS])
    def keep_in_table(self, s: Any) -> Any:
        """Keep strings between runs."""
        self.seen.insert(s, tf.ones_like(s, tf.int64))
        return {"out": self.seen.lookup(s)}


SIGNATURES = [
    name for name, member in vars(Actions).items() if hasattr(member, "get_concrete_function")
]


def fetches(model: reader.LoadedModel, signature: str) -> list[str]:
    """Return the tensors that carry the outputs of a signature."""
    signatures = {definition.name: definition for definition in model.contract.signatures}
    return [tensor for spec in signatures[signature].outputs for tensor in spec.tensors]


def refusal(model: reader.LoadedModel, signature: str, **options: Any) -> str:
    """Return the message with which the check refuses a signature."""
    with pytest.raises(UnsafeModelError) as caught:
        op_check.check(model.meta_graph, fetches(model, signature), **options)
    return str(caught.value)


def graph_model(path: Path, build: Callable[[], dict[str, tf.Tensor]], **saving: Any) -> Any:
    """Save a TF1 graph with these outputs, and read its MetaGraph."""
    with tf.Graph().as_default(), tf1.Session() as session:
        outputs = build()
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(path))
        definition = tf1.saved_model.predict_signature_def(outputs, outputs)
        if "assets" in saving:
            saving["assets_collection"] = tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS)
        if saving.pop("assets", False):
            saving["main_op"] = tf1.tables_initializer()
        builder.add_meta_graph_and_variables(session, ["serve"], {"f": definition}, **saving)
        builder.save()
    return reader.read(path).meta_graph


def file_table(name: str, *, asset: bool) -> Callable[[], dict[str, tf.Tensor]]:
    """Return a builder of a table that fills itself from a file, which is an asset or isn't."""

    def build() -> dict[str, tf.Tensor]:
        index = tf.lookup.TextFileIndex
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                name, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            ),
            -1,
        )
        if not asset:
            tf1.get_default_graph().clear_collection(tf1.GraphKeys.ASSET_FILEPATHS)
        return {"y": table.lookup(tf.constant(["film"]))}

    return build


def read_changed(path: Path, change: Callable[[Any], None]) -> Any:
    """Read a model's MetaGraph after changing it through TensorFlow's protos."""
    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(message.meta_graphs[0])
    return SavedModel.FromString(message.SerializeToString()).meta_graphs[0]
