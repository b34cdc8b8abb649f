"""Which scores are inner products."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import save_function
from tf2spark.graph_split import inner_product
from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.plan.recommend import CoarseScan
from tf2spark.recommend import prepare


@pytest.mark.parametrize(("score", "is_product"), [
    (lambda u, v: tf.reduce_sum(u * v, 1), True),
    (lambda u, v: tf.reduce_sum(tf.nn.l2_normalize(u, 1) * v, 1), True),
    (lambda u, v: tf.sigmoid(tf.reduce_sum(u * v, 1)), False),
    (lambda u, v: tf.reduce_sum(u * v, 1) + v[:, 0], False),
    (lambda u, v: tf.reduce_sum(tf.square(u - v), 1), False),
])  # fmt: skip
def test_only_inner_products_can_be_scanned(
    score: Callable[[Any, Any], Any],
    is_product: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anything after the product, or beside it, leaves no bound by norms."""
    scans: list[CoarseScan | None] = []

    def noted(split: SplitGraph) -> CoarseScan | None:
        scans.append(inner_product.add_coarse_scan(split))
        return scans[-1]

    monkeypatch.setattr(prepare, "add_coarse_scan", noted)
    specs = [tf.TensorSpec([None, 3], name=name) for name in ("u", "v")]
    save_function(tmp_path / "m", lambda u, v: {"score": score(u, v)}, *specs)
    vectors = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    users, items = (
        pa.table({"user_id": [1, 2], "u": vectors}),
        pa.table({"item_id": [1, 2], "v": vectors}),
    )
    tf2spark.SavedModel(tmp_path / "m").recommend(users, items, 1)
    assert [scan is not None for scan in scans] == [is_product]
