"""Models that need tests of their own: unsafe, stateful, or with outputs that fit no column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Case
from cases.models.saving import save_function
from cases.models.tables import arrow, by_name, chosen, floats_table, table
from tf2spark.binding.feeds import binary

Spec = tf.TensorSpec
_SOURCES = sorted(Path(__file__).parent.glob("*.py"))


def make_read_file(path: Path) -> None:
    call = lambda file: {"content": tf.map_fn(tf.io.read_file, file)}  # noqa: E731
    save_function(path, call, Spec([None], tf.string, "file"))


def files_table(rows: int) -> pa.Table:
    """Return the names of files that exist: the sources of the zoo."""
    return table(file=arrow(chosen([str(source) for source in _SOURCES], rows), pa.string()))


def make_write_file(path: Path) -> None:
    """Write a file in a branch of a function that another function calls."""

    @tf.function
    def write(name: Any) -> None:
        tf.io.write_file(name, "written by a model")

    def call(file: Any) -> Any:
        if tf.size(file) > 0:
            write(file[0])
        return {"length": tf.strings.length(file)}

    save_function(path, call, Spec([None], tf.string, "file"))


def make_python(path: Path) -> None:
    def call(x: Any) -> Any:
        y = tf.numpy_function(np.sin, [x], tf.float32)
        return {"y": tf.ensure_shape(y, [None])}

    save_function(path, call, Spec([None], tf.float32, "x"))


def make_counter(path: Path) -> None:
    """Count the runs: the result depends on what was run before."""
    runs = tf.Variable(0.0)

    def call(x: Any) -> Any:
        return {"y": x + runs.assign_add(1.0)}

    save_function(path, call, Spec([None], tf.float32, "x"), keep={"runs": runs})


def make_summary(path: Path) -> None:
    """Return one value per row, one per batch, and two per row."""

    def call(x: Any) -> Any:
        rows = tf.reduce_sum(x, 1)
        return {"row": rows, "mean": tf.reduce_mean(x), "doubled": tf.concat([rows, rows], 0)}

    save_function(path, call, Spec([None, 2], tf.float32, "x"))


def make_bytes(path: Path) -> None:
    call = lambda x: {"raw": tf.map_fn(_raw, x, fn_output_signature=tf.string)}  # noqa: E731
    save_function(path, call, Spec([None], tf.float32, "x"))


def _raw(x: Any) -> Any:
    """Return bytes that are not UTF-8 text: 0xff, and the number as text."""
    return tf.strings.join([tf.constant(b"\xff\x00"), tf.strings.as_string(x)])


def make_complex(path: Path) -> None:
    call = lambda x: {"y": tf.complex(x, x), "real": x * 2}  # noqa: E731
    save_function(path, call, Spec([None], tf.float32, "x"))


_X = by_name(x=np.float32)
_FILE = by_name(file=object)
UNSAFE = [
    Case("reads_files", make_read_file, files_table, _FILE, unsafe=("ReadFile",)),
    Case(
        "writes_files",
        make_write_file,
        files_table,
        _FILE,
        unsafe=("WriteFile",),
        runs_directly=False,
    ),
    Case(
        "runs_python",
        make_python,
        floats_table("x"),
        _X,
        unsafe=("PyFunc",),
        runs_directly=False,
    ),
]
BINARY = Case("binary", make_bytes, floats_table("x"), _X, fetch={"raw": binary("raw")})
COUNTER = Case("counter", make_counter, floats_table("x"), _X)
SUMMARY = Case("summary", make_summary, floats_table("x", 2), _X)
COMPLEX = Case("complex", make_complex, floats_table("x"), _X)
SPECIAL = [
    BINARY,
    COUNTER,
    SUMMARY,
    Case("summary_row", make_summary, floats_table("x", 2), _X, fetch={"row": "row"}),
    COMPLEX,
]
