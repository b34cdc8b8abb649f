"""Models that refuse some rows: because TensorFlow fails, or a row can't become a tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Array, Case
from cases.models.saving import save_function, weights
from cases.models.tables import arrow, by_name, floats, ints, table

Spec = tf.TensorSpec
BAD_ROWS = (0, 4, 5, 16)
"""The rows of every table here that can't be scored, as far as the table has them."""


def bad(rows: int) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(rows), BAD_ROWS)


def spoiled(values: Array, value: Any) -> Array:
    """Return the values with another value in the bad rows."""
    values = values.copy()
    values[bad(len(values))] = value
    return values


def make_gather(path: Path) -> None:
    rows = weights(10, 2, seed=1)
    call = lambda ids: {"row": tf.gather(rows, ids)}  # noqa: E731
    save_function(path, call, Spec([None], tf.int64, "ids"), keep={"rows": rows})


def gather_table(rows: int) -> pa.Table:
    return table(ids=arrow(spoiled(ints(rows), 10), pa.int64()))


def make_assertion(path: Path) -> None:
    def call(age: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_greater(age, 0.0, "age is negative")]):
            return {"decades": age / 10}

    save_function(path, call, Spec([None], tf.float32, "age"))


def ages_table(rows: int) -> pa.Table:
    return table(age=arrow(spoiled(np.abs(floats(rows)), -1.0), pa.float64()))


def make_parse(path: Path) -> None:
    """Parse numbers that are text."""
    call = lambda text: {"number": tf.strings.to_number(text)}  # noqa: E731
    save_function(path, call, Spec([None], tf.string, "text"))


def texts_table(rows: int) -> pa.Table:
    texts = np.array([str(value) for value in floats(rows)], object)
    return table(text=arrow(spoiled(texts, "n/a"), pa.string()))


def make_examples(path: Path) -> None:
    features = {"x": tf.io.FixedLenFeature([2], tf.float32)}
    call = lambda examples: {"x": tf.io.parse_example(examples, features)["x"]}  # noqa: E731
    save_function(path, call, Spec([None], tf.string, "examples"))


def examples_table(rows: int) -> pa.Table:
    written = np.empty(rows, object)
    for row, values in enumerate(floats(rows, 2).tolist()):
        example = tf.train.Example()
        example.features.feature["x"].float_list.value.extend(values)
        written[row] = example.SerializeToString(deterministic=True)
    return table(examples=pa.array(spoiled(written, b"no example"), pa.binary()))


def make_narrow(path: Path) -> None:
    spec = Spec([None, 2], tf.int32, "counts")
    save_function(path, lambda counts: {"y": counts * 2 + 1}, spec)


def counts_table(rows: int) -> pa.Table:
    return table(counts=arrow(spoiled(ints(rows, 2, low=-99, high=99), 2**31), pa.int64()))


def make_sum(path: Path) -> None:
    spec = Spec([None, 3], tf.float32, "x")
    save_function(path, lambda x: {"sum": tf.reduce_sum(x, 1)}, spec)


def lists_table(spoil: Callable[[list[float]], Any]) -> Callable[[int], pa.Table]:
    """Return the table function of a column of lists, which `spoil` changes in the bad rows."""

    def make_table(rows: int) -> pa.Table:
        lists = zip(floats(rows, 3).tolist(), bad(rows), strict=True)
        values = [spoil(row) if is_bad else row for row, is_bad in lists]
        return table(x=pa.array(values, pa.list_(pa.float64())))

    return make_table


def _refusing(name: str, make: Any, make_table: Any, reason: str = "", **dtypes: Any) -> Case:
    refused = lambda data: bad(data.num_rows)  # noqa: E731
    return Case(name, make, make_table, by_name(**dtypes), refused=refused, reason=reason)


_X: dict[str, Any] = {"x": np.float32}
CASES = [
    _refusing("refuses_id", make_gather, gather_table, "is not in [0, 10)", ids=np.int64),
    _refusing("refuses_age", make_assertion, ages_table, "age is negative", age=np.float32),
    _refusing("refuses_text", make_parse, texts_table, "StringToNumber", text=object),
    _refusing(
        "refuses_example", make_examples, examples_table, "Could not parse example", examples=object
    ),
    _refusing("too_large_integer", make_narrow, counts_table, counts=np.int32),
    _refusing("null_row", make_sum, lists_table(lambda _: None), **_X),
    _refusing("null_inside", make_sum, lists_table(lambda row: [row[0], None, row[2]]), **_X),
    _refusing("too_short", make_sum, lists_table(lambda row: row[:2]), **_X),
    _refusing("too_long", make_sum, lists_table(lambda row: [*row, 1.0]), **_X),
    _refusing("empty_list", make_sum, lists_table(lambda _: []), **_X),
]
