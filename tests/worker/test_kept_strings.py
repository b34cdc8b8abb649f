"""Strings that a graph keeps, or reads beyond their end: with TensorFlow itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve

from cases.arrow_columns import batch_of, plan, source
from tf2spark import SavedModel
from tf2spark.dtypes import STRING
from tf2spark.plan.score import ModelRef, OutputPlan, Plan
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.worker.score_loop import score_batches


def test_a_graph_that_keeps_strings_gets_copies(tmp_path: Path) -> None:
    """A variable that a run assigns its feed to still has the words after the batch is gone."""
    import tensorflow as tf

    class Keeper(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = tf.Variable(tf.constant([""]), shape=[None], dtype=tf.string)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
        def __call__(self, x: Any) -> Any:
            before = tf.strings.reduce_join(self.kept, separator=" ")
            with tf.control_dependencies([before]):
                after = self.kept.assign(tf.reverse(x, [0]))
            with tf.control_dependencies([after]):
                return {"y": tf.fill(tf.shape(x), before)}

    tf.saved_model.save(Keeper(), str(tmp_path))
    session = open_session(str(tmp_path), ["serve"], threads=1)
    output = OutputPlan("y", "y", ("StatefulPartitionedCall:0",), STRING, (), pa.string())
    spec = plan(source(pa.string(), column=1), dtype=STRING, dims=())
    words = evolve(spec, name="x", tensors=("serving_default_x:0",))
    model = ModelRef("/model", ("serve",), "digest", copy_strings=True)
    job = Plan(model, (words,), (output,))

    def batches() -> Any:
        for letter in ("a", "b", "c"):
            memory = np.frombuffer(f"{letter * 30}{letter}".encode(), np.uint8).copy()
            offsets = pa.py_buffer(np.array([0, 30, 31], np.int32))
            column = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(memory)])
            yield batch_of(pa.array([0, 1]), column)
            # As if the batch were gone and its memory in use again.
            memory[:] = ord("!")

    got = [batch.column("y").to_pylist() for batch in score_batches(job, session, batches())]
    session.close()
    assert got == [["", ""], [f"a {'a' * 30}"] * 2, [f"b {'b' * 30}"] * 2]


def test_a_refused_string_shows_no_other_rows_text(tmp_path: Path) -> None:
    """TensorFlow's message about a string that isn't a number ends where the string ends."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
    def number(x: Any) -> Any:
        return {"y": tf.strings.to_number(x)}

    tf.saved_model.save(tf.Module(), str(tmp_path / "m"), signatures=number)
    table = pa.table({"x": ["1.5", "oops", "secret"]})
    out = SavedModel(tmp_path / "m").score(table, mode="permissive")
    assert out["y"].to_pylist() == [1.5, None, None]
    assert "oops" in out["_error"][1].as_py()
    assert "secret" not in out["_error"][1].as_py()
