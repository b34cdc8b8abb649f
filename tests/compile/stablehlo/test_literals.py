"""`literals`: constants as MLIR writes them."""

from __future__ import annotations

import numpy as np
import pytest

from tf2spark.compile.stablehlo.literals import literal
from tf2spark.compile.stablehlo.module_text import NotOpened, TensorType


@pytest.mark.parametrize(
    ("text", "sizes", "element", "expected"),
    [
        ("5", (2, 2), "i32", [[5, 5], [5, 5]]),
        ("-9223372036854775808", (), "i64", -(2**63)),
        ("[[1, 2], [3, -4]]", (2, 2), "i64", [[1, 2], [3, -4]]),
        ("[[[1.000000e+00]], [[-2.5E-1]]]", (2, 1, 1), "f32", [[[1.0]], [[-0.25]]]),
        ("[0x7F800000, 1.0, 0xFF800000]", (3,), "f32", [np.inf, 1.0, -np.inf]),
        ("0x7FC00000", (), "f32", np.nan),
        ("0x7FF0000000000000", (1,), "f64", [np.inf]),
        ('"0x0000803F00000040"', (2,), "f32", [1.0, 2.0]),
        ('"0x0000803F"', (3,), "f32", [1.0, 1.0, 1.0]),
        ('"0x01000000FFFFFFFF"', (2, 1), "i32", [[1], [-1]]),
        ("true", (2,), "i1", [True, True]),
        ("[true, false]", (2,), "i1", [True, False]),
        ("", (0, 3), "f32", np.zeros((0, 3))),
    ],
)
def test_values(text: str, sizes: tuple[int, ...], element: str, expected: object) -> None:
    value = literal(f" dense<{text}>", TensorType(sizes, element))
    np.testing.assert_array_equal(value, np.array(expected, value.dtype))
    assert value.shape == sizes


def test_minus_zero_keeps_its_sign() -> None:
    assert np.signbit(literal("dense<[-0.0]>", TensorType((1,), "f32"))).all()


def test_one_number_for_all_places_takes_no_memory() -> None:
    assert literal("dense<1.0>", TensorType((10**6, 10**6), "f32")).strides == (0, 0)


@pytest.mark.parametrize(
    ("text", "sizes", "element"),
    [
        ("[1, 2]", (3,), "i32"),
        ("[1, [2", (2,), "i32"),
        ("nonsense", (), "f32"),
        ("99999999999", (), "i32"),
        ('"0x01"', (1,), "i1"),
        ('"0x010203"', (1,), "f32"),
        ('"0xZZ"', (1,), "f32"),
        ("[" * 100_000, (1,), "f32"),
        ("dense_resource<blob>", (1,), "f32"),
        ("1", (), "ui8"),
        ("(1.0,2.0)", (), "f32"),
    ],
)
def test_other_forms_are_refused(text: str, sizes: tuple[int, ...], element: str) -> None:
    with pytest.raises(NotOpened):
        literal(f"dense<{text}>", TensorType(sizes, element))
