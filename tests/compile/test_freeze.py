"""`freeze`: what each op that reads a variable becomes, and what can't be frozen."""

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
from tf2spark.compile.freeze import _freeze_readers, _refuse_variables_in_functions
from tf2spark.compile.original import NotCompilable
from tf2spark.package.manifest import Manifest

_KIND = pa.list_(pa.int32())
_IDS = pa.table({"ids": pa.array([[0, 1], [2, 0], [1, 1]], _KIND)})


def compiled(path: Path, function: Callable[[Any], Any], **keep: Any) -> tf2spark.SavedModel:
    """Save a function of ``ids`` (int32 [None, 2]) and compile it."""
    spec = tf.TensorSpec([None, 2], tf.int32, "ids")
    save_function(path / "model", lambda ids: {"y": function(ids)}, spec, keep=keep)
    return tf2spark.SavedModel(path / "model").compile(path / "p")


def manifest_of(model: tf2spark.SavedModel) -> Manifest:
    assert model.contract.package is not None
    return model.contract.package


def check(path: Path, function: Callable[[Any], Any], **keep: Any) -> None:
    """Check that a function is compiled and gives the scores of the function itself."""
    package = compiled(path, function, **keep)
    assert manifest_of(package).why_as_it_was is None
    assert not any(file.path.startswith("variables/") for file in manifest_of(package).files)
    scores = package.score(_IDS, keep=[])["y"].to_pylist()
    expected = function(tf.constant(_IDS["ids"].to_pylist())).numpy()
    np.testing.assert_array_equal(np.array(scores, expected.dtype), expected)


def numbers(*shape: int) -> Any:
    return tf.Variable(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 0.5)


def test_a_gather_along_the_first_axis(tmp_path: Path) -> None:
    """Rows of a table are gathered by id."""
    table = numbers(3, 2)
    check(tmp_path, lambda ids: tf.gather(table, ids), table=table)


def test_a_gather_with_batch_dimensions(tmp_path: Path) -> None:
    """The axis after the batch dimensions is gathered: each row has values of its own."""
    table = numbers(3, 4)

    def gather(ids: Any) -> Any:
        three = tf.concat([ids, tf.zeros([3, 2], tf.int32)], 0)[:3]
        # tf.gather itself reads the variable first where there are batch dimensions.
        values = tf.raw_ops.ResourceGather(
            resource=table.handle, indices=three, dtype=tf.float32, batch_dims=1
        )
        return values[: tf.shape(ids)[0]]

    check(tmp_path, gather, table=table)


def test_a_gather_nd(tmp_path: Path) -> None:
    """Single values are gathered by row and column."""
    table = numbers(3, 2)
    check(tmp_path, lambda ids: tf.gather_nd(table, tf.minimum(ids, [2, 1])), table=table)


def test_the_shape_of_a_variable(tmp_path: Path) -> None:
    """A shape that is read at runtime is that of the constant."""
    table = tf.Variable(np.ones((3, 2), np.float32), shape=[None, 2])
    check(tmp_path, lambda ids: ids * tf.shape(table)[0] + tf.shape(table)[1], table=table)


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_the_dtype_of_a_shape(tmp_path: Path, dtype: Any) -> None:
    """A shape can be read as int32 or int64."""
    table = tf.Variable(np.ones((3, 2), np.float32), shape=[None, 2])

    def scale(ids: Any) -> Any:
        shape = tf.raw_ops.VariableShape(input=table.handle, out_type=dtype)
        return tf.cast(ids, dtype) * shape[0]

    check(tmp_path, scale, table=table)


def test_a_check_for_being_initialized(tmp_path: Path) -> None:
    """A constant is always initialized."""
    table = numbers(1)

    def choose(ids: Any) -> Any:
        filled = tf.raw_ops.VarIsInitializedOp(resource=table.handle)
        return tf.where(filled, ids, -ids)

    check(tmp_path, choose, table=table)


def test_variables_inside_branches_and_loops(tmp_path: Path) -> None:
    """A variable that is passed through a loop, a branch in it and a function there is frozen."""
    table, offset = numbers(3, 2), numbers(1)

    @tf.function
    def step(total: Any, i: Any) -> Any:
        return total + tf.gather(table, i)

    def total(ids: Any) -> Any:
        start = tf.zeros_like(ids, tf.float32)

        def body(i: Any, total: Any) -> Any:
            following = tf.cond(i > 0, lambda: step(total, i), lambda: total + offset)
            return i + 1, following

        return tf.while_loop(lambda i, _: i < tf.shape(table)[0], body, [0, start])[1]

    check(tmp_path, total, table=table, offset=offset)


@pytest.fixture
def graph() -> Any:
    """A graph of a float and an int variable, and a function that takes a variable."""
    graph = tf.compat.v1.GraphDef()
    for name, dtype in (("floats", tf.float32), ("integers", tf.int32)):
        node = graph.node.add(name=name, op="VarHandleOp")
        node.attr["dtype"].type = dtype.as_datatype_enum
    function = graph.library.function.add()
    function.signature.name = "read"
    function.signature.input_arg.add(name="variable", type=tf.resource.as_datatype_enum)
    function.node_def.add(name="value", op="ReadVariableOp", input=["variable"])
    function.node_def.add(name="after", op="Identity", input=["value:value:0"])
    function.ret["out"] = "value:value:0"
    return graph


def add_call(graph: Any, name: str, variable: str) -> Any:
    node = graph.node.add(name=name, op="PartitionedCall", input=[variable])
    node.attr["f"].func.name = "read"
    node.attr["Tin"].list.type.append(tf.resource.as_datatype_enum)
    return node


def freeze_readers(graph: Any) -> None:
    _freeze_readers(graph, [node for node in graph.node if node.op == "VarHandleOp"])


def test_a_function_is_changed_for_its_argument(graph: Any) -> None:
    """The argument has the type of the value, which is read by an Identity."""
    calls = [add_call(graph, name, "integers") for name in ("first", "second")]
    freeze_readers(graph)
    (function,) = graph.library.function
    assert function.signature.input_arg[0].type == tf.int32.as_datatype_enum
    value, after = function.node_def
    assert (value.op, value.attr["T"].type) == ("Identity", tf.int32.as_datatype_enum)
    assert list(after.input) == ["value:output:0"]
    assert function.ret["out"] == "value:output:0"
    for call in calls:
        assert list(call.attr["Tin"].list.type) == [tf.int32.as_datatype_enum]


def test_a_function_for_variables_of_two_types_is_refused(graph: Any) -> None:
    """A body can't be changed for two dtypes."""
    add_call(graph, "first", "floats")
    add_call(graph, "second", "integers")
    with pytest.raises(NotCompilable, match='"read" is called with variables of several types'):
        freeze_readers(graph)


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ("AssignVariableOp", "it assigns to a variable"),
        ("AssignAddVariableOp", "it assigns to a variable"),
        ("ResourceScatterUpdate", "it assigns to a variable"),
        ("ResourceApplyAdam", "no constant can replace the variable in ResourceApplyAdam"),
        ("NoSuchOp", "no constant can replace the variable in NoSuchOp"),
    ],
)
@pytest.mark.parametrize("in_function", [False, True])
def test_an_op_that_does_more_than_read_is_refused(
    graph: Any, op: str, message: str, in_function: bool
) -> None:
    """Ops that could change a variable are refused, also where a function has it as argument."""
    if in_function:
        add_call(graph, "call", "floats")
        graph.library.function[0].node_def.add(name="writer", op=op, input=["variable"])
    else:
        graph.node.add(name="copy", op="Identity", input=["floats"])
        graph.node.add(name="writer", op=op, input=["copy"])
    with pytest.raises(NotCompilable, match=message):
        freeze_readers(graph)


def test_a_variable_made_by_a_function_is_refused(graph: Any) -> None:
    """Its value can't be read from outside the function."""
    graph.library.function[0].node_def.add(name="inner", op="VarHandleOp")
    with pytest.raises(NotCompilable, match=r'the function "read" makes a variable \("inner"\)'):
        _refuse_variables_in_functions(graph)
