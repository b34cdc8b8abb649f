"""Modules of StableHLO in graphs, as jax2tf exports them, and what runs them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compiler.mlir.stablehlo import stablehlo
from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_call_module

tf1 = tf.compat.v1
_RANDOM = np.random.default_rng(1)
ROWS = 5
HISTORY = 6
FOLDER = Path(__file__).parent / "stablehlo"
F32, I32, BOOL, VEC = (
    "tensor<?x4xf32>",
    "tensor<?x4xi32>",
    "tensor<?x4xi1>",
    "tensor<?xf32>",
)
# What every function of `module_of` starts with: rows of floats and of integers, and a table.
_HEAD = """
    %n = stablehlo.get_dimension_size %x, dim = 0 : (tensor<?x4xf32>) -> tensor<i32>
    %n1 = stablehlo.reshape %n : (tensor<i32>) -> tensor<1xi32>
    %four = stablehlo.constant dense<4> : tensor<1xi32>
    %one = stablehlo.constant dense<1> : tensor<1xi32>
    %shape = stablehlo.concatenate %n1, %four, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %zero = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %half = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %halves = stablehlo.dynamic_broadcast_in_dim %half, %shape, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x4xf32>
    %flag = stablehlo.compare GT, %x, %halves, FLOAT : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xi1>
    %abs = stablehlo.abs %x : tensor<?x4xf32>
    %m = stablehlo.get_dimension_size %i, dim = 0 : (tensor<?x4xi32>) -> tensor<i32>
    %same = stablehlo.compare EQ, %m, %n, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%same, %m, %n) {api_version = 2 : i32, error_message = "b", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
"""  # noqa: E501


def module_of(body: str, result: str) -> str:
    parameters = f"%x: {F32}, %i: {I32}, %table: tensor<7x4xf32>"
    return (
        "module @m attributes {jax.uses_shape_polymorphism = true} {\n"
        f"  func.func public @main({parameters}) -> {result} {{{_HEAD}{body}\n"
        f"    return %r : {result}\n  }}\n}}"
    )


def serialized(text: str) -> bytes:
    """Return a module as jax2tf stores it."""
    return bytes(stablehlo.serialize_portable_artifact_str(text, stablehlo.get_current_version()))


def graph_of(
    text: str, inputs: dict[str, Any], outputs: list[Any], platforms: Sequence[str] = ("CPU",)
) -> Any:
    """Return a graph with one module, as jax2tf exports it."""
    with tf.Graph().as_default() as graph:
        fed = [tf1.placeholder(value.dtype, value.shape, name) for name, value in inputs.items()]
        results = xla_call_module(
            args=fed,
            version=9,
            module=serialized(text),
            Sout=[tf.TensorShape(None)] * len(outputs),
            Tout=outputs,
            platforms=list(platforms),
            name="module",
        )
        tf.identity(results[0], "y")
    return graph.as_graph_def()


def run(graph_def: Any, inputs: dict[str, Any]) -> Any:
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        return session.run("y:0", {f"{name}:0": value for name, value in inputs.items()})


def rows() -> dict[str, Any]:
    return {
        "x": _RANDOM.normal(size=(ROWS, 4)).astype(np.float32),
        "i": _RANDOM.integers(-3, 12, (ROWS, 4)).astype(np.int32),
        "table": _RANDOM.normal(size=(7, 4)).astype(np.float32),
    }


def element(result: str) -> Any:
    kinds = {"i32>": tf.int32, "xi1>": tf.bool, "f32>": tf.float32}
    return next((kind for end, kind in kinds.items() if result.endswith(end)), tf.bfloat16)


def exported(name: str) -> str:
    """Return the text of a module that JAX 0.10.2 wrote, as TensorFlow printed it."""
    return (FOLDER / f"{name}.mlir").read_text()


def platforms_of(text: str) -> tuple[str, ...]:
    """Return the platforms that a module is for."""
    return ("TPU", "CPU") if "_platform_index" in text else ("CPU",)


def arguments_of(text: str) -> list[Any]:
    """Return random arguments of a module, its weights among them, for `ROWS` rows."""
    header = next(line for line in text.splitlines() if "@main" in line)
    rng, arguments = np.random.default_rng(1), []
    for kind in header.partition(" -> ")[0].split("tensor<")[1:]:
        if "_platform_index" in kind:  # TensorFlow's op passes it on its own
            continue
        *sizes, dtype = kind.partition(">")[0].split("x")
        shape = [ROWS if size == "?" else int(size) for size in sizes]
        is_id = dtype == "i32"
        values = rng.integers(0, 3, shape) if is_id else rng.normal(0, 0.3, shape)
        arguments.append(values.astype(np.int32 if is_id else np.float32))
    return arguments


def save_attention(path: Path) -> Any:
    """Save `attention` as jax2tf does, and return its signature, which TensorFlow runs."""
    text = exported("attention")
    holder = tf.Module()
    holder.weights = [tf.Variable(value) for value in arguments_of(text)[:-2]]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, HISTORY], tf.int32, "history"),
            tf.TensorSpec([None], tf.int32, "item"),
        ]
    )
    def serve(history: Any, item: Any) -> Any:
        (score,) = xla_call_module(
            args=[*holder.weights, history, item],
            version=9,
            module=serialized(text),
            Sout=[tf.TensorShape([None])],
            Tout=[tf.float32],
            platforms=["CPU"],
        )
        return {"score": score}

    tf.saved_model.save(holder, str(path), signatures=serve)
    return serve
