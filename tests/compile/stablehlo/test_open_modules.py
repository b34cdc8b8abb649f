"""`open_modules`: ops of StableHLO give what XLA computes from the same module, or stay whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.compiler.mlir.stablehlo import stablehlo
from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_call_module

from tf2spark.compile.stablehlo.open_modules import open_modules
from tf2spark.compile.stablehlo.translate import MAX_STATEMENTS
from tf2spark.compile.weights import constant
from tf2spark.saved_model.function_library import NOT_OPENED

tf1 = tf.compat.v1
_FOLDER = Path(__file__).parent
_RANDOM = np.random.default_rng(1)
_ROWS = 5
_F, _I, _B, _N = "tensor<?x4xf32>", "tensor<?x4xi32>", "tensor<?x4xi1>", "tensor<?xf32>"
# What every function below starts with: rows of floats and of integers, and a table.
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
_UNARY = """
abs ceil cosine exponential exponential_minus_one floor log log_plus_one logistic negate
round_nearest_even rsqrt sign sine sqrt tanh
"""
_BINARY = "add divide maximum minimum multiply power subtract"


def side_by_side(statements: list[str]) -> tuple[str, str]:
    """Return one body with several statements: XLA takes a tenth of a second for each module."""
    lines = [f"%o{n} = stablehlo.{text} : {_F}" for n, text in enumerate(statements)]
    names = ", ".join(f"%o{n}" for n in range(len(lines)))
    kinds, result = ", ".join([_F] * len(lines)), f"tensor<?x{4 * len(lines)}xf32>"
    joined = f"%r = stablehlo.concatenate {names}, dim = 1 : ({kinds}) -> {result}"
    return "\n".join((*lines, joined)), result


_OPENED: dict[str, tuple[str, str]] = {
    **{op: (f"%r = stablehlo.{op} %abs : {_F}", _F) for op in _UNARY.split()},
    "of a value": side_by_side([f"{op} %abs" for op in _UNARY.split()]),
    "of two values": side_by_side([f"{op} %abs, %halves" for op in _BINARY.split()]),
    "integers": (f"%s = stablehlo.add %i, %i : {_I}\n%r = stablehlo.multiply %s, %i : {_I}", _I),
    "and": (f"%s = stablehlo.not %flag : {_B}\n%r = stablehlo.and %s, %s : {_B}", _B),
    "select": (f"%r = stablehlo.select %flag, %x, %halves : {_B}, {_F}", _F),
    "clamp": (
        f"%r = stablehlo.clamp %zero, %x, %half : (tensor<f32>, {_F}, tensor<f32>) -> {_F}",
        _F,
    ),
    "convert": (f"%r = stablehlo.convert %i : ({_I}) -> {_F}", _F),
    "is_finite": (f"%r = stablehlo.is_finite %x : ({_F}) -> {_B}", _B),
    "sum": (
        "%r = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [1] : "
        f"({_F}, tensor<f32>) -> {_N}",
        _N,
    ),
    "spread and summed": (
        "%r = stablehlo.reduce(%halves init: %zero) applies stablehlo.add across dimensions = [1]"
        f" : ({_F}, tensor<f32>) -> {_N}",
        _N,
    ),
    "product of rows": (
        "%r = stablehlo.dot_general %x, %abs, batching_dims = [0] x [0], contracting_dims = [1] x "
        f"[1] : ({_F}, {_F}) -> {_N}",
        _N,
    ),
    "product": (
        "%r = stablehlo.dot_general %x, %table, contracting_dims = [1] x [1] : "
        f"({_F}, tensor<7x4xf32>) -> tensor<?x7xf32>",
        "tensor<?x7xf32>",
    ),
    "side by side": (
        f"%r = stablehlo.concatenate %x, %halves, dim = 1 : ({_F}, {_F}) -> tensor<?x8xf32>",
        "tensor<?x8xf32>",
    ),
    "slice": (
        f"%r = stablehlo.real_dynamic_slice %x, %s, %e, %t : ({_F}, tensor<2xi32>, tensor<2xi32>, "
        "tensor<2xi32>) -> tensor<?x2xf32>",
        "tensor<?x2xf32>",
    ),
    "transposed": (
        f"%s = stablehlo.transpose %table, dims = [1, 0] : (tensor<7x4xf32>) -> tensor<4x7xf32>\n"
        f"%r = stablehlo.dot_general %x, %s, contracting_dims = [1] x [0] : "
        f"({_F}, tensor<4x7xf32>) -> tensor<?x7xf32>",
        "tensor<?x7xf32>",
    ),
    "lookup of ids outside": (
        '%r = "stablehlo.gather"(%table, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = '
        "[2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, "
        f"slice_sizes = array<i64: 1, 4>}}> : (tensor<7x4xf32>, {_I}) -> tensor<?x4x4xf32>",
        "tensor<?x4x4xf32>",
    ),
    "lookup by two positions": (
        '%p = "stablehlo.dynamic_gather"(%i, %j2, %c) <{dimension_numbers = #stablehlo.gather<'
        "offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = "
        f"1>}}> : ({_I}, tensor<2x1xi32>, tensor<2xi32>) -> tensor<?x2xi32>\n"
        '%r = "stablehlo.gather"(%table, %p) <{dimension_numbers = #stablehlo.gather<'
        "collapsed_slice_dims = [0, 1], start_index_map = [0, 1], index_vector_dim = 1>, "
        "slice_sizes = array<i64: 1, 1>}> : (tensor<7x4xf32>, tensor<?x2xi32>) -> tensor<?xf32>",
        _N,
    ),
    "NaN in maxima": side_by_side(
        [
            # XLA takes the two orders of the same values for the same.
            "maximum %nan, %x",
            "minimum %x, %nan",
            "maximum %halves, %nan",
        ]
    ),
    "largest without NaN": (
        "%r = stablehlo.reduce(%nan init: %least) applies stablehlo.maximum across dimensions = "
        f"[1] : ({_F}, tensor<f32>) -> {_N}",
        _N,
    ),
    "integers divided": (
        f"%q = stablehlo.divide %i, %threes : {_I}\n"
        f"%rest = stablehlo.remainder %i, %threes : {_I}\n"
        f"%a = stablehlo.abs %rest : {_I}\n%r = stablehlo.multiply %a, %q : {_I}",
        _I,
    ),
    "barrier": (
        f"%s:2 = stablehlo.optimization_barrier %x, %abs : {_F}, {_F}\n"
        f"%r = stablehlo.add %s#0, %s#1 : {_F}",
        _F,
    ),
    "part of rows, moved so that it fits": (
        '%r = "stablehlo.dynamic_gather"(%x, %at, %part) <{dimension_numbers = #stablehlo.gather<'
        f"offset_dims = [0, 1], start_index_map = [1]>}}> : ({_F}, tensor<1xi32>, tensor<2xi32>)"
        " -> tensor<?x2xf32>",
        "tensor<?x2xf32>",
    ),
    "spread over more than fits in memory": (
        "%s = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf32>\n"
        "%b = stablehlo.broadcast_in_dim %s, dims = [0] : (tensor<2xf32>) -> "
        "tensor<2x100000000000xf32>\n%r = stablehlo.slice %b [0:2, 0:4] : "
        "(tensor<2x100000000000xf32>) -> tensor<2x4xf32>",
        "tensor<2x4xf32>",
    ),
}
_SLICE = """
    %s = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
    %three = stablehlo.constant dense<3> : tensor<1xi32>
    %e = stablehlo.concatenate %n1, %three, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %t = stablehlo.constant dense<1> : tensor<2xi32>
"""  # noqa: E501
_POSITIONS = """
    %j2 = stablehlo.constant dense<[[0], [2]]> : tensor<2x1xi32>
    %c = stablehlo.concatenate %n1, %one, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
"""
_NAN = f"    %nan = stablehlo.log %x : {_F}\n"
_LEAST = "    %least = stablehlo.constant dense<0xFF800000> : tensor<f32>\n"
_THREES = """
    %three = stablehlo.constant dense<3> : tensor<i32>
    %threes = stablehlo.dynamic_broadcast_in_dim %three, %shape, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x4xi32>
"""  # noqa: E501
_PART = """
    %at = stablehlo.constant dense<3> : tensor<1xi32>
    %two = stablehlo.constant dense<2> : tensor<1xi32>
    %part = stablehlo.concatenate %n1, %two, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
"""  # noqa: E501
_BEFORE = {
    "slice": _SLICE,
    "lookup by two positions": _POSITIONS,
    "NaN in maxima": _NAN,
    "largest without NaN": _NAN + _LEAST,
    "integers divided": _THREES,
    "part of rows, moved so that it fits": _PART,
}
_WHOLE: dict[str, tuple[str, str, str]] = {
    "sort": (
        f'%r = "stablehlo.sort"(%x) <{{dimension = 1 : i64}}> ({{\n'
        "    ^bb0(%a: tensor<f32>, %b: tensor<f32>):\n"
        "      %w = stablehlo.compare LT, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
        f"      stablehlo.return %w : tensor<i1>\n    }}) : ({_F}) -> {_F}",
        _F,
        "its module has the op sort, which isn't translated",
    ),
    "sum of the batch": (
        "%r = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [0] : "
        f"({_F}, tensor<f32>) -> tensor<4xf32>",
        "tensor<4xf32>",
        "its module reduces along the batch",
    ),
    "number of rows": (
        "%r = stablehlo.convert %n : (tensor<i32>) -> tensor<f32>",
        "tensor<f32>",
        "its module computes with the number of rows",
    ),
    "sum that starts elsewhere": (
        "%r = stablehlo.reduce(%x init: %half) applies stablehlo.add across dimensions = [1] : "
        f"({_F}, tensor<f32>) -> {_N}",
        _N,
        "its reduction starts from another number than nothing gives",
    ),
    "floats to integers": (
        f"%r = stablehlo.convert %x : ({_F}) -> {_I}",
        _I,
        "its module converts floats to integers, which XLA does by its own rules",
    ),
    "code from outside": (
        f"%r = stablehlo.custom_call @abort(%x) {{has_side_effect = true}} : ({_F}) -> {_F}",
        _F,
        "its module calls code from outside",
    ),
    "another type": (
        f"%r = stablehlo.convert %x : ({_F}) -> tensor<?x4xbf16>",
        "tensor<?x4xbf16>",
        "its module computes with values of type bf16",
    ),
    "integers divided by integers": (
        f"%r = stablehlo.remainder %i, %i : {_I}",
        _I,
        "its remainder is by an integer that may be zero or less",
    ),
    "complex numbers": (
        "%c = stablehlo.constant dense<(1.0,2.0)> : tensor<4xcomplex<f32>>\n"
        "%r = stablehlo.real %c : (tensor<4xcomplex<f32>>) -> tensor<4xf32>",
        "tensor<4xf32>",
        "the type of its constant isn't translated",
    ),
    "huge constants": (
        "%s = stablehlo.iota dim = 0 : tensor<100000000000xf32>\n%r = stablehlo.slice %s [0:4] : "
        "(tensor<100000000000xf32>) -> tensor<4xf32>",
        "tensor<4xf32>",
        "its module computes large values from constants",
    ),
}


def module_of(body: str, result: str) -> str:
    parameters = f"%x: {_F}, %i: {_I}, %table: tensor<7x4xf32>"
    return (
        "module @m attributes {jax.uses_shape_polymorphism = true} {\n"
        f"  func.func public @main({parameters}) -> {result} {{{_HEAD}{body}\n"
        f"    return %r : {result}\n  }}\n}}"
    )


def graph_of(text: str, inputs: dict[str, Any], outputs: list[Any]) -> Any:
    """Return a graph with one module, as jax2tf exports it."""
    module = stablehlo.serialize_portable_artifact_str(text, stablehlo.get_minimum_version())
    with tf.Graph().as_default() as graph:
        fed = [tf1.placeholder(value.dtype, value.shape, name) for name, value in inputs.items()]
        results = xla_call_module(
            args=fed,
            version=9,
            module=module,
            Sout=[tf.TensorShape(None)] * len(outputs),
            Tout=outputs,
            platforms=["CPU"],
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
        "x": _RANDOM.normal(size=(_ROWS, 4)).astype(np.float32),
        "i": _RANDOM.integers(-3, 12, (_ROWS, 4)).astype(np.int32),
        "table": _RANDOM.normal(size=(7, 4)).astype(np.float32),
    }


def element(result: str) -> Any:
    kinds = {"i32>": tf.int32, "xi1>": tf.bool, "f32>": tf.float32}
    return next((kind for end, kind in kinds.items() if result.endswith(end)), tf.bfloat16)


@pytest.mark.parametrize("name", _OPENED)
def test_opened_ops_give_what_xla_computes(name: str) -> None:
    """Ids are below zero and above the table's end too."""
    body, result = _OPENED[name]
    inputs = rows()
    graph = graph_of(module_of(_BEFORE.get(name, "") + body, result), inputs, [element(result)])
    expected = run(graph, inputs)
    assert open_modules(graph).rewritten == ("module",)
    assert "XlaCallModule" not in {node.op for node in graph.node}
    np.testing.assert_allclose(run(graph, inputs), expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", _WHOLE)
def test_what_is_not_translated_stays_whole_with_its_reason(name: str) -> None:
    """The graph is left as it was, apart from the reason."""
    body, result, reason = _WHOLE[name]
    graph = graph_of(module_of(body, result), rows(), [element(result)])
    nodes = len(graph.node)
    (refusal,) = open_modules(graph).refused
    assert (refusal.node, refusal.reason) == ("module", reason)
    assert len(graph.node) == nodes
    assert graph.node[-2].attr[NOT_OPENED].s.decode() == reason


@pytest.mark.parametrize("name", ["attention", "deepfm"])
def test_models_that_jax_exported_are_opened(name: str) -> None:
    """Both were written by `benchmarks/survey/jax_models.py` and printed by TensorFlow."""
    text = (_FOLDER / f"{name}.mlir").read_text()
    header = next(line for line in text.splitlines() if "@main" in line)
    inputs = {}
    for number, kind in enumerate(header.partition(" -> ")[0].split("tensor<")[1:]):
        *sizes, dtype = kind.partition(">")[0].split("x")
        shape = [_ROWS if size == "?" else int(size) for size in sizes]
        is_id = dtype == "i32"
        values = _RANDOM.integers(0, 3, shape) if is_id else _RANDOM.normal(0, 0.3, shape)
        inputs[f"input_{number}"] = values.astype(np.int32 if is_id else np.float32)
    graph = graph_of(text, inputs, [tf.float32])
    expected = run(graph, inputs)
    assert open_modules(graph).rewritten
    np.testing.assert_allclose(run(graph, inputs), expected, rtol=1e-5, atol=1e-6)


def test_a_module_that_calls_itself_up_to_any_size_stays_whole() -> None:
    """Each function calls the next one twice: 2^40 statements from 40 functions."""
    calls = "\n".join(
        f"  func.func private @f{level}(%x: {_F}) -> {_F} {{\n"
        f"    %a = call @f{level + 1}(%x) : ({_F}) -> {_F}\n"
        f"    %b = call @f{level + 1}(%a) : ({_F}) -> {_F}\n    return %b : {_F}\n  }}"
        for level in range(40)
    )
    last = f"  func.func private @f40(%x: {_F}) -> {_F} {{\n    return %x : {_F}\n  }}\n"
    text = module_of(f"    %r = call @f0(%x) : ({_F}) -> {_F}", _F)
    text = f"{text.rpartition('}')[0]}{calls}\n{last}}}"
    (refusal,) = open_modules(graph_of(text, rows(), [tf.float32])).refused
    assert refusal.reason == f"its module has more than {MAX_STATEMENTS:,} statements"


def test_what_is_no_module_stays_whole() -> None:
    """TensorFlow's own message goes to its log."""
    graph = graph_of(module_of(f"%r = stablehlo.abs %x : {_F}", _F), rows(), [tf.float32])
    node = next(node for node in graph.node if node.op == "XlaCallModule")
    node.attr["module"].s = b"ML\xefR\rnonsense"
    (refusal,) = open_modules(graph).refused
    assert refusal.reason == "TensorFlow can't read its module"


def test_inputs_that_may_have_different_numbers_of_rows_stay_whole() -> None:
    """Two variables of shapes in JAX: in TensorFlow's graph both would be the batch."""
    text = module_of(f"%r = stablehlo.abs %x : {_F}", _F)
    text = "\n".join(line for line in text.splitlines() if "@shape_assertion" not in line)
    (refusal,) = open_modules(graph_of(text, rows(), [tf.float32])).refused
    assert refusal.reason.startswith("its module doesn't say that its inputs have the same number")


def test_functions_whose_names_need_quotes_are_called() -> None:
    """`jax.jit` names a function "<lambda>"."""
    text = module_of(f'    %r = call @"<lambda>"(%x) : ({_F}) -> {_F}', _F)
    function = f'  func.func private @"<lambda>"(%x: {_F}) -> {_F} {{\n    return %x : {_F}\n  }}\n'
    graph = graph_of(f"{text.rpartition('}')[0]}{function}}}", rows(), [tf.float32])
    assert open_modules(graph).rewritten


def test_an_open_number_of_rows_of_a_constant_table_is_that_of_the_table() -> None:
    table = "tensor<?x4xf32>"
    text = (
        f"module @m {{\n  func.func public @main(%x: {_F}, %table: {table}) -> {table} {{\n"
        f"    %r = stablehlo.abs %table : {table}\n    return %r : {table}\n  }}\n}}"
    )
    inputs = {"x": rows()["x"], "table": rows()["table"]}
    graph = graph_of(text, inputs, [tf.float32])
    (node,) = (node for node in graph.node if node.name == "table")
    node.CopyFrom(constant("table", inputs["table"]))
    assert open_modules(graph).rewritten
    np.testing.assert_array_equal(run(graph, {"x": inputs["x"]}), abs(inputs["table"]))


def test_names_of_added_nodes_are_new() -> None:
    body, result = _OPENED["clamp"]
    graph = graph_of(module_of(body, result), rows(), [element(result)])
    for number in range(60):
        graph.node.append(constant(f"module/Const_{number}", 1.0))
    assert open_modules(graph).rewritten
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
