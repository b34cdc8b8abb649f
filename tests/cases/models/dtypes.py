"""One model per dtype: it returns the value, the value twice, and something computed from it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Array, Case, Feeds
from cases.models.saving import graph_session, save_graph
from cases.models.tables import arrow, chosen, floats, ints, table

tf1 = tf.compat.v1

# The Spark type for a dtype's values, and values that span the range of the dtype.
_COLUMNS: dict[str, tuple[pa.DataType, Callable[[int], Array]]] = {
    "bool": (pa.bool_(), lambda rows: ints(rows, high=2) > 0),
    "int8": (pa.int8(), lambda rows: ints(rows, low=-128, high=127)),
    "int16": (pa.int16(), lambda rows: ints(rows, low=-(2**15), high=2**15 - 1)),
    "int32": (pa.int32(), lambda rows: ints(rows, low=-(2**31), high=2**31 - 1)),
    "int64": (pa.int64(), lambda rows: ints(rows, low=-(2**63), high=2**63 - 1)),
    "uint8": (pa.int16(), lambda rows: ints(rows, high=255)),
    "uint16": (pa.int32(), lambda rows: ints(rows, high=2**16 - 1)),
    "uint32": (pa.int64(), lambda rows: ints(rows, high=2**32 - 1)),
    "uint64": (pa.int64(), lambda rows: ints(rows, high=2**63 - 1)),
    "float16": (pa.float32(), floats),
    "bfloat16": (pa.float32(), floats),
    "float32": (pa.float32(), floats),
    "float64": (pa.float64(), floats),
    "string": (
        pa.string(),
        lambda rows: chosen(["", "a", "née", "x" * 22, "y" * 23, "日本語", "z" * 300], rows),
    ),
}


def _computed(x: Any) -> Any:
    if x.dtype == tf.bool:
        return ~x
    if x.dtype == tf.string:
        return tf.strings.join([x, "!"])
    if x.dtype == tf.uint64:
        return x + tf.constant(2**63, tf.uint64)
    return x + tf.constant(1, x.dtype)


def _maker(name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with graph_session() as session:
            x = tf1.placeholder(getattr(tf, name), [None], "x")
            outputs = {"same": tf.identity(x), "twice": tf.stack([x, x], 1), "more": _computed(x)}
            save_graph(session, path, {"x": x}, outputs)

    make.__name__ = f"make_dtype_{name}"
    return make


def _case(name: str) -> Case:
    kind, values = _COLUMNS[name]

    def feeds(data: pa.Table) -> Feeds:
        return {"x": np.array(data["x"].to_pylist(), getattr(tf, name).as_numpy_dtype)}

    def rows_table(rows: int) -> pa.Table:
        return table(x=arrow(values(rows), kind))

    return Case(f"dtype_{name}", _maker(name), rows_table, feeds)


# An input, its dtype, the type of the column that feeds it, and values that fit both.
_CONVERSIONS: list[tuple[str, str, pa.DataType, Callable[[int], Array]]] = [
    ("double_to_float", "float32", pa.float64(), floats),
    ("double_to_half", "float16", pa.float64(), floats),
    ("float_to_double", "float64", pa.float32(), floats),
    ("float_to_bfloat16", "bfloat16", pa.float32(), functools.partial(floats, seed=5)),
    ("long_to_float", "float32", pa.int64(), lambda rows: ints(rows, low=-(2**40), high=2**40)),
    ("int_to_double", "float64", pa.int32(), lambda rows: ints(rows, low=-99, high=99)),
    ("byte_to_half", "float16", pa.int8(), lambda rows: ints(rows, low=-99, high=99)),
    ("int_to_long", "int64", pa.int32(), lambda rows: ints(rows, low=-(2**31), high=2**31 - 1)),
    ("long_to_int", "int32", pa.int64(), lambda rows: ints(rows, low=-(2**31), high=2**31 - 1)),
    ("long_to_byte", "int8", pa.int64(), lambda rows: ints(rows, low=-128, high=127)),
    ("long_to_uint8", "uint8", pa.int64(), lambda rows: ints(rows, high=256)),
    ("int_to_uint64", "uint64", pa.int32(), lambda rows: ints(rows, high=2**31 - 1)),
    (
        "binary_to_string",
        "string",
        pa.binary(),
        lambda rows: chosen([b"a", b"\xc3\xa9", b""], rows),
    ),
]


def make_conversions(path: Path) -> None:
    with graph_session() as session:
        inputs = {
            name: tf1.placeholder(getattr(tf, dtype), [None], name)
            for name, dtype, _, _ in _CONVERSIONS
        }
        outputs = {f"{name}_out": tf.identity(x) for name, x in inputs.items()}
        save_graph(session, path, inputs, outputs)


def conversions_table(rows: int) -> pa.Table:
    return table(**{name: arrow(values(rows), kind) for name, _, kind, values in _CONVERSIONS})


def conversions_feeds(data: pa.Table) -> Feeds:
    return {
        name: np.array(data[name].to_pylist(), getattr(tf, dtype).as_numpy_dtype)
        for name, dtype, _, _ in _CONVERSIONS
    }


def _lists_case() -> Case:
    """Return a case of conversions in lists, where a whole buffer is cast at once."""

    def make_list_conversions(path: Path) -> None:
        with graph_session() as session:
            inputs = {
                "float32": tf1.placeholder(tf.float32, [None, 2, 3], "f"),
                "int32": tf1.placeholder(tf.int32, [None, 2], "i"),
                "flags": tf1.placeholder(tf.bool, [None, 3], "b"),
            }
            outputs = {f"{name}_out": tf.identity(x) for name, x in inputs.items()}
            save_graph(session, path, inputs, outputs)

    def lists_table(rows: int) -> pa.Table:
        return table(
            float32=arrow(floats(rows, 2, 3), pa.float64()),
            int32=arrow(ints(rows, 2, low=-99, high=99), pa.int64()),
            flags=arrow(ints(rows, 3, high=2) > 0, pa.bool_()),
        )

    def lists_feeds(data: pa.Table) -> Feeds:
        kinds = {"float32": np.float32, "int32": np.int32, "flags": bool}
        return {name: np.array(data[name].to_pylist(), kind) for name, kind in kinds.items()}

    return Case("conversions_in_lists", make_list_conversions, lists_table, lists_feeds)


CASES = [
    *(_case(name) for name in _COLUMNS),
    Case("conversions", make_conversions, conversions_table, conversions_feeds),
    _lists_case(),
]
