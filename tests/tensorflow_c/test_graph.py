from __future__ import annotations

from typing import Any

import pytest

from tf2spark.dtypes import FLOAT32, INT64, STRING
from tf2spark.errors import ModelError
from tf2spark.tensorflow_c.graph import graph_tensor_info


@pytest.fixture(scope="module")
def graph_def() -> Any:
    """A graph of placeholders and ops on them."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], "x")
        tf.compat.v1.placeholder(tf.string, None, "any")
        tf.matmul(x, tf.ones([4, 2]), name="scope/y")
        tf.unique(tf.compat.v1.placeholder(tf.int64, [3], "ids"), name="unique")
        tf.compat.v1.Variable([1.0, 2.0], name="v", use_resource=False)
    return graph.as_graph_def()


def test_dtype_and_shape_by_tensor_name(graph_def: Any) -> None:
    """Shapes are those that TensorFlow infers, for "node" as for "node:0"."""
    names = ["x:0", "scope/y", "scope/y:0", "any:0", "ids:0", "unique:0"]
    assert graph_tensor_info(graph_def.SerializeToString(), names) == {
        "x:0": (FLOAT32, (None, 4)),
        "scope/y": (FLOAT32, (None, 2)),
        "scope/y:0": (FLOAT32, (None, 2)),
        "any:0": (STRING, None),
        "ids:0": (INT64, (3,)),
        "unique:0": (INT64, (None,)),
    }


def test_reference_has_the_dtype_of_its_values(graph_def: Any) -> None:
    """A TF1 variable, a float32 reference, is a float32."""
    assert graph_tensor_info(graph_def.SerializeToString(), ["v:0"]) == {"v:0": (FLOAT32, (2,))}


@pytest.mark.parametrize("name", ["z", "x:1", "x:-1", "x:0:0", "x:", ":0", "", "^x", "żółć"])
def test_unknown_names_are_none(graph_def: Any, name: str) -> None:
    """A name that the graph doesn't have is None, however it is written."""
    info = graph_tensor_info(graph_def.SerializeToString(), [name])
    assert info == {name: None}


def test_rubbish_is_a_model_error() -> None:
    """Bytes that aren't a GraphDef raise a ModelError, and don't crash."""
    with pytest.raises(ModelError, match="TensorFlow can't read the graph: Invalid GraphDef"):
        graph_tensor_info(b"\x0a\xff rubbish", ["x"])


def test_unknown_op_is_named(graph_def: Any) -> None:
    """A graph with an op that TensorFlow doesn't know is refused by the op's name."""
    graph_def.node.add(name="custom", op="MyCustomOp")
    with pytest.raises(ModelError, match=r"Op type not registered 'MyCustomOp'$"):
        graph_tensor_info(graph_def.SerializeToString(), ["x"])
    del graph_def.node[-1]
