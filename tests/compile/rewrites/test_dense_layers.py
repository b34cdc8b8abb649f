"""`flatten_dense_layers`: products that become those of matrices, and those left, with reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tf2spark
from cases.comparing import same_but_for_rounding
from tf2spark.compile.rewrites.dense_layers import flatten_dense_layers

tf1 = tf.compat.v1
_RANDOM = np.random.default_rng(1)
_WEIGHTS = _RANDOM.normal(size=(8, 12)).astype(np.float32)
_BACK = _RANDOM.normal(size=(12, 8)).astype(np.float32)
_BIAS = _RANDOM.normal(size=12).astype(np.float32)
_ROWS = _RANDOM.normal(size=(3, 5, 8)).astype(np.float32)
_TOLERANCE = 1e-5  # as in `verify`
Build = Callable[[Any], Any]


def product(x: Any) -> Any:
    return tf.matmul(x, _WEIGHTS)


def tensordot(x: Any) -> Any:
    """Return a product as Keras's Dense writes it: a matrix, then a reshape to a computed shape."""
    shape = tf.concat([tf.shape(x)[:-1], [12]], 0)
    return tf.reshape(tf.matmul(tf.reshape(x, [-1, 8]), _WEIGHTS), shape)


def gelu(x: Any) -> Any:
    return tf.nn.gelu(x, approximate=True)


def graph_of(build: Build, shape: Any = (None, None, 8)) -> Any:
    with tf.Graph().as_default() as graph:
        tf.identity(build(tf1.placeholder(tf.float32, shape, "x")), "y")
    return graph.as_graph_def()


def run(graph_def: Any, rows: Any = _ROWS) -> Any:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf1.Session(graph=graph) as session:
            return session.run("y:0", {"x:0": rows})


def ops_after_the_product(graph_def: Any) -> list[str]:
    """Return the ops that follow the first product, up to the first reshape."""
    nodes = {node.name: node for node in tf1.graph_util.extract_sub_graph(graph_def, ["y"]).node}
    readers: dict[str, list[Any]] = {name: [] for name in nodes}
    for node in nodes.values():
        for name in node.input:
            readers[name.partition(":")[0]].append(node)
    (found,) = [name for name, node in nodes.items() if node.op == "MatMul"]
    ops, todo = list[str](), [found]
    while todo:
        for reader in readers[todo.pop()]:
            if reader.op not in ("Reshape", "Identity"):
                ops.append(reader.op)
                todo.append(reader.name)
    return ops


_REWRITTEN: dict[str, tuple[Build, set[str]]] = {
    "product": (product, set()),
    "bias": (lambda x: tf.nn.bias_add(product(x), _BIAS), {"BiasAdd"}),
    "sum with a vector": (lambda x: _BIAS + product(x), {"BiasAdd"}),
    "activation": (lambda x: tf.nn.relu(tf.nn.bias_add(product(x), _BIAS)), {"BiasAdd", "Relu"}),
    "heads": (
        lambda x: tf.reshape(product(x), [-1, 5, 3, 4]) + _BIAS.reshape(3, 4),
        {"BiasAdd"},
    ),
    "tensordot": (lambda x: tf.nn.relu(tensordot(x) + _BIAS), {"BiasAdd", "Relu"}),
    "GELU": (
        lambda x: gelu(tf.nn.bias_add(tensordot(x), _BIAS)),
        {"BiasAdd", "Mul", "AddV2", "Tanh", "Square"},
    ),
    "one number": (lambda x: 2.0 - product(x) / 3.0, {"RealDiv", "Sub"}),
    "of itself": (lambda x: product(x) * tf.sigmoid(product(x)), set()),
    "scaled by itself": (lambda x: (lambda y: y * tf.sigmoid(y))(product(x)), {"Mul", "Sigmoid"}),
}


@pytest.mark.parametrize(("build", "ops"), _REWRITTEN.values(), ids=_REWRITTEN)
def test_what_follows_works_on_the_matrix(build: Build, ops: set[str]) -> None:
    """TensorFlow computes the same but for rounding, and the ops follow the product directly."""
    graph_def = graph_of(build)
    before = run(graph_def)
    rewriting = flatten_dense_layers(graph_def)
    assert rewriting.rewritten
    assert not rewriting.refused
    after = run(graph_def)
    assert after.shape == before.shape
    assert np.abs(after - before).max() <= _TOLERANCE * np.maximum(1, np.abs(before)).max()
    if ops:
        assert set(ops_after_the_product(graph_def)) == ops


@pytest.mark.parametrize("shape", [(4, 8), (3, 5, 8), (2, 3, 4, 8), (0, 5, 8), (3, 0, 8)])
def test_any_number_of_dimensions(shape: tuple[int, ...]) -> None:
    """The dimensions before the last are rows, whatever their number, unknown ones included."""
    graph_def = graph_of(lambda x: tf.nn.relu(tf.linalg.matmul(x, _WEIGHTS)), None)
    node = next(node for node in graph_def.node if node.op.endswith("MatMulV2"))
    assert node.op == "BatchMatMulV2"
    rows = _RANDOM.normal(size=shape).astype(np.float32)
    before = run(graph_def, rows)
    flatten_dense_layers(graph_def)
    np.testing.assert_allclose(run(graph_def, rows), before, rtol=_TOLERANCE, atol=_TOLERANCE)


@pytest.mark.parametrize(
    "build",
    [
        product,
        lambda x: tf.nn.bias_add(product(x), _BIAS),
        lambda x: tf.reshape(product(x), [-1, 5, 3, 4]) + _BIAS.reshape(3, 4),
        lambda x: tf.matmul(product(x), _BACK),
    ],
)
@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 2, 16), (8, 1, 2)])
def test_a_wrong_size_still_fails(build: Build, shape: tuple[int, ...]) -> None:
    """Values that would fit another shape are refused, as they were."""
    graph_def = graph_of(build, (None, None, None))
    rows = np.ones(shape, np.float32)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(graph_def, rows)
    flatten_dense_layers(graph_def)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(graph_def, rows)


_LEFT: dict[str, Build] = {
    "bias of another dimension": lambda x: (
        tf.reshape(product(x), [-1, 12, 5]) + _BIAS.reshape(12, 1)
    ),
    "bias that is repeated": lambda x: tf.reshape(product(x), [-1, 5, 3, 4]) + _BIAS[:4],
    "reshaped otherwise": lambda x: tf.nn.bias_add(tf.reshape(product(x), [-1, 4]), _BIAS[:4]),
    "computed bias": lambda x: product(x) + tf.reduce_sum(x),
    "sum over rows": lambda x: tf.reduce_sum(product(x), 1),
    "shapes of two reshapes": lambda x: (
        lambda y: tf.reshape(y, [-1, 6]) * tf.reshape(y, [-1, 6, 1])[:, :, 0]
    )(product(x)),
}


@pytest.mark.parametrize("build", _LEFT.values(), ids=_LEFT)
def test_ops_over_other_dimensions_stay_behind_the_reshape(build: Build) -> None:
    """Only the product itself is rewritten where what follows sees its shape."""
    graph_def = graph_of(build)
    before = run(graph_def)
    assert len(flatten_dense_layers(graph_def).rewritten) == 1
    np.testing.assert_allclose(run(graph_def), before, rtol=_TOLERANCE, atol=10 * _TOLERANCE)


_REFUSED: dict[str, tuple[Build, str]] = {
    "float64": (lambda x: tf.matmul(tf.cast(x, tf.float64), _WEIGHTS.astype(float)), "float32"),
    "transposed": (lambda x: tf.matmul(x, _BACK, transpose_b=True), "transposed"),
    "adjoint": (lambda x: tf.matmul(x, x, adjoint_b=True), "transposed"),
    "of two inputs": (lambda x: tf.matmul(x, tf.reshape(x, [-1, 8, 5])), "not a constant"),
    "of many matrices": (lambda x: tf.matmul(x, np.stack([_WEIGHTS] * 3)), "not a matrix"),
}


@pytest.mark.parametrize(("build", "reason"), _REFUSED.values(), ids=_REFUSED)
def test_other_products_are_left_with_a_reason(build: Build, reason: str) -> None:
    """A product that isn't one of rows with a constant matrix stays bit by bit, and says why."""
    graph_def = graph_of(build)
    before = run(graph_def)
    rewriting = flatten_dense_layers(graph_def)
    (refusal,) = rewriting.refused
    assert reason in refusal.reason
    assert not rewriting.rewritten
    assert run(graph_def).tobytes() == before.tobytes()


def test_a_transformer_of_keras_is_compiled_to_matrices(tmp_path: Path) -> None:
    """Attention and dense layers become products of matrices, and the scores are the original's."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    steps = layers.Input((6, 8), name="steps")
    attended = layers.LayerNormalization()(steps + layers.MultiHeadAttention(2, 4)(steps, steps))
    hidden = keras.ops.gelu(layers.Dense(16)(attended), approximate=True)
    pooled = layers.GlobalAveragePooling1D()(layers.Dense(8)(hidden))
    network = keras.Model(steps, layers.Dense(1)(pooled))
    for weight in network.weights:  # biases too, because compiling leaves zeros out
        weight.assign(_RANDOM.normal(0, 0.3, weight.shape))
    network.export(str(tmp_path / "model"), verbose=False)
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p")
    (file,) = (tmp_path / "p" / "files").glob("*-saved_model.pb")
    graph = saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs[0].graph_def
    ops = [node.op for node in graph.node]
    assert "BatchMatMulV2" not in ops
    assert ops.count("MatMul") == ops.count("BiasAdd") == 7
    rows = pa.table({"steps": _RANDOM.normal(size=(5, 6, 8)).astype(np.float32).tolist()})
    scores = package.score(rows).to_pylist(), model.score(rows).to_pylist()
    assert same_but_for_rounding(*scores)
