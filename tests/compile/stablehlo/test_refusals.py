"""Modules that stay whole: each has a reason, which the plan of `recommend` shows."""

from __future__ import annotations

import pytest
import tensorflow as tf

from cases.jax_modules import BOOL, F32, I32, VEC, element, graph_of, module_of, rows
from tf2spark.compile.stablehlo.open_modules import open_modules
from tf2spark.compile.stablehlo.translate import MAX_STATEMENTS
from tf2spark.saved_model.graph.function_library import NOT_OPENED

_K = "%k = stablehlo.constant dense<1> : tensor<i32>\n"
_TWO_INTS = "(tensor<i32>, tensor<i32>) -> tensor<i1>"
_LARGEST = (
    "%least = stablehlo.constant dense<0> : tensor<i32>\n"
    "%lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>\n"
    "%top = stablehlo.reduce(%table init: %lowest) applies stablehlo.maximum across dimensions = "
    "[0, 1] : (tensor<7x4xf32>, tensor<f32>) -> tensor<f32>\n"
    "%large = stablehlo.compare GT, %top, %half, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
    "%most = stablehlo.convert %large : (tensor<i1>) -> tensor<i32>\n"
)
_SUM = (
    "%u = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [1] : "
    f"({F32}, tensor<f32>) -> {VEC}\n"
)
_ADDED = (
    "^bb0(%a: tensor<f32>, %b: tensor<f32>):\n%w = stablehlo.add %a, %b : tensor<f32>\n"
    "stablehlo.return %w : tensor<f32>\n"
)


def _case(index: str) -> str:
    branches = (f"{{\nstablehlo.return {value} : {F32}\n}}" for value in ("%x", "%abs"))
    return f'%r = "stablehlo.case"({index}) ({", ".join(branches)}) : (tensor<i32>) -> {F32}'


def _loop(condition: str) -> str:
    return (
        f"%r = stablehlo.while(%b = %x) : {F32}\ncond {{\n{condition}\n"
        f"stablehlo.return %goes : tensor<i1>\n}} do {{\nstablehlo.return %b : {F32}\n}}"
    )


def _window(padding: str, width: int, op: str) -> str:
    return (
        f'%r = "stablehlo.reduce_window"(%x, %zero) <{{padding = dense<[[0, 0], {padding}]> : '
        f"tensor<2x2xi64>, window_dimensions = array<i64: 1, {width}>}}> ({{\n"
        f"{_ADDED.replace('add', op)}}}) : ({F32}, tensor<f32>) -> {F32}"
    )


def _gather(table: str, kind: str, offsets: str, widths: str, found: int = 4) -> str:
    return (
        f'%r = "stablehlo.gather"({table}, %i) <{{dimension_numbers = #stablehlo.gather<offset_dims'
        f" = {offsets}, collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, "
        f"slice_sizes = array<i64: {widths}>}}> : ({kind}, {I32}) -> tensor<?x4x{found}xf32>"
    )


_WHOLE: dict[str, tuple[str, str, str]] = {
    "sort": (
        f'%r = "stablehlo.sort"(%x) <{{dimension = 1 : i64}}> ({{\n'
        "    ^bb0(%a: tensor<f32>, %b: tensor<f32>):\n"
        "      %w = stablehlo.compare LT, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
        f"      stablehlo.return %w : tensor<i1>\n    }}) : ({F32}) -> {F32}",
        F32,
        "its module has the op sort, which isn't translated",
    ),
    "sum of the batch": (
        "%r = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [0] : "
        f"({F32}, tensor<f32>) -> tensor<4xf32>",
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
        f"({F32}, tensor<f32>) -> {VEC}",
        VEC,
        "its reduction starts from another number than nothing gives",
    ),
    "floats to integers": (
        f"%r = stablehlo.convert %x : ({F32}) -> {I32}",
        I32,
        "its module converts floats to integers, which XLA does by its own rules",
    ),
    "code from outside": (
        f"%r = stablehlo.custom_call @abort(%x) {{has_side_effect = true}} : ({F32}) -> {F32}",
        F32,
        "its module calls code from outside",
    ),
    "another type": (
        f"%r = stablehlo.convert %x : ({F32}) -> tensor<?x4xbf16>",
        "tensor<?x4xbf16>",
        "its module computes with values of type bf16",
    ),
    "integers divided by integers": (
        f"%r = stablehlo.remainder %i, %i : {I32}",
        I32,
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
    "code that is chosen by rows": (
        f"{_LARGEST}{_case('%most')}",
        F32,
        "its case depends on values that aren't constants",
    ),
    "code that is chosen by their number": (
        _case("%n"),
        F32,
        "its case depends on the number of rows",
    ),
    "loop over values of rows": (
        _loop(f"{_LARGEST}%goes = stablehlo.compare LT, %most, %least, SIGNED : {_TWO_INTS}"),
        F32,
        "its module has a loop whose number of steps isn't constant",
    ),
    "loop without an end": (
        _loop("%goes = stablehlo.constant dense<true> : tensor<i1>"),
        F32,
        f"its module has more than {MAX_STATEMENTS:,} statements",
    ),
    "first rows": (
        f"%r = stablehlo.slice %x [0:3, 0:4] : ({F32}) -> tensor<3x4xf32>",
        "tensor<3x4xf32>",
        "its module slices the batch",
    ),
    "rows from a place on": (
        f"{_K}%r = stablehlo.dynamic_slice %x, %k, %k, sizes = [3, 2] : ({F32}, tensor<i32>, "
        "tensor<i32>) -> tensor<3x2xf32>",
        "tensor<3x2xf32>",
        "its module slices the batch",
    ),
    "part at a computed place": (
        f"{_LARGEST}{_K}%r = stablehlo.dynamic_slice %table, %most, %k, sizes = [3, 2] : "
        "(tensor<7x4xf32>, tensor<i32>, tensor<i32>) -> tensor<3x2xf32>",
        "tensor<3x2xf32>",
        "its dynamic_slice depends on values that aren't constants",
    ),
    "rows below rows": (
        f"%r = stablehlo.concatenate %x, %abs, dim = 0 : ({F32}, {F32}) -> {F32}",
        F32,
        "its module concatenates along the batch",
    ),
    "rows before rows": (
        f"%r = stablehlo.pad %x, %zero, low = [1, 0], high = [0, 0], interior = [0, 0] : "
        f"({F32}, tensor<f32>) -> {F32}",
        F32,
        "its module pads the batch, or by less than nothing",
    ),
    "padding between values": (
        f"%r = stablehlo.pad %x, %zero, low = [0, 0], high = [0, 0], interior = [0, 1] : "
        f"({F32}, tensor<f32>) -> tensor<?x7xf32>",
        "tensor<?x7xf32>",
        "its module pads between values",
    ),
    "rows in reverse": (
        f"%r = stablehlo.reverse %x, dims = [0] : {F32}",
        F32,
        "its module reverses the batch",
    ),
    "rows replaced": (
        "%z = stablehlo.constant dense<1.0> : tensor<1x4xf32>\n"
        f"{_K}%r = stablehlo.dynamic_update_slice %x, %z, %k, %k : ({F32}, tensor<1x4xf32>, "
        f"tensor<i32>, tensor<i32>) -> {F32}",
        F32,
        "its module replaces parts of the batch, or along several axes",
    ),
    "places of rows": (
        "%r = stablehlo.dynamic_iota %n1, dim = 0 : (tensor<1xi32>) -> tensor<?xi32>",
        "tensor<?xi32>",
        "its module numbers the rows of the batch",
    ),
    "number of rows at every place": (
        "%r = stablehlo.dynamic_broadcast_in_dim %n, %shape, dims = [] : (tensor<i32>, "
        f"tensor<2xi32>) -> {I32}",
        I32,
        "its module computes with the number of rows",
    ),
    "numbers of rows": (
        f"%r = stablehlo.dynamic_iota %shape, dim = 0 : (tensor<2xi32>) -> {I32}",
        I32,
        "its module numbers the rows of the batch",
    ),
    "number of rows squared": (
        "%r = stablehlo.multiply %n, %n : tensor<i32>",
        "tensor<i32>",
        "its module multiplies the number of rows with itself",
    ),
    "shapes multiplied": (
        "%r = stablehlo.multiply %shape, %shape : tensor<2xi32>",
        "tensor<2xi32>",
        "its module multiplies shapes",
    ),
    "one row less": (
        f"{_K}%r = stablehlo.subtract %n, %k : tensor<i32>",
        "tensor<i32>",
        "its module computes with the number of rows",
    ),
    "less by the number of rows": (
        f"{_K}%r = stablehlo.subtract %k, %n : tensor<i32>",
        "tensor<i32>",
        "its module computes with the number of rows",
    ),
    "rows by rows": (
        f"%z = stablehlo.dot_general %x, %x, contracting_dims = [1] x [1] : ({F32}, {F32}) -> "
        "tensor<?x?xf32>\n%t = stablehlo.concatenate %n1, %n1, %one, dim = 0 : (tensor<1xi32>, "
        "tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>\n%r = stablehlo.dynamic_reshape %z, %t : "
        "(tensor<?x?xf32>, tensor<3xi32>) -> tensor<?x?x1xf32>",
        "tensor<?x?x1xf32>",
        "its module has a value with the batch along two axes",
    ),
    "spread and transposed": (
        "%r = stablehlo.broadcast_in_dim %table, dims = [1, 0] : (tensor<7x4xf32>) -> "
        "tensor<4x7xf32>",
        "tensor<4x7xf32>",
        "its module broadcasts and transposes at once",
    ),
    "order of all bits": (
        f"%r = stablehlo.compare LT, %x, %abs, TOTALORDER : ({F32}, {F32}) -> {BOOL}",
        BOOL,
        "its module compares in an order that TensorFlow doesn't have",
    ),
    "bits": (f"%r = stablehlo.and %i, %i : {I32}", I32, "its and is of integers"),
    "booleans added": (f"%r = stablehlo.add %flag, %flag : {BOOL}", BOOL, "its add is of booleans"),
    "powers of integers": (
        f"%r = stablehlo.power %i, %i : {I32}",
        I32,
        "its power is of integers",
    ),
    "product of integers": (
        "%r = stablehlo.dot_general %i, %i, batching_dims = [0] x [0], contracting_dims = [1] x "
        f"[1] : ({I32}, {I32}) -> tensor<?xi32>",
        "tensor<?xi32>",
        "its product is of another type than its factors",
    ),
    "another reduction": (
        f"%r = stablehlo.reduce(%x init: %zero) across dimensions = [1] : ({F32}, tensor<f32>) -> "
        f"{VEC}\n reducer(%a: tensor<f32>, %b: tensor<f32>)  {{\n"
        "%w = stablehlo.power %a, %b : tensor<f32>\nstablehlo.return %w : tensor<f32>\n}",
        VEC,
        "its module reduces in another way than by a sum or a maximum",
    ),
    "largest of windows": (
        f"{_window('[3, 0]', 4, 'maximum')}",
        F32,
        "its module sums over windows in another way than `cumsum` does",
    ),
    "moving sum": (
        f"{_window('[1, 0]', 2, 'add')}",
        F32,
        "its module sums over windows in another way than `cumsum` does",
    ),
    "column replaced": (
        f"%p = stablehlo.constant dense<1> : tensor<1xi32>\n{_SUM}"
        '%r = "stablehlo.scatter"(%x, %p, %u) <{scatter_dimension_numbers = #stablehlo.scatter<'
        "update_window_dims = [0], inserted_window_dims = [1], scatter_dims_to_operand_dims = [1]>"
        f"}}> ({{\n{_ADDED}}}) : ({F32}, tensor<1xi32>, {VEC}) -> {F32}",
        F32,
        "its module has the op scatter, which is translated for counting only",
    ),
    "rows of the batch by ids": (
        f"{_gather('%x', F32, '[2]', '1, 4')}",
        "tensor<?x4x4xf32>",
        "its gather looks up rows of the batch",
    ),
    "halves of rows": (
        f"{_gather('%table', 'tensor<7x4xf32>', '[2]', '1, 2', 2)}",
        "tensor<?x4x2xf32>",
        "its gather takes parts of rows",
    ),
    "axes of what is found in another order": (
        f"{_gather('%table', 'tensor<7x4xf32>', '[1]', '1, 4')}",
        "tensor<?x4x4xf32>",
        "the result of its gather has its axes in another order",
    ),
    "random numbers": (
        "%seed = stablehlo.constant dense<[1, 2]> : tensor<2xui64>\n"
        "%next, %o = stablehlo.rng_bit_generator %seed, algorithm = DEFAULT : (tensor<2xui64>) -> "
        "(tensor<2xui64>, tensor<4xui32>)\n"
        "%r = stablehlo.convert %o : (tensor<4xui32>) -> tensor<4xf32>",
        "tensor<4xf32>",
        "its module computes with values of type ui64",
    ),
    "values of several types": (
        f"%both = stablehlo.tuple %x, %i : tuple<{F32}, {I32}>\n"
        f"%r = stablehlo.get_tuple_element %both[0] : (tuple<{F32}, {I32}>) -> {F32}",
        F32,
        "its module has the op tuple, which isn't translated",
    ),
}


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


def test_a_module_that_calls_itself_up_to_any_size_stays_whole() -> None:
    """Each function calls the next one twice: 2^40 statements from 40 functions."""
    calls = "\n".join(
        f"  func.func private @f{level}(%x: {F32}) -> {F32} {{\n"
        f"    %a = call @f{level + 1}(%x) : ({F32}) -> {F32}\n"
        f"    %b = call @f{level + 1}(%a) : ({F32}) -> {F32}\n    return %b : {F32}\n  }}"
        for level in range(40)
    )
    last = f"  func.func private @f40(%x: {F32}) -> {F32} {{\n    return %x : {F32}\n  }}\n"
    text = module_of(f"    %r = call @f0(%x) : ({F32}) -> {F32}", F32)
    text = f"{text.rpartition('}')[0]}{calls}\n{last}}}"
    (refusal,) = open_modules(graph_of(text, rows(), [tf.float32])).refused
    assert refusal.reason == f"its module has more than {MAX_STATEMENTS:,} statements"


def test_what_is_no_module_stays_whole() -> None:
    """TensorFlow's own message goes to its log."""
    graph = graph_of(module_of(f"%r = stablehlo.abs %x : {F32}", F32), rows(), [tf.float32])
    node = next(node for node in graph.node if node.op == "XlaCallModule")
    node.attr["module"].s = b"ML\xefR\rnonsense"
    (refusal,) = open_modules(graph).refused
    assert refusal.reason == "TensorFlow can't read its module"


def test_inputs_that_may_have_different_numbers_of_rows_stay_whole() -> None:
    """Two variables of shapes in JAX: in TensorFlow's graph both would be the batch."""
    text = module_of(f"%r = stablehlo.abs %x : {F32}", F32)
    text = "\n".join(line for line in text.splitlines() if "@shape_assertion" not in line)
    (refusal,) = open_modules(graph_of(text, rows(), [tf.float32])).refused
    assert refusal.reason.startswith("its module doesn't say that its inputs have the same number")
