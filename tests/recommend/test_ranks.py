"""Scores whose rank the graph or its signature leaves open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import forget_output_shapes, save_function
from tf2spark.errors import ContractError


def saved(path: Path, call: Any, *specs: Any) -> tf2spark.SavedModel:
    save_function(path, call, *specs)
    return tf2spark.SavedModel(path)


def tables(u: list[Any], i: list[Any]) -> tuple[pa.Table, pa.Table]:
    users = pa.table({"user_id": range(len(u)), "u": u})
    return users, pa.table({"item_id": range(len(i)), "i": i})


def best(model: tf2spark.SavedModel, users: pa.Table, items: pa.Table, **options: Any) -> Any:
    scored = model.recommend(users, items, k=2, **options)
    return [
        [(item["item_id"], item["score"]) for item in items]
        for items in scored["recommendations"].to_pylist()
    ]


def test_ranks_follow_from_the_columns(tmp_path: Path) -> None:
    """Numbers and lists feed inputs of unknown rank, and the graph is split as with a known one."""
    specs = [tf.TensorSpec(None, tf.float32, name) for name in ("u", "i")]
    difference = saved(tmp_path / "difference", lambda u, i: {"y": u * 0.5 - i}, *specs)
    users, items = tables([1.0, 2.0], [1.0, 0.5, 3.0])
    assert best(difference, users, items) == [[(1, 0.0), (0, -0.5)], [(1, 0.5), (0, 0.0)]]
    product = saved(tmp_path / "product", lambda u, i: {"y": tf.reduce_sum(u * i, -1)}, *specs)
    users, items = tables([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.5], [0.0, 0.5], [3.0, 1.0]])
    assert best(product, users, items) == [[(2, 5.0), (0, 2.0)], [(2, 13.0), (0, 5.0)]]
    assert "split" in str(product.plan(users, items))


def test_a_rank_that_only_the_signature_leaves_open(tmp_path: Path) -> None:
    """The graph has it, as in models that other tools export."""
    specs = [tf.TensorSpec([None], tf.float32, name) for name in ("u", "i")]
    save_function(tmp_path / "model", lambda u, i: {"y": u - i}, *specs)
    forget_output_shapes(tmp_path / "model")
    users, items = tables([1.0], [1.0, 0.5])
    assert best(tf2spark.SavedModel(tmp_path / "model"), users, items) == [[(1, 0.5), (0, 0.0)]]


def test_rows_of_several_values_are_refused_by_the_inferred_shape(tmp_path: Path) -> None:
    """One of them has to be named, as where the signature has the shape."""
    specs = [tf.TensorSpec(None, tf.float32, name) for name in ("u", "i")]
    model = saved(tmp_path / "m", lambda u, i: {"y": tf.stack([u, i - u], -1)}, *specs)
    users, items = tables([1.0], [1.0, 0.5])
    with pytest.raises(ContractError) as refused:
        model.recommend(users, items)
    assert str(refused.value) == (
        'output "y" has 2 values per row; say which one ranks: score="y[0]"'
    )
    assert best(model, users, items, score="y[1]") == [[(0, 0.0), (1, -0.5)]]
    mean = saved(tmp_path / "mean", lambda u, i: {"y": tf.reduce_mean(u - i, 0)}, *specs)
    with pytest.raises(ContractError, match=r'^output "y" is one value per batch, and items are'):
        mean.recommend(users, items)


def test_a_rank_that_follows_from_nothing(tmp_path: Path) -> None:
    """The message says how to export the model; an entry of its rows says that they are lists."""

    def call(u: Any, i: Any) -> dict[str, Any]:
        shape = tf.boolean_mask([-1, 1], tf.stack([True, tf.reduce_all(u < 9.0)]))
        return {"y": tf.reshape(u - i, shape)}

    specs = [tf.TensorSpec([None], tf.float32, name) for name in ("u", "i")]
    model = saved(tmp_path / "m", call, *specs)
    users, items = tables([1.0], [1.0, 0.5])
    with pytest.raises(ContractError) as refused:
        model.recommend(users, items)
    assert str(refused.value) == (
        'output "y" (float32 unknown_rank): the graph doesn\'t say its rank, and items are ranked '
        "by one number for each user and item; export tf.ensure_shape(y, [None]) instead, or name "
        'an entry of its rows with score="y[0]"'
    )
    assert best(model, users, items, score="y[0]") == [[(1, 0.5), (0, 0.0)]]
