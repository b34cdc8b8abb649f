from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from cases.models.saving import save_function
from tf2spark.saved_model import reader
from tf2spark.saved_model.graph.graph_rows import (
    largest_row_bytes,
    ops_over_the_first_axis,
    row_mixing_ops,
)
from tf2spark.saved_model.graph.reachable_nodes import WalkedNode, user_run, walk
from tf2spark.saved_model.protos import SavedModel

WEIGHTS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def walk_of(folder: Path) -> tuple[Any, list[WalkedNode]]:
    """Return the graph of a model's only signature, and the nodes that its outputs run."""
    loaded = reader.read(folder)
    (signature,) = loaded.contract.signatures
    fetches = [tensor for spec in signature.outputs for tensor in spec.tensors]
    walked = walk(loaded.meta_graph, [user_run(loaded.meta_graph, fetches, ())])
    return loaded.meta_graph.graph_def, list(walked)


def ops_of(folder: Path, model: Callable[[Any], Any]) -> tuple[str, ...]:
    """Return the kinds of the ops that are found in a model of x, float [None, 3]."""
    save_function(folder, lambda x: {"y": model(x)}, tf.TensorSpec([None, 3], tf.float32, "x"))
    ops = row_mixing_ops(*walk_of(folder))
    return tuple(op.partition(" ")[0] for op in ops)


@pytest.mark.parametrize(
    "model",
    [
        lambda x: tf.nn.softmax(x),
        lambda x: tf.reduce_sum(x, 1),
        lambda x: tf.reduce_mean(x, -1),
        lambda x: tf.reduce_max(x, [1]),
        lambda x: tf.nn.relu(x @ tf.constant(WEIGHTS)),
        lambda x: tf.cumsum(x, 1),
        lambda x: tf.transpose(tf.stack([x, x], 1), [0, 2, 1]),
        lambda x: tf.nn.top_k(x, 2).values,
    ],
)
def test_ops_within_a_row_are_passed_over(tmp_path: Path, model: Callable[[Any], Any]) -> None:
    """A reduction of the inner axes, or a product with weights, mixes no rows."""
    assert ops_of(tmp_path, model) == ()


@pytest.mark.parametrize(
    ("model", "op"),
    [
        (lambda x: tf.nn.softmax(x[:, 0]), "Softmax"),
        (lambda x: x - tf.reduce_mean(x, 0), "Mean"),
        (lambda x: x / tf.reduce_sum(x), "Sum"),
        (lambda x: tf.cumsum(x), "Cumsum"),
        (lambda x: tf.linalg.matmul(x, x, transpose_b=True), "MatMul"),
        (lambda x: tf.reverse(x, [0]), "ReverseV2"),
        (lambda x: x * tf.nn.l2_loss(x), "L2Loss"),
        (lambda x: tf.roll(x, 1, 0), "Roll"),
        (lambda x: tf.cast(tf.argsort(x[:, 0]), tf.float32), "TopKV2"),
        (lambda x: x + tf.transpose(x)[:1, :1], "Transpose"),
    ],
)
def test_ops_across_rows_are_named(tmp_path: Path, model: Callable[[Any], Any], op: str) -> None:
    """An op along the first axis, of all values, or of two tensors of rows, may mix rows."""
    assert op in ops_of(tmp_path, model)


def test_shape_arithmetic_is_passed_over(tmp_path: Path) -> None:
    """Products of dimensions, of which tf.tensordot is full, are no values of rows."""

    def scale_by_width(x: Any) -> Any:
        return x * tf.cast(tf.reduce_prod(tf.shape(x)[1:]), tf.float32)

    assert ops_of(tmp_path, scale_by_width) == ()


def test_the_contract_names_ops_along_the_first_axis(tmp_path: Path) -> None:
    """Whoever reads the contract learns that rows may depend on each other."""
    spec = tf.TensorSpec([None], tf.float32, "x")
    save_function(tmp_path, lambda x: {"y": tf.nn.softmax(x)}, spec)
    loaded = reader.read(tmp_path)
    assert "rows may depend on each other" in dict(loaded.contract.careful_ops)["Softmax"]
    assert "rows may depend on each other" in str(loaded.contract)
    (signature,) = loaded.contract.signatures
    run = user_run(loaded.meta_graph, signature.outputs[0].tensors, ())
    walked = walk(loaded.meta_graph, [run])
    assert ops_over_the_first_axis(loaded.meta_graph.graph_def, walked) == {"Softmax"}


def test_a_custom_op_may_mix_rows() -> None:
    """Nothing is known of the code of an op library, so the model is run to find out."""
    meta_graph = SavedModel().meta_graphs.add()
    meta_graph.graph_def.node.add(name="x", op="Placeholder")
    meta_graph.graph_def.node.add(name="y", op="OurOp", input=["x"])
    walked = list(walk(meta_graph, [user_run(meta_graph, ["y"], ())]))
    assert row_mixing_ops(meta_graph.graph_def, walked) == ('OurOp "y"',)
    assert not ops_over_the_first_axis(meta_graph.graph_def, walked)


@pytest.mark.parametrize(
    ("model", "expected_bytes"),
    [
        (lambda x: x, 3 * 4),
        (lambda x: x @ tf.zeros([3, 500]) @ tf.zeros([500, 1]), 500 * 4),
        (lambda x: tf.reduce_sum(x[:, :, None] * tf.zeros([3]), [1, 2]), 9 * 4),
    ],
)
def test_the_largest_tensor_of_a_row_is_that_of_the_widest_layer(
    model: Callable[[Any], Any], expected_bytes: int, tmp_path: Path
) -> None:
    """Inputs and layers count, also within functions; constants and open dimensions don't."""
    save_function(tmp_path, lambda x: {"y": model(x)}, tf.TensorSpec([None, 3], tf.float32, "x"))
    _, walked = walk_of(tmp_path)
    assert largest_row_bytes(walked) == expected_bytes


def test_a_graph_without_shapes_has_no_known_row_bytes(tmp_path: Path) -> None:
    """Shapes next to nodes are optional in a GraphDef."""
    save_function(tmp_path, lambda x: {"y": x + 1.0}, tf.TensorSpec([None, 3], tf.float32, "x"))
    _, walked = walk_of(tmp_path)
    for node, _ in walked:
        node.attr.pop("_output_shapes", None)
    assert largest_row_bytes(walked) == 0
