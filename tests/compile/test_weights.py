"""Which tensors leave the graph for files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from tf2spark.compile.weights import WeightFiles, move_large_constants
from tf2spark.saved_model.protos import GraphMessage

tf1 = tf.compat.v1
_TABLE = np.arange(600, dtype=np.float32).reshape(100, 6)


def graph_of(reader: str) -> GraphMessage:
    """A table of 2,400 bytes that is read in some way."""
    with tf.Graph().as_default() as graph:
        table = tf.constant(_TABLE, name="table")
        ids = tf1.placeholder(tf.int32, [None], name="ids")
        tf.gather(table, ids)
        if reader == "gathered and multiplied":
            tf.matmul(table, table, transpose_b=True)
        elif reader == "gathered along columns":
            tf.gather(table, ids, axis=1)
        elif reader == "the ids of a gather":
            tf.gather(ids, tf.constant(np.arange(600, dtype=np.int32), name="numbers"))
        elif reader == "waited for":
            with tf.control_dependencies([table]):
                tf.constant(1)
        definition: GraphMessage = graph.as_graph_def()
    return definition


@pytest.mark.parametrize(
    ("reader", "moved"),
    [
        ("gathered", ["table:0"]),
        ("gathered along columns", ["table:0"]),
        ("the ids of a gather", ["table:0"]),
        ("gathered and multiplied", []),
        ("waited for", []),
    ],
)
def test_tables_become_files_before_other_tensors(
    reader: str, moved: list[str], tmp_path: Path
) -> None:
    """Tables from which rows are gathered, and which nothing else reads."""
    graph, files = graph_of(reader), WeightFiles(tmp_path, 1 << 20, table_bytes=2_000)
    move_large_constants(graph, files)
    assert [weight.tensor for weight in files.written] == moved
    for weight in files.written:
        values = np.fromfile(tmp_path / weight.path, np.float32).reshape(weight.shape)
        assert values.tolist() == _TABLE.tolist()


@pytest.mark.parametrize(
    "files",
    [
        WeightFiles(Path("unused"), 1 << 20, table_bytes=4_000),
        WeightFiles(Path("unused"), 1 << 20),
        WeightFiles(Path("unused"), 1 << 20, table_bytes=2_000, read_by_init={"table"}),
    ],
    ids=["small", "by default", "read while the model is loaded"],
)
def test_other_tables_stay_in_the_graph(files: WeightFiles) -> None:
    """Small ones, and what must have its value before anything is fed."""
    graph = graph_of("gathered")
    before = graph_pb2.GraphDef()
    before.CopyFrom(graph)
    move_large_constants(graph, files)
    assert graph == before
    assert not files.written
