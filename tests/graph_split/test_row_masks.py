"""`row_masks`: masks that are the same for every row give the same scores; others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import item, scored, user
from tf2spark.dtypes import FLOAT32, INT32
from tf2spark.graph_split.forms import Const, NotRowWise, Side, StackedRows, Value
from tf2spark.graph_split.row_masks import mask_positions
from tf2spark.saved_model.protos import SavedModel

pytestmark = pytest.mark.slow
SIZE = 4


def triangle(x: Any, lower: int = 0, upper: int = -1) -> Any:
    """Return ones and zeros of the shape of x [batch, 4, 4]."""
    return tf.linalg.band_part(tf.ones_like(x), lower, upper)


def weighted(kept: Any, count: int) -> Any:
    rows = tf.reshape(kept, [-1, count])
    return tf.linalg.matvec(rows, np.linspace(0.5, 2, count, dtype=np.float32))


# How masks are written that keep a number of the 16 values.
MASKS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "below the diagonal": (lambda x: tf.ones_like(x) - triangle(x), 6),
    "with the diagonal": (lambda x: triangle(x, -1, 0), 10),
    "a band": (lambda x: triangle(x, 1, 1), 10),
    "as bools": (lambda x: tf.cast(triangle(x), tf.bool), 10),
    "inverted": (lambda x: tf.logical_not(tf.cast(triangle(x), tf.bool)), 6),
    "compared": (lambda x: triangle(x) * 2 + tf.zeros_like(x) > 1.5, 10),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_of_every_row_keeps_the_same_columns(name: str) -> None:
    """``boolean_mask`` over all rows is split as a lookup of columns."""
    mask, count = MASKS[name]

    def build(u: Any, i: Any) -> Any:
        x = tf.matmul(u, i, transpose_b=True)
        return weighted(tf.boolean_mask(x, mask(x)), count)

    result = scored(build, user(SIZE, 2), item(SIZE, 2)).check()
    assert len(np.unique(result.whole_scores)) > 1


def test_a_mask_may_also_choose_value_by_value() -> None:
    """Without a lookup, a mask is rows like any others: DLRM's `skip_gather`."""

    def build(u: Any, i: Any) -> Any:
        x = tf.matmul(u, i, transpose_b=True)
        chosen = tf.where(tf.cast(triangle(x), tf.bool), x, tf.zeros_like(x))
        return weighted(chosen, SIZE**2)

    scored(build, user(SIZE, 2), item(SIZE, 2)).check()


REFUSED: dict[str, Callable[[Any], Any]] = {
    "a mask of the values themselves": lambda x: tf.boolean_mask(x, x > 0),
    "a mask with a constant for rows": lambda x: tf.boolean_mask(
        x, triangle(x) > np.zeros((20, 1, 1), np.float32)
    ),
    "rows of a mask": lambda x: tf.boolean_mask(x, tf.ones_like(x)[:, 0, 0]),
    "other rows": lambda x: tf.boolean_mask(
        tf.reverse(x, [0]), tf.linalg.band_part(tf.ones_like(x), 0, -1)
    ),
    "the positions": lambda x: (
        tf.cast(tf.where(tf.reshape(triangle(x), [-1])), tf.float32) * x[0, 0]
    ),
    "a triangle over the rows": lambda x: tf.boolean_mask(
        x[:, 0], tf.linalg.band_part(tf.ones_like(x[:, 0]), 0, -1)
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_masks_are_refused(name: str) -> None:
    """What a mask keeps depends on the rows then, or on where they are in the batch."""

    def build(u: Any, i: Any) -> Any:
        x = tf.matmul(u, i, transpose_b=True)
        return tf.reduce_sum(tf.reshape(REFUSED[name](x), [tf.shape(x)[0], -1]), 1)

    with pytest.raises(NotRowWise):
        scored(build, user(SIZE, 2), item(SIZE, 2))


X = Side("user", "x:0", FLOAT32, (4, 4))


@pytest.mark.parametrize(
    ("x", "y", "is_mask"),
    [
        (X, X, True),
        (X, Side("item", "y:0", FLOAT32, (4,)), False),
        (Const("x:0", FLOAT32, (4, 4), lambda: np.zeros((4, 4))), X, False),
        (StackedRows(X, 4, FLOAT32, (4,)), StackedRows(X, 4, FLOAT32, (4,)), False),
    ],
)
def test_only_rows_of_one_rank_make_a_mask_of_each_row(x: Value, y: Value, is_mask: bool) -> None:
    """A constant, stacked rows and rows of another rank have their values elsewhere."""
    graph = SavedModel().meta_graphs.add().graph_def
    for name, op, inputs in (
        ("left", "OnesLike", ["x"]),
        ("right", "OnesLike", ["y"]),
        ("mask", "AddV2", ["left", "right"]),
        ("flat", "Reshape", ["mask", "shape"]),
        ("where", "Where", ["flat"]),
    ):
        graph.node.add(name=name, op=op, input=inputs).attr["T"].type = FLOAT32.code
    nodes = {node.name: node for node in graph.node}
    flat = Const("shape:0", INT32, (1,), lambda: np.array([-1]))
    forms: dict[str, Value] = {"x:0": x, "y:0": y, "shape:0": flat}
    positions = mask_positions(nodes["where"], nodes, forms.__getitem__)
    assert (positions is not None) is is_mask
