"""Tiny SavedModels for the tests of sessions, and sessions of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cases.session_contract import REFUSED
from cases.tensors import NUMERIC
from tf2spark.dtypes import STRING
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.session import CApiSession


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny SavedModels: every dtype, TF2 variables, failing ops, awkward exports."""
    folder = tmp_path_factory.mktemp("models")
    _every_dtype(str(folder / "dtypes"))
    _variables(folder)
    _rows(str(folder / "rows"))
    _contract(str(folder / "contract"))
    return folder


def _every_dtype(path: str) -> None:
    import tensorflow as tf

    tf1 = tf.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        for dtype in (*NUMERIC, STRING):
            x = tf1.placeholder(tf.as_dtype(dtype.code), None, f"in_{dtype.name}")
            tf.identity(x, f"same_{dtype.name}")
            tf.stack([x, x], name=f"twice_{dtype.name}")
        tf.split(tf1.placeholder(tf.int32, [6], "six"), 3, name="split")
        tf1.Variable([1.5, 2.5], name="reference", use_resource=False)
        tf1.get_variable("resource", initializer=1.0, use_resource=True)
        tf.complex(1.0, 2.0, name="complex")
        last = tf1.get_variable("last", [8], initializer=tf1.zeros_initializer(), use_resource=True)
        keep = tf1.placeholder(tf.float32, [8], "keep")
        with tf.control_dependencies([last.assign(keep)]):
            tf.constant(1.0, name="kept")
        tf.identity(last.read_value(), "read_last")
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve", "old"])
        builder.save()


def _variables(folder: Path) -> None:
    import keras
    import tensorflow as tf

    class Linear(tf.Module):
        def __init__(self) -> None:
            self.w = tf.Variable([[2.0], [3.0]])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": x @ self.w}

    linear = Linear()
    tf.saved_model.save(linear, str(folder / "linear"), signatures=linear.__call__)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="top")])
    tf.saved_model.save(model, str(folder / "keras_saved"))
    model.export(str(folder / "keras_exported"), verbose=False)


def _rows(path: str) -> None:
    import tensorflow as tf

    tf1 = tf.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        ids = tf1.placeholder(tf.int32, [None], "ids")
        text = tf1.placeholder(tf.string, [None], "text")
        tf.gather([1.0, 2.0], ids, name="gather")
        with tf.control_dependencies([tf.debugging.assert_positive(ids, message="positive!")]):
            tf.identity(ids, "asserted")
        tf.math.floordiv(10, ids, name="divided")
        tf.strings.to_number(text, name="number")
        tf.io.decode_compressed(text, "GZIP", name="unzipped")
        tf.io.decode_csv(text, [[0.0], [0.0]], name="csv")
        tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="strict", name="utf8")
        tf.io.parse_example(text, {"a": tf.io.FixedLenFeature([1], tf.float32)}, name="parsed")
        tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer([1], [2], tf.int32, tf.int32), -1
        ).lookup(ids, name="looked_up")
        # The table's initializer is left out of the export on purpose.
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()


@pytest.fixture(scope="package")
def dtypes_session(models: Path) -> Iterator[CApiSession]:
    session = open_session(str(models / "dtypes"), ["serve", "old"], threads=1)
    yield session
    session.close()


@pytest.fixture(scope="package")
def rows_session(models: Path) -> Iterator[CApiSession]:
    session = open_session(str(models / "rows"), ["serve"], threads=1)
    yield session
    session.close()


@pytest.fixture(scope="package")
def python_session(models: Path) -> Iterator[Any]:
    """TensorFlow's own Python session of the model with every dtype."""
    import tensorflow as tf

    with tf.Graph().as_default():
        session = tf.compat.v1.Session()
        tf.compat.v1.saved_model.load(session, ["serve", "old"], str(models / "dtypes"))
    yield session
    session.close()


def _contract(path: str) -> None:
    """Write the model of `cases.session_contract`."""
    import tensorflow as tf

    tf1 = tf.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None], "x")
        word = tf1.placeholder(tf.string, [None], "word")
        allowed = tf.debugging.assert_none_equal(x, REFUSED, message=f"{REFUSED} is refused")
        with tf.control_dependencies([allowed]):
            tf.add(x, x, name="double")
        tf.stack([x, x], axis=1, name="pair")
        tf.strings.join([word, "!"], name="loud")
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
