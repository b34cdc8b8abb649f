"""Ops with code of their own, and those that move values, give what XLA computes."""

from __future__ import annotations

import numpy as np
import pytest

from cases.jax_modules import F32, I32, element, graph_of, module_of, rows, run
from tf2spark.compile.stablehlo.open_modules import open_modules

_K = "%k = stablehlo.constant dense<1> : tensor<i32>\n"
_COLUMN = (
    "%t1 = stablehlo.constant dense<[[1.0, 2.0, 3.0, 4.0]]> : tensor<1x4xf32>\n"
    "%column = stablehlo.dot_general %x, %t1, contracting_dims = [1] x [1] : "
    f"({F32}, tensor<1x4xf32>) -> tensor<?x1xf32>\n"
)
_FIRST_IDS = (
    "%zz = stablehlo.constant dense<0> : tensor<2xi32>\n"
    "%oo = stablehlo.constant dense<1> : tensor<2xi32>\n"
    "%end = stablehlo.concatenate %n1, %one, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> "
    f"tensor<2xi32>\n%p = stablehlo.real_dynamic_slice %i, %zz, %end, %oo : ({I32}, tensor<2xi32>, "
    "tensor<2xi32>, tensor<2xi32>) -> tensor<?x1xi32>\n"
)


def _code(op: str, element_type: str) -> str:
    kind = f"tensor<{element_type}>"
    return (
        f"({{\n^bb0(%a: {kind}, %b: {kind}):\n%w = stablehlo.{op} %a, %b : {kind}\n"
        f"stablehlo.return %w : {kind}\n}})"
    )


def _cumulative(padding: str) -> str:
    return (
        f'"stablehlo.reduce_window"(%x, %zero) <{{padding = dense<[[0, 0], {padding}]> : '
        f"tensor<2x2xi64>, window_dimensions = array<i64: 1, 4>}}> {_code('add', 'f32')} : "
        f"({F32}, tensor<f32>) -> {F32}\n"
    )


def _by_row(dimensions: str, widths: str, positions: str, result: str) -> str:
    """Look up in %big, [rows, 4, 7, 4], by ids that are also outside."""
    return (
        "%big = stablehlo.dot_general %x, %table, contracting_dims = [] x [] : "
        f"({F32}, tensor<7x4xf32>) -> tensor<?x4x7x4xf32>\n"
        '%r = "stablehlo.gather"(%big, %p) <{dimension_numbers = #stablehlo.gather<'
        f"{dimensions}>, slice_sizes = array<i64: {widths}>}}> : "
        f"(tensor<?x4x7x4xf32>, {positions}) -> {result}"
    )


_CASES: dict[str, tuple[str, str]] = {
    "sums from both ends": (
        f"%up = {_cumulative('[3, 0]')}%down = {_cumulative('[0, 3]')}"
        f"%r = stablehlo.multiply %up, %down : {F32}",
        F32,
    ),
    "padding": (
        "%r = stablehlo.pad %x, %half, low = [0, 1], high = [0, 2], interior = [0, 0] : "
        f"({F32}, tensor<f32>) -> tensor<?x7xf32>",
        "tensor<?x7xf32>",
    ),
    "reverse": (
        f"%s = stablehlo.reverse %x, dims = [1] : {F32}\n"
        f"%z = stablehlo.add %s, %halves : {F32}\n%r = stablehlo.multiply %z, %x : {F32}",
        F32,
    ),
    "a column replaced, moved so that it fits": (
        f"{_K}{_COLUMN}%far = stablehlo.constant dense<9> : tensor<i32>\n"
        "%zz = stablehlo.constant dense<0> : tensor<i32>\n"
        f"%s = stablehlo.dynamic_update_slice %x, %column, %zz, %far : ({F32}, tensor<?x1xf32>, "
        f"tensor<i32>, tensor<i32>) -> {F32}\n"
        f"%r = stablehlo.dynamic_update_slice %s, %column, %zz, %k : ({F32}, tensor<?x1xf32>, "
        f"tensor<i32>, tensor<i32>) -> {F32}",
        F32,
    ),
    "positions of a batch": (
        f"%s = stablehlo.dynamic_iota %shape, dim = 1 : (tensor<2xi32>) -> {I32}\n"
        f"%r = stablehlo.add %s, %i : {I32}",
        I32,
    ),
    "counts": (
        "%c = stablehlo.constant dense<[5, 0, 1, 0]> : tensor<4xi32>\n"
        "%p = stablehlo.constant dense<[[1], [3], [1], [-1], [4]]> : tensor<5x1xi32>\n"
        "%u = stablehlo.constant dense<[1, 2, 3, 50, 60]> : tensor<5xi32>\n"
        '%s = "stablehlo.scatter"(%c, %p, %u) <{scatter_dimension_numbers = #stablehlo.scatter<'
        "inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> "
        f"{_code('add', 'i32')} : (tensor<4xi32>, tensor<5x1xi32>, tensor<5xi32>) -> tensor<4xi32>"
        "\n%z = stablehlo.constant dense<0> : tensor<i32>\n"
        '%q = "stablehlo.reduce_window"(%s, %z) <{padding = dense<[[3, 0]]> : tensor<1x2xi64>, '
        f"window_dimensions = array<i64: 4>}}> {_code('add', 'i32')} : (tensor<4xi32>, tensor<i32>)"
        " -> tensor<4xi32>\n%b = stablehlo.dynamic_broadcast_in_dim %q, %shape, dims = [1] : "
        f"(tensor<4xi32>, tensor<2xi32>) -> {I32}\n%r = stablehlo.add %b, %i : {I32}",
        I32,
    ),
    "a row of each row's table": (
        _FIRST_IDS
        + _by_row(
            "offset_dims = [1, 2, 3], operand_batching_dims = [0], start_indices_batching_dims = "
            "[0], start_index_map = [2], index_vector_dim = 1",
            "1, 4, 1, 4",
            "tensor<?x1xi32>",
            "tensor<?x4x1x4xf32>",
        ),
        "tensor<?x4x1x4xf32>",
    ),
    "entries of each row's columns": (
        "%one3 = stablehlo.concatenate %n1, %four, %one, dim = 0 : (tensor<1xi32>, tensor<1xi32>, "
        "tensor<1xi32>) -> tensor<3xi32>\n%p = stablehlo.dynamic_reshape %i, %one3 : "
        f"({I32}, tensor<3xi32>) -> tensor<?x4x1xi32>\n"
        + _by_row(
            "offset_dims = [0], collapsed_slice_dims = [2], operand_batching_dims = [0, 3], "
            "start_indices_batching_dims = [0, 1], start_index_map = [2], index_vector_dim = 2",
            "1, 4, 1, 1",
            "tensor<?x4x1xi32>",
            "tensor<4x?x4xf32>",
        ),
        "tensor<4x?x4xf32>",
    ),
    "a branch that isn't there": (
        f'%r = "stablehlo.case"(%far) ({{\nstablehlo.return %abs : {F32}\n}}, '
        f"{{\nstablehlo.return %x : {F32}\n}}) : (tensor<i32>) -> {F32}",
        F32,
    ),
    "a loop from zeros": (
        "%z = stablehlo.dynamic_broadcast_in_dim %zero, %shape, dims = [] : (tensor<f32>, "
        f"tensor<2xi32>) -> {F32}\n%start = stablehlo.constant dense<0> : tensor<i32>\n"
        "%steps = stablehlo.constant dense<3> : tensor<i32>\n"
        f"%l:2 = stablehlo.while(%step = %start, %state = %z) : tensor<i32>, {F32}\ncond {{\n"
        "%goes = stablehlo.compare LT, %step, %steps, SIGNED : (tensor<i32>, tensor<i32>) -> "
        "tensor<i1>\nstablehlo.return %goes : tensor<i1>\n} do {\n"
        f"{_K}%next = stablehlo.add %step, %k : tensor<i32>\n"
        f"%m4 = stablehlo.slice %table [0:4, 0:4] : (tensor<7x4xf32>) -> tensor<4x4xf32>\n"
        "%d = stablehlo.dot_general %state, %m4, contracting_dims = [1] x [0] : "
        f"({F32}, tensor<4x4xf32>) -> {F32}\n%s = stablehlo.add %d, %x : {F32}\n"
        f"%a = stablehlo.tanh %s : {F32}\n"
        f"stablehlo.return %next, %a : tensor<i32>, {F32}\n}}\n%r = stablehlo.abs %l#1 : {F32}",
        F32,
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_opened_code_gives_what_xla_computes(name: str) -> None:
    """Code within an op may read the values around it."""
    body, result = _CASES[name]
    before = "%far = stablehlo.constant dense<7> : tensor<i32>\n" if "branch" in name else ""
    inputs = rows()
    graph = graph_of(module_of(before + body, result), inputs, [element(result)])
    expected = run(graph, inputs)
    assert open_modules(graph).rewritten == ("module",)
    np.testing.assert_allclose(run(graph, inputs), expected, rtol=2e-6, atol=1e-6)
