"""`model_state`: what a model keeps beside variables is never lost by compiling it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import control_flow, graph_session, save_function, save_graph
from tf2spark.compile import compiler, original
from tf2spark.compile.compiler import CompileOptions
from tf2spark.package.manifest import Manifest

tf1 = tf.compat.v1
_WORDS = pa.table({"word": ["a", "b", "c"]})
_WORD = tf.TensorSpec([None], tf.string, "word")


def manifest_of(model: tf2spark.SavedModel) -> Manifest:
    assert model.contract.package is not None
    return model.contract.package


def mutable_table() -> Any:
    return tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)


def dense_table() -> Any:
    return tf.lookup.experimental.DenseHashTable(tf.string, tf.int64, -1, "<none>", "<deleted>")


@pytest.mark.parametrize("make_table", [mutable_table, dense_table])
def test_a_table_filled_while_training_is_packed_unchanged(
    tmp_path: Path, make_table: Callable[[], Any]
) -> None:
    """The contents of a mutable table are in the checkpoint, which a compiled model hasn't."""
    table = make_table()
    table.insert(tf.constant(["a", "b"]), tf.constant([5, 6], tf.int64))
    save_function(tmp_path / "m", lambda word: {"y": table.lookup(word)}, _WORD, keep={"t": table})
    package = tf2spark.SavedModel(tmp_path / "m").compile(tmp_path / "p")
    assert manifest_of(package).why_as_it_was is not None
    assert "mutable table" in str(manifest_of(package).why_as_it_was)
    assert "outside of variables" in str(package.contract)
    assert package.score(_WORDS, keep=[])["y"].to_pylist() == [5, 6, -1]


def test_a_mutable_table_that_scoring_does_not_read_is_left_out(tmp_path: Path) -> None:
    """Only what the outputs depend on decides whether a model is compiled."""
    table, weight = mutable_table(), tf.Variable(2.0)

    def call(x: Any) -> Any:
        return {"y": x * weight}

    spec = tf.TensorSpec([None], tf.float32, "x")
    save_function(tmp_path / "m", call, spec, keep={"table": table, "weight": weight})
    package = tf2spark.SavedModel(tmp_path / "m").compile(tmp_path / "p")
    assert manifest_of(package).why_as_it_was is None
    assert package.score(pa.table({"x": [1.5]}), keep=[])["y"].to_pylist() == [3.0]


def staged(x: Any) -> tuple[Any, Any]:
    kept = {"dtypes": [tf.float32], "container": "", "shared_name": "kept"}
    fill = tf.raw_ops.MapStage(
        key=tf.constant(7, tf.int64), indices=tf.constant([0]), values=[tf.constant(3.0)], **kept
    )
    return fill, x * tf.cast(tf.raw_ops.MapSize(**kept), tf.float32)


def queued(x: Any) -> tuple[Any, Any]:
    queue = tf1.FIFOQueue(4, [tf.float32], [[]])
    return queue.enqueue(3.0), x * tf.cast(queue.size(), tf.float32)


@pytest.mark.parametrize(("fill", "op"), [(staged, "MapStage"), (queued, "QueueEnqueueV2")])
def test_an_init_op_that_fills_anything_else_is_named(
    tmp_path: Path, fill: Callable[[Any], tuple[Any, Any]], op: str
) -> None:
    """What an init op fills beside variables and tables is never lost by compiling."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None], "x")
        main_op, y = fill(x)
        save_graph(session, tmp_path / "m", {"x": x}, {"y": y}, main_op=main_op)
    model = tf2spark.SavedModel(
        tmp_path / "m", allow_ops=[op, "MapSize", "QueueSizeV2", "FIFOQueueV2"]
    )
    package = model.compile(tmp_path / "p")
    assert op in str(manifest_of(package).why_as_it_was)
    rows = pa.table({"x": [1.0, 2.0]})
    assert package.score(rows, keep=[]).equals(model.score(rows, keep=[]))
    assert package.score(rows, keep=[])["y"].to_pylist() == [1.0, 2.0]


def test_a_table_filled_in_a_branch_is_packed_unchanged(tmp_path: Path) -> None:
    """An init op may fill tables inside of functions that can't be inlined."""
    with graph_session() as session:
        word = tf1.placeholder(tf.string, [None], "word")
        handle = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="t")

        def fill(values: list[int]) -> Any:
            keys, numbers = tf.constant(["a", "b"]), tf.constant(values, tf.int64)
            with tf.control_dependencies(
                [tf.raw_ops.InitializeTableV2(table_handle=handle, keys=keys, values=numbers)]
            ):
                return tf.constant(1)

        switch = tf1.placeholder_with_default(True, [])
        with control_flow(2):
            main_op = tf1.cond(switch, lambda: fill([5, 6]), lambda: fill([7, 8]))
        y = tf.raw_ops.LookupTableFindV2(
            table_handle=handle, keys=word, default_value=tf.constant(-1, tf.int64)
        )
        y = tf.ensure_shape(y, [None])
        save_graph(session, tmp_path / "m", {"word": word}, {"y": y}, main_op=main_op.op)
    package = tf2spark.SavedModel(tmp_path / "m").compile(tmp_path / "p")
    assert "its init op calls a function" in str(manifest_of(package).why_as_it_was)
    assert package.score(_WORDS, keep=[])["y"].to_pylist() == [5, 6, -1]


@pytest.mark.parametrize("kind", ["constant", "variable", "loop"])
def test_what_the_init_op_reads_stays_in_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Loading feeds nothing, so large keys of a table don't become a file, as weights do."""
    monkeypatch.setattr(
        compiler,
        "CompileOptions",
        lambda **options: CompileOptions(threshold_bytes=4096, **options),
    )
    keys = np.arange(2000, dtype=np.int64)
    ids_of = tf.Variable(keys) if kind != "constant" else tf.constant(keys)
    weights = tf.Variable(np.arange(2000, dtype=np.float32))
    initializer = tf.lookup.KeyValueTensorInitializer(ids_of, tf.constant(keys[::-1].copy()))
    table = tf.lookup.StaticHashTable(initializer, -1)

    def call(x: Any) -> Any:
        ids = table.lookup(x)
        if kind == "loop":
            ids = tf.while_loop(lambda i: tf.reduce_any(i > 1999), lambda i: (i - 1,), [ids])[0]
        return {"y": tf.gather(weights, tf.maximum(ids, 0))}

    spec = tf.TensorSpec([None], tf.int64, "x")
    keep = {"table": table, "weights": weights, "ids": ids_of}
    save_function(tmp_path / "m", call, spec, keep=keep)
    package = tf2spark.SavedModel(tmp_path / "m").compile(tmp_path / "p")
    assert manifest_of(package).why_as_it_was is None
    assert [weight.shape for weight in manifest_of(package).weights] == [(2000,)]
    rows = pa.table({"x": [0, 1, 1999]})
    assert package.score(rows, keep=[])["y"].to_pylist() == [1999.0, 1998.0, 0.0]


def test_many_variables_are_filled_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run after a change of the graph prepares all of it again: 200 of them take minutes."""
    network = keras.Sequential([keras.Input((4,)), *[keras.layers.Dense(4) for _ in range(20)]])
    spec = tf.TensorSpec([None, 4], tf.float32, "x")
    save_function(tmp_path / "m", lambda x: {"y": network(x)}, spec, keep={"network": network})
    runs: list[int] = []
    assign = original._assign

    def counted(model: Any, values: Any) -> None:
        session = model.session
        run = session.run
        monkeypatch.setattr(session, "run", lambda *a: runs.append(len(values)) or run(*a))  # type: ignore[func-returns-value]
        assign(model, values)
        monkeypatch.setattr(session, "run", run)

    monkeypatch.setattr(original, "_assign", counted)
    package = tf2spark.SavedModel(tmp_path / "m").compile(tmp_path / "p")
    assert runs == [40]
    rows = np.ones((2, 4), np.float32)
    scores = package.score(pa.table({"x": rows.tolist()}), keep=[])["y"].to_pylist()
    np.testing.assert_allclose(scores, network(rows), rtol=1e-4)
