"""`module_text`: what is read of MLIR's text, and what of it isn't."""

from __future__ import annotations

import pytest

from tf2spark.compile.stablehlo.module_text import (
    NotOpened,
    TensorType,
    called_function,
    int_list,
    parse,
    same_rows,
    tensor_type,
)

_KIND = "tensor<?x8xf32>"


def module(*lines: str, name: str = "main") -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"module @m {{\n  func.func public @{name}(%x: {_KIND}) -> {_KIND} {{\n{body}\n  }}\n}}"


def test_a_statement_has_its_name_operands_and_types() -> None:
    main = parse(module(f"%0 = stablehlo.add %x, %x : {_KIND}", f"return %0 : {_KIND}"))["main"]
    (statement,) = main.statements
    assert (statement.op, statement.result, statement.operands) == ("add", "%0", ("%x", "%x"))
    assert statement.types == (TensorType((None, 8), "f32"),)
    assert main.returned == ("%0",)


def test_names_and_braces_within_quotes_are_no_operands() -> None:
    attributes = '{message = "of %y {", n = 1 : i32}'
    text = f"%0 = stablehlo.custom_call @f(%x) {attributes} : ({_KIND}) -> {_KIND}"
    main = parse(module(text, f"return %0 : {_KIND}"))["main"]
    assert main.statements[0].operands == ("%x",)


def test_a_barrier_has_the_types_of_all_its_operands() -> None:
    text = f"%0:2 = stablehlo.optimization_barrier %x, %x : {_KIND}, {_KIND}"
    (statement,) = parse(module(text, f"return %0#1 : {_KIND}"))["main"].statements
    assert len(statement.types) == 2


def test_code_of_an_op_is_a_region_with_names_of_its_own() -> None:
    lines = (
        '%0 = "stablehlo.sort"(%x) ({',
        "^bb0(%a: tensor<f32>, %b: tensor<f32>):",
        "  %c = stablehlo.compare LT, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>",
        "  stablehlo.return %c : tensor<i1>",
        f"}}) : ({_KIND}) -> {_KIND}",
        f"return %x : {_KIND}",
    )
    (statement,) = parse(module(*lines))["main"].statements
    assert (statement.op, statement.operands) == ("sort", ("%x",))
    assert statement.types == (TensorType((None, 8), "f32"),)
    (region,) = statement.regions
    assert (region.parameters, region.returned) == (("%a", "%b"), ("%c",))


def test_a_loop_has_a_condition_and_a_body_of_what_it_carries() -> None:
    lines = (
        f"%0:2 = stablehlo.while(%c = %x, %d = %x) : {_KIND}, {_KIND}",
        "cond {",
        "  stablehlo.return %c : tensor<i1>",
        "} do {",
        f"  stablehlo.return %d, %c : {_KIND}, {_KIND}",
        "}",
        f"return %0#1 : {_KIND}",
    )
    (loop,) = parse(module(*lines))["main"].statements
    assert (loop.op, loop.operands, len(loop.types)) == ("while", ("%x", "%x"), 2)
    assert [region.parameters for region in loop.regions] == [("%c", "%d")] * 2
    assert loop.regions[1].returned == ("%d", "%c")


def test_what_a_reduction_computes_is_on_the_lines_after_it() -> None:
    lines = (
        f"%0:2 = stablehlo.reduce(%x init: %y), (%x init: %y) across dimensions = [1] : {_KIND}",
        " reducer(%a: tensor<f32>, %b: tensor<f32>) (%c: tensor<f32>, %d: tensor<f32>)  {",
        "  stablehlo.return %a, %c : tensor<f32>, tensor<f32>",
        "}",
        f"return %0#1 : {_KIND}",
    )
    (reduction,) = parse(module(*lines))["main"].statements
    assert reduction.regions[0].parameters == ("%a", "%b", "%c", "%d")


def test_code_within_code_up_to_any_depth_is_refused() -> None:
    opening = ['%0 = "stablehlo.case"(%x) ({'] * 5_000
    with pytest.raises(NotOpened, match="nested too deeply"):
        parse(module(*opening))


@pytest.mark.parametrize("name", ["f.1$-", '"<lambda>"', '"a (b) {"', r'"a \" b"'])
def test_functions_are_called_by_the_names_that_they_are_declared_with(name: str) -> None:
    text = module(
        f"%0 = call @{name}(%x) : ({_KIND}) -> {_KIND}", f"return %0 : {_KIND}", name=name
    )
    function = parse(text)[name]
    assert called_function(function.statements[0]) == name


@pytest.mark.parametrize(
    "text",
    [
        "module @m {\n  func.func public @main() {\n    return\n  }\n}",
        module("%0 = chlo.erf %x : tensor<f32>"),
        module("%0 = stablehlo.abs %x : tensor<f32>"),
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(NotOpened):
        parse(text)


@pytest.mark.parametrize("text", ["tensor<*xf32>", "tensor<?xf32, #b<1>>", "!stablehlo.token", ""])
def test_types_of_other_kinds_are_refused(text: str) -> None:
    with pytest.raises(NotOpened):
        tensor_type(text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("dims = [0, 2]", (0, 2)),
        ("dims = []", ()),
        ("slice_sizes = array<i64: 1, 8>, dims = [3]", (3,)),
        ("dims = array<i64: 1, 8>", (1, 8)),
        ("other_dims = [1]", ()),
    ],
)
def test_integers_of_an_attribute(text: str, numbers: tuple[int, ...]) -> None:
    assert int_list(text, "dims") == numbers


@pytest.mark.parametrize(("comparison", "is_same"), [("EQ", True), ("GE", False)])
def test_rows_are_the_same_if_the_module_asserts_it(comparison: str, is_same: bool) -> None:
    kinds = "(tensor<i32>, tensor<i32>)"
    lines = (
        f"%0 = stablehlo.get_dimension_size %x, dim = 0 : ({_KIND}) -> tensor<i32>",
        f"%1 = stablehlo.get_dimension_size %y, dim = 0 : ({_KIND}) -> tensor<i32>",
        f"%2 = stablehlo.compare  {comparison}, %1, %0,  SIGNED : {kinds} -> tensor<i1>",
        f"stablehlo.custom_call @shape_assertion(%2, %1, %0) : (tensor<i1>, {kinds[1:]} -> ()",
        f"return %x : {_KIND}",
    )
    main = parse(module(*lines))["main"]
    assert same_rows(main, ["%x", "%y"]) is is_same
    assert not same_rows(main, ["%x", "%y", "%z"])
