"""`open_modules`: ops of StableHLO give what XLA computes from the same module, or stay whole."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cases.jax_modules import (
    BOOL,
    F32,
    FOLDER,
    I32,
    VEC,
    arguments_of,
    element,
    exported,
    graph_of,
    module_of,
    platforms_of,
    rows,
    run,
)
from tf2spark.compile.stablehlo.open_modules import open_modules
from tf2spark.compile.weights import constant

_UNARY = """
abs ceil cosine exponential exponential_minus_one floor log log_plus_one logistic negate
round_nearest_even rsqrt sign sine sqrt tanh
"""
_BINARY = "add divide maximum minimum multiply power subtract"


def side_by_side(statements: list[str]) -> tuple[str, str]:
    """Return one body with several statements: XLA takes a tenth of a second for each module."""
    lines = [f"%o{n} = stablehlo.{text} : {F32}" for n, text in enumerate(statements)]
    names = ", ".join(f"%o{n}" for n in range(len(lines)))
    kinds, result = ", ".join([F32] * len(lines)), f"tensor<?x{4 * len(lines)}xf32>"
    joined = f"%r = stablehlo.concatenate {names}, dim = 1 : ({kinds}) -> {result}"
    return "\n".join((*lines, joined)), result


_OPENED: dict[str, tuple[str, str]] = {
    **{op: (f"%r = stablehlo.{op} %abs : {F32}", F32) for op in _UNARY.split()},
    "of a value": side_by_side([f"{op} %abs" for op in _UNARY.split()]),
    "of two values": side_by_side([f"{op} %abs, %halves" for op in _BINARY.split()]),
    "integers": (
        f"%s = stablehlo.add %i, %i : {I32}\n%r = stablehlo.multiply %s, %i : {I32}",
        I32,
    ),
    "and": (f"%s = stablehlo.not %flag : {BOOL}\n%r = stablehlo.and %s, %s : {BOOL}", BOOL),
    "select": (f"%r = stablehlo.select %flag, %x, %halves : {BOOL}, {F32}", F32),
    "clamp": (
        f"%r = stablehlo.clamp %zero, %x, %half : (tensor<f32>, {F32}, tensor<f32>) -> {F32}",
        F32,
    ),
    "convert": (f"%r = stablehlo.convert %i : ({I32}) -> {F32}", F32),
    "is_finite": (f"%r = stablehlo.is_finite %x : ({F32}) -> {BOOL}", BOOL),
    "sum": (
        "%r = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [1] : "
        f"({F32}, tensor<f32>) -> {VEC}",
        VEC,
    ),
    "spread and summed": (
        "%r = stablehlo.reduce(%halves init: %zero) applies stablehlo.add across dimensions = [1]"
        f" : ({F32}, tensor<f32>) -> {VEC}",
        VEC,
    ),
    "product of rows": (
        "%r = stablehlo.dot_general %x, %abs, batching_dims = [0] x [0], contracting_dims = [1] x "
        f"[1] : ({F32}, {F32}) -> {VEC}",
        VEC,
    ),
    "product": (
        "%r = stablehlo.dot_general %x, %table, contracting_dims = [1] x [1] : "
        f"({F32}, tensor<7x4xf32>) -> tensor<?x7xf32>",
        "tensor<?x7xf32>",
    ),
    "side by side": (
        f"%r = stablehlo.concatenate %x, %halves, dim = 1 : ({F32}, {F32}) -> tensor<?x8xf32>",
        "tensor<?x8xf32>",
    ),
    "slice": (
        f"%r = stablehlo.real_dynamic_slice %x, %s, %e, %t : ({F32}, tensor<2xi32>, tensor<2xi32>, "
        "tensor<2xi32>) -> tensor<?x2xf32>",
        "tensor<?x2xf32>",
    ),
    "transposed": (
        f"%s = stablehlo.transpose %table, dims = [1, 0] : (tensor<7x4xf32>) -> tensor<4x7xf32>\n"
        f"%r = stablehlo.dot_general %x, %s, contracting_dims = [1] x [0] : "
        f"({F32}, tensor<4x7xf32>) -> tensor<?x7xf32>",
        "tensor<?x7xf32>",
    ),
    "lookup of ids outside": (
        '%r = "stablehlo.gather"(%table, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = '
        "[2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, "
        f"slice_sizes = array<i64: 1, 4>}}> : (tensor<7x4xf32>, {I32}) -> tensor<?x4x4xf32>",
        "tensor<?x4x4xf32>",
    ),
    "lookup by two positions": (
        '%p = "stablehlo.dynamic_gather"(%i, %j2, %c) <{dimension_numbers = #stablehlo.gather<'
        "offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = "
        f"1>}}> : ({I32}, tensor<2x1xi32>, tensor<2xi32>) -> tensor<?x2xi32>\n"
        '%r = "stablehlo.gather"(%table, %p) <{dimension_numbers = #stablehlo.gather<'
        "collapsed_slice_dims = [0, 1], start_index_map = [0, 1], index_vector_dim = 1>, "
        "slice_sizes = array<i64: 1, 1>}> : (tensor<7x4xf32>, tensor<?x2xi32>) -> tensor<?xf32>",
        VEC,
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
        f"[1] : ({F32}, tensor<f32>) -> {VEC}",
        VEC,
    ),
    "integers divided": (
        f"%q = stablehlo.divide %i, %threes : {I32}\n"
        f"%rest = stablehlo.remainder %i, %threes : {I32}\n"
        f"%a = stablehlo.abs %rest : {I32}\n%r = stablehlo.multiply %a, %q : {I32}",
        I32,
    ),
    "barrier": (
        f"%s:2 = stablehlo.optimization_barrier %x, %abs : {F32}, {F32}\n"
        f"%r = stablehlo.add %s#0, %s#1 : {F32}",
        F32,
    ),
    "part of rows, moved so that it fits": (
        '%r = "stablehlo.dynamic_gather"(%x, %at, %part) <{dimension_numbers = #stablehlo.gather<'
        f"offset_dims = [0, 1], start_index_map = [1]>}}> : ({F32}, tensor<1xi32>, tensor<2xi32>)"
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
_NAN = f"    %nan = stablehlo.log %x : {F32}\n"
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


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.iterdir()))
def test_models_that_jax_exported_are_opened(name: str) -> None:
    """A module for several platforms computes here what it does for CPUs."""
    text = exported(name)
    inputs = {f"input_{n}": value for n, value in enumerate(arguments_of(text))}
    graph = graph_of(text, inputs, [tf.float32], platforms_of(text))
    expected = run(graph, inputs)
    assert open_modules(graph).rewritten
    np.testing.assert_allclose(run(graph, inputs), expected, rtol=1e-5, atol=1e-6)


def test_functions_whose_names_need_quotes_are_called() -> None:
    """`jax.jit` names a function "<lambda>"."""
    text = module_of(f'    %r = call @"<lambda>"(%x) : ({F32}) -> {F32}', F32)
    function = (
        f'  func.func private @"<lambda>"(%x: {F32}) -> {F32} {{\n    return %x : {F32}\n  }}\n'
    )
    graph = graph_of(f"{text.rpartition('}')[0]}{function}}}", rows(), [tf.float32])
    assert open_modules(graph).rewritten


def test_an_open_number_of_rows_of_a_constant_table_is_that_of_the_table() -> None:
    table = "tensor<?x4xf32>"
    text = (
        f"module @m {{\n  func.func public @main(%x: {F32}, %table: {table}) -> {table} {{\n"
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
