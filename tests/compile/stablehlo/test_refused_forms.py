"""Modules that stay whole because of their form: of the op, of the module, of its text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.jax_modules import F32, element, graph_of, module_of, rows
from tf2spark.compile.stablehlo.module_text import NotOpened, parse
from tf2spark.compile.stablehlo.open_modules import open_modules
from tf2spark.compile.stablehlo.translate import Module
from tf2spark.compile.stablehlo.values import Nodes, Rows, Tensor

_FIXED = "tensor<5x4xf32>"


def reason_of(change: Any, body: str = f"%r = stablehlo.abs %x : {F32}", result: str = F32) -> str:
    """Return why a module stays whole after a change of its op."""
    graph = graph_of(module_of(body, result), rows(), [element(result)])
    change(next(node for node in graph.node if node.op == "XlaCallModule"))
    return open_modules(graph).refused[0].reason


def _set_platforms(node: Any) -> None:
    node.attr["platforms"].list.s[:] = [b"CUDA", b"TPU"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            _set_platforms,
            "its module is for CUDA and TPU only; export it for the CPU too: "
            '`jax2tf.convert(..., native_serialization_platforms=["cpu", "cuda"])`',
        ),
        (
            lambda node: node.attr["function_list"].list.func.add(name="f"),
            "its module calls functions of TensorFlow",
        ),
        (
            lambda node: node.attr["dim_args_spec"].list.s.append(b"0.0"),
            "its module takes sizes as inputs",
        ),
        (lambda node: node.input.pop(), "its module has other inputs than the op"),
        (
            lambda node: node.attr["Tout"].list.type.append(1),
            "its module has other outputs than the op",
        ),
        (
            lambda node: node.attr["Tin"].list.type.__setitem__(0, 3),
            "its module has inputs of type f32, which aren't those of the op",
        ),
        (
            lambda node: node.attr["Tin"].list.type.pop(),
            "its module is in a form that isn't known (ValueError)",
        ),
        (
            lambda node: setattr(node.attr["module"], "s", bytes((1 << 26) + 1)),
            "its module is larger than 64 MiB",
        ),
    ],
)
def test_an_op_that_is_not_what_its_module_is_stays_whole(change: Any, reason: str) -> None:
    assert reason_of(change) == reason


def translated(*lines: str, result: str = F32, returned: str = "%r", after: str = "") -> list[Any]:
    """Translate the text of a module that TensorFlow would not serialize."""
    body = "\n".join(f"    {line}" for line in lines)
    text = (
        f"module @m {{\n  func.func public @main(%x: {F32}, %t: tensor<4x4xf32>) -> {result} {{\n"
        f"{body}\n    return {returned} : {result}\n  }}\n{after}}}"
    )
    graph = tf.compat.v1.GraphDef()
    kind = np.dtype(np.float32)
    arguments = [Tensor("x", kind, *[(Rows(), 4)] * 2), Tensor("t", kind, *[(4, 4)] * 2)]
    return Module(parse(text), Nodes(graph, "m", "x", kind)).call("main", arguments)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([f"%r = call @g(%x) : ({F32}) -> {F32}"], "calls a function that it doesn't have"),
        ([f"%r = call @main(%x, %t) : ({F32}, tensor<4x4xf32>) -> {F32}"], "too deeply"),
        ([f"%r = stablehlo.abs %y : {F32}"], "uses a value before it is computed"),
        ([f"%r = stablehlo.transpose %x, dims = [1, 0] : ({F32}) -> {F32}"], "sizes of transpose"),
        ([f"%r = stablehlo.add %x, %t : {F32}"], "add is of values of different sizes"),
        ([f"%r:2 = stablehlo.optimization_barrier %x : {F32}, {F32}"], "another number of results"),
        ([f"stablehlo.outfeed %x : {F32}", f"%r = stablehlo.abs %x : {F32}"], "computes nothing"),
        (
            [f"%r = stablehlo.slice %x [0:4] : ({F32}) -> {F32}"],
            "slice of its module is in another",
        ),
        (["%r = stablehlo.iota dim = 0 : tensor<?x4xf32>"], "sizes of its iota aren't known"),
        (
            [f"%r = stablehlo.dynamic_reshape %x, %t : ({F32}, tensor<4x4xf32>) -> {F32}"],
            "depends on values that aren't constants",
        ),
        (
            [
                "%s = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf32>",
                f"%r = stablehlo.dynamic_reshape %x, %s : ({F32}, tensor<2xf32>) -> {F32}",
            ],
            "computes shapes from numbers that aren't integers",
        ),
    ],
)
def test_text_that_does_not_fit_together_is_refused(lines: list[str], reason: str) -> None:
    """TensorFlow verifies modules; what it lets through may be another thing in each release."""
    with pytest.raises(NotOpened, match=reason):
        translated(*lines)


def test_code_within_functions_within_code_is_refused() -> None:
    """Python's own stack would end before 40 functions of 15 branches each do."""
    zero = "    %z = stablehlo.constant dense<0> : tensor<i32>"
    functions = []
    for level in range(40):
        opening = ['%r = "stablehlo.case"(%z) ({'] * 15
        called = f"%r = func.call @f{level + 1}(%x) : ({F32}) -> {F32}"
        closing = [f"stablehlo.return %r : {F32}\n}}) : (tensor<i32>) -> {F32}"] * 15
        body = "\n".join((zero, *opening, called, *closing, f"return %r : {F32}"))
        functions.append(f"  func.func private @f{level}(%x: {F32}) -> {F32} {{\n{body}\n  }}\n")
    with pytest.raises(NotOpened, match="call each other too deeply"):
        translated(f"%r = call @f0(%x) : ({F32}) -> {F32}", after="".join(functions))


def test_a_module_for_a_fixed_number_of_rows_stays_whole() -> None:
    text = f"module @m {{\n  func.func public @main(%x: {_FIXED}) -> {_FIXED} {{\n"
    text += f"    %r = stablehlo.abs %x : {_FIXED}\n    return %r : {_FIXED}\n  }}\n}}"
    (refusal,) = open_modules(graph_of(text, {"x": rows()["x"]}, [tf.float32])).refused
    assert refusal.reason == "its module is for a fixed number of rows"


def test_a_module_that_leaves_the_length_of_rows_open_stays_whole() -> None:
    text = module_of(f"%r = stablehlo.abs %x : {F32}", F32).replace("?x4x", "?x?x")
    (refusal,) = open_modules(graph_of(text, rows(), [tf.float32])).refused
    assert refusal.reason == "its module leaves more sizes open than the number of rows"
