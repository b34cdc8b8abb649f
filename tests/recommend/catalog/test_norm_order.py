"""When items are ordered by their norms, and that nothing but speed depends on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import save_function
from tf2spark.conversion.rows import Array
from tf2spark.recommend.catalog import norm_order

WIDTH, ITEMS, USERS = 8, 1200, 150


@pytest.fixture(scope="module")
def dot(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    return saved(tmp_path_factory.mktemp("dot"), lambda u, v: tf.reduce_sum(u * v, 1))


def saved(path: Path, score: Callable[[Any, Any], Any]) -> tf2spark.SavedModel:
    specs = [tf.TensorSpec([None, WIDTH], name=name) for name in ("u", "v")]
    save_function(path / "m", lambda u, v: {"score": score(u, v)}, *specs)
    return tf2spark.SavedModel(path / "m")


def factors(seed: int, rows: int, *, skewed: bool) -> Array:
    random = np.random.default_rng(seed)
    values = random.standard_normal((rows, WIDTH))
    if skewed:
        values = np.abs(values) * random.pareto(1.0, (rows, 1))
    return values.astype(np.float32)


def tables(*, skewed: bool) -> tuple[pa.Table, pa.Table]:
    """Return users and items; the ids are in another order than the rows."""
    vectors = pa.list_(pa.float32())
    ids = np.random.default_rng(3).permutation(ITEMS)
    return (
        pa.table({"user_id": range(USERS),
                  "u": pa.array(factors(1, USERS, skewed=skewed).tolist(), vectors)}),
        pa.table({"item_id": ids,
                  "v": pa.array(factors(2, ITEMS, skewed=skewed).tolist(), vectors)}),
    )  # fmt: skip


def plan_text(model: tf2spark.SavedModel, users: pa.Table, items: pa.Table, k: int = 10) -> str:
    return str(model.plan(users, items, k))


@pytest.mark.parametrize("count", [2, 30, USERS])
def test_recommendations_are_the_same_in_either_order(
    count: int, dot: tf2spark.SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids and the bits of scores, by TensorFlow, also with a user who can't be scored."""
    users, items = tables(skewed=True)
    users = users.slice(0, count)
    vectors = users["u"].to_pylist()
    vectors[0] = None
    users = users.set_column(1, "u", pa.array(vectors, pa.list_(pa.float32())))
    options: dict[str, Any] = {"mode": "permissive", "error_column": "why"}
    by_norm = dot.recommend(users, items, 10, **options)
    assert "% of the pairs are scored" in plan_text(dot, users, items)
    monkeypatch.setattr(norm_order, "_MOST_LEFT", -1)
    assert "% of the pairs are scored" not in plan_text(dot, users, items)
    assert by_norm.equals(dot.recommend(users, items, 10, **options))
    assert by_norm["recommendations"].null_count == 1


@pytest.mark.parametrize("score", [
    lambda u, v: tf.sigmoid(tf.reduce_sum(u * v, 1)),
    lambda u, v: tf.reduce_sum(u * v, 1) + v[:, 0],
    lambda u, v: tf.reduce_sum(tf.square(u - v), 1),
])  # fmt: skip
def test_only_inner_products_are_ordered(score: Callable[[Any, Any], Any], tmp_path: Path) -> None:
    """Norms bound no other score."""
    assert "of the pairs are scored" not in plan_text(saved(tmp_path, score), *tables(skewed=True))


def test_items_stay_in_order_where_that_is_faster(dot: tf2spark.SavedModel) -> None:
    """Where norms are alike, for a few items, or where k is a large part of them."""
    assert "of the pairs are scored" not in plan_text(dot, *tables(skewed=False))
    users, items = tables(skewed=True)
    assert "of the pairs are scored" not in plan_text(dot, users, items.slice(0, 900))
    assert "of the pairs are scored" not in plan_text(dot, users, items, k=300)
    assert "of the pairs are scored" not in plan_text(dot, users.slice(0, 0), items)


def test_users_that_cannot_be_sampled_decide_nothing(dot: tf2spark.SavedModel) -> None:
    """The items stay as they are, and the users get their reasons."""
    users, items = tables(skewed=True)
    nothing = pa.array([None] * USERS, pa.list_(pa.float32()))
    users = users.set_column(1, "u", nothing)
    result = dot.recommend(users, items, 5, mode="permissive", error_column="why")
    assert result["recommendations"].null_count == USERS
