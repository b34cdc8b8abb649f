"""A run that reads a variable without a value is refused before it starts, and no other run is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import control_flow, graph_session, save_function, save_graph, save_module
from tf2spark.binding.graph.variables import unrestored_variables
from tf2spark.errors import ModelError
from tf2spark.saved_model import reader

tf1 = tf.compat.v1
SPEC = tf.TensorSpec([None, 2], tf.float32, "x")
ROWS = pd.DataFrame({"x": [[1.0, 2.0], [3.0, 4.0]]})


def unrestored(
    path: Path, signature: str = "serving_default", fed: tuple[str, ...] = ()
) -> tuple[str, ...]:
    loaded = reader.read(path)
    (found,) = (each for each in loaded.contract.signatures if each.name == signature)
    fetches = [tensor for spec in found.outputs for tensor in spec.tensors]
    feeds = [tensor for spec in found.inputs for tensor in spec.tensors]
    return unrestored_variables(loaded.meta_graph, fetches, [*feeds, *fed])


def network(*layers: keras.Layer) -> keras.Sequential:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((2,), name="x"), *layers])


def dense(name: str = "top") -> keras.Sequential:
    return network(keras.layers.Dense(1, name=name))


def test_a_saved_keras_3_model_is_refused_until_it_is_compiled(tmp_path: Path) -> None:
    """The message names three variables, counts the others, and `compile` helps indeed."""
    x = keras.Input((2,), name="x")
    hidden = keras.layers.Dense(3, "tanh", name="hidden")(x)
    saved = keras.Model(x, keras.layers.Dense(1, name="top")(hidden))
    tf.saved_model.save(saved, str(tmp_path / "m"))
    model = tf2spark.SavedModel(tmp_path / "m")
    (spec,) = model.contract.signatures[0].inputs
    rows = ROWS.rename(columns={"x": spec.name})
    with pytest.raises(ModelError) as error:
        model.score(rows)
    assert str(error.value).startswith(
        "variables 'hidden/bias', 'hidden/kernel', 'top/bias' and 1 more of "
        f"{tmp_path / 'm'} have no value: the model's own restore op doesn't fill them"
    )
    assert "tf2spark compile MODEL PACKAGE" in str(error.value)
    with pytest.raises(ModelError, match="'hidden/bias', 'hidden/kernel', 'top/bias' and 1 more"):
        model.score(rows)
    scored = model.compile(tmp_path / "package").score(rows, keep=[])
    expected = saved.predict(np.array(ROWS.x.tolist(), np.float32), verbose=0)[:, 0]
    np.testing.assert_allclose(scored.iloc[:, 0].to_numpy(), expected, rtol=1e-5)


def test_an_exported_keras_3_model_is_not_refused(tmp_path: Path) -> None:
    """`model.export` writes a restore op for all variables."""
    dense().export(str(tmp_path / "m"), format="tf_saved_model", verbose=False)
    assert unrestored(tmp_path / "m") == ()


def test_calls_in_calls_are_followed(tmp_path: Path) -> None:
    """A handle is followed through functions that call functions."""
    top = dense()
    inner = tf.function(lambda x: top(x) + 1.0)
    outer = tf.function(lambda x: inner(x) * 2.0)
    save_function(tmp_path / "m", lambda x: {"y": outer(x)}, SPEC, keep={"top": top})
    bias, kernel = unrestored(tmp_path / "m")
    assert bias.endswith("top/bias")
    assert kernel.endswith("top/kernel")


def test_rows_of_an_embedding_are_reads(tmp_path: Path) -> None:
    """A gather reads the variable without ReadVariableOp."""
    table = network(keras.layers.Embedding(4, 2, name="table"))
    save_function(
        tmp_path / "m",
        lambda x: {"y": tf.gather(table.layers[0].embeddings.value, tf.cast(x, tf.int32))},
        SPEC,
        keep={"table": table},
    )
    assert len(unrestored(tmp_path / "m")) == 1


def only_captured(top: Any) -> Callable[[Any], Any]:
    return lambda x: {"y": x * 2.0 + 0.0 * float(top.variables[0].shape[0])}


def assigned_first(top: Any) -> Callable[[Any], Any]:
    def serve(x: Any) -> Any:
        for variable in top.variables:
            variable.value.assign(tf.ones(variable.shape))
        return {"y": top(x)}

    return serve


def assigned_in_a_branch(top: Any) -> Callable[[Any], Any]:
    def serve(x: Any) -> Any:
        def assign() -> Any:
            for variable in top.variables:
                variable.value.assign(tf.ones(variable.shape))
            return 1.0

        with tf.control_dependencies([tf.cond(tf.size(x) > 0, assign, lambda: 0.0)]):
            return {"y": top(x)}

    return serve


def read_in_a_branch(top: Any) -> Callable[[Any], Any]:
    return lambda x: {"y": tf.cond(tf.size(x) > 99, lambda: top(x), lambda: x[:, :1])}


def read_in_branches(top: Any) -> Callable[[Any], Any]:
    return lambda x: {"y": tf.cond(tf.size(x) > 99, lambda: top(x), lambda: top(x) * 2.0)}


def read_in_cases(top: Any) -> Callable[[Any], Any]:
    return lambda x: {
        "y": tf.switch_case(tf.size(x) % 3, [lambda: top(x), lambda: -top(x), lambda: top(x) + 1.0])
    }


def read_in_a_condition(top: Any) -> Callable[[Any], Any]:
    def serve(x: Any) -> Any:
        (y,) = tf.while_loop(
            lambda y: tf.reduce_sum(top(y)) < 9.0, lambda y: (y + 1.0,), (x,), maximum_iterations=3
        )
        return {"y": y}

    return serve


def assigned_in_a_loop(top: Any) -> Callable[[Any], Any]:
    def serve(x: Any) -> Any:
        def step(i: Any, y: Any) -> Any:
            for variable in top.variables:
                variable.value.assign(tf.ones(variable.shape))
            return i + 1, y + top(x)

        _, y = tf.while_loop(lambda i, _: i < tf.size(x), step, (0, x[:, :1]))
        return {"y": y}

    return serve


def read_in_a_loop_in_a_branch(top: Any) -> Callable[[Any], Any]:
    in_loop = read_in_a_loop(top)
    return lambda x: {"y": tf.cond(tf.size(x) > 99, lambda: in_loop(x)["y"], lambda: x[:, :1])}


def read_in_a_loop(top: Any) -> Callable[[Any], Any]:
    def serve(x: Any) -> Any:
        _, y = tf.while_loop(
            lambda i, _: i < tf.size(x), lambda i, y: (i + 1, y + top(x)), (0, x[:, :1])
        )
        return {"y": y}

    return serve


def checked_only(top: Any) -> Callable[[Any], Any]:
    def serve(x: Any) -> Any:
        handle = top.variables[0].value.handle
        return {"y": x[:, 0] + tf.cast(tf.raw_ops.VarIsInitializedOp(resource=handle), x.dtype)}

    return serve


@pytest.mark.parametrize(
    "make",
    [only_captured, assigned_first, assigned_in_a_branch, assigned_in_a_loop, read_in_a_branch,
     read_in_a_loop_in_a_branch, checked_only],
)  # fmt: skip
def test_what_may_run_is_not_refused(tmp_path: Path, make: Any) -> None:
    """Neither a variable that may not be read nor one that may get its value in the run."""
    top = dense()
    save_function(tmp_path / "m", make(top), SPEC, keep={"top": top})
    assert unrestored(tmp_path / "m") == ()
    assert len(tf2spark.SavedModel(tmp_path / "m").score(ROWS)) == 2


@pytest.mark.parametrize(
    "make", [read_in_a_loop, read_in_a_condition, read_in_branches, read_in_cases]
)
def test_loops_and_branches_are_followed(tmp_path: Path, make: Any) -> None:
    """What a loop reads, or each of several branches, is refused before a task starts."""
    top = dense()
    save_function(tmp_path / "m", make(top), SPEC, keep={"top": top})
    bias, kernel = unrestored(tmp_path / "m")
    assert bias.endswith("top/bias")
    assert kernel.endswith("top/kernel")
    with pytest.raises(ModelError, match="have no value"):
        tf2spark.SavedModel(tmp_path / "m").score(ROWS)


def test_other_signatures_are_scored(tmp_path: Path) -> None:
    """A signature is refused for the variables that it reads itself."""
    top = dense()
    serve = tf.function(lambda x: {"y": top(x)}, input_signature=[SPEC])
    plain = tf.function(lambda x: {"y": x[:, 0] * 2.0}, input_signature=[SPEC])
    save_module(tmp_path / "m", {"serving_default": serve, "plain": plain}, {"top": top})
    model = tf2spark.SavedModel(tmp_path / "m")
    with pytest.raises(ModelError, match="have no value"):
        model.score(ROWS)
    assert model.score(ROWS, signature="plain").y.tolist() == [2.0, 6.0]


def test_other_variables_of_a_model_keep_their_values(tmp_path: Path) -> None:
    """Only the variables of the network are named, not those that the restore op fills."""
    top, scale = dense(), tf.Variable(2.0, name="scale")
    keep = {"top": top, "scale": scale}
    save_function(tmp_path / "m", lambda x: {"y": top(x) * scale}, SPEC, keep=keep)
    names = unrestored(tmp_path / "m")
    assert len(names) == 2
    assert all("top/" in name for name in names)


@pytest.mark.parametrize("skipped", [True, False])
def test_tf1_variables_are_named_where_they_are_surely_read(tmp_path: Path, skipped: bool) -> None:
    """A local variable without an initializer has no value; TF1's tf.cond may skip the read."""
    with control_flow(1), graph_session() as session:
        x = tf1.placeholder(tf.float32, [None], "x")
        lost = tf1.get_variable("lost", [], use_resource=True, collections=["others"])
        kept = tf1.get_variable("kept", [], use_resource=True)
        y = x * kept
        y = tf1.cond(tf.size(x) > 99, lambda: y + lost, lambda: y) if skipped else y + lost
        save_graph(session, tmp_path / "m", {"x": x}, {"y": y})
    assert unrestored(tmp_path / "m") == (() if skipped else ("lost",))
    assert unrestored(tmp_path / "m", fed=("lost/Read/ReadVariableOp:0", y.name)) == ()


def test_variables_that_functions_make_themselves(tmp_path: Path) -> None:
    """A model may write to a variable whose node is in a function, and which the graph lacks."""

    def serve(x: Any) -> Any:
        handle = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="total")
        tf.raw_ops.AssignVariableOp(resource=handle, value=tf.reduce_sum(x))
        tf.raw_ops.AssignAddVariableOp(resource=handle, value=1.0)
        total = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)
        return {"y": x[:, 0] * 0.0 + total}

    save_function(tmp_path / "m", serve, SPEC)
    assert unrestored(tmp_path / "m") == ()
    assert tf2spark.SavedModel(tmp_path / "m").score(ROWS, rows="batch").y.tolist() == [11.0, 11.0]
