"""Constants and pad values held against an input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cases.contracts import N, dense, ragged, sparse, unknown_rank
from tf2spark.binding.constants import check_pad, example, plan_constant
from tf2spark.binding.feeds import Constant
from tf2spark.dtypes import (
    BFLOAT16,
    BOOL,
    FLOAT32,
    HALF,
    INT8,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT64,
    DType,
    from_code,
)
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import TensorSpec


@pytest.mark.parametrize(
    ("spec", "value", "form", "fed"),
    [
        (dense(FLOAT32), 0.5, "constant", 0.5),
        (dense(FLOAT32), 1, "constant", 1),
        (dense(FLOAT32), math.inf, "constant", math.inf),
        (dense(BOOL), True, "constant", True),
        (dense(STRING), "en", "constant", "en"),
        (dense(STRING), b"\xff\x00", "constant", b"\xff\x00"),
        (dense(UINT64), 2**64 - 1, "constant", 2**64 - 1),
        (unknown_rank(FLOAT32), 0.5, "constant", 0.5),
        (unknown_rank(FLOAT32), [0.5, 1.5], "constant", [0.5, 1.5]),
        (dense(FLOAT32, 2), [0.5, 1.5], "constant", [0.5, 1.5]),
        (dense(FLOAT32, 2), 0.5, "constant", [0.5, 0.5]),
        (dense(FLOAT32, 2, 2), [0.5, 1.5], "constant", [[0.5, 1.5], [0.5, 1.5]]),
        (dense(INT32, N), [1, 2, 3], "constant", [1, 2, 3]),
        (dense(INT32, N), np.array([1, 2]), "constant", [1, 2]),
        (dense(INT32, N), 7, "broadcast", 7),
        (dense(INT32, N, 2), 7, "broadcast", [7, 7]),
        (dense(INT32, N, 2), [7, 8], "broadcast", [7, 8]),
        (dense(INT32, N, N), [7, 8], "broadcast", [7, 8]),
        (dense(STRING, N, 2), "a\0", "broadcast", ["a\0", "a\0"]),
    ],
)
def test_constants_are_fed_whole_or_to_each_row(
    spec: TensorSpec, value: Any, form: str, fed: Any
) -> None:
    """A constant of the input's own shape is fed unchanged, others are repeated for every row."""
    plan = plan_constant(spec, Constant(value))
    assert (plan.form, plan.value, plan.tensors) == (form, fed, ("x:0",))


INTEGERS = "it takes integers from"


@pytest.mark.parametrize(
    ("spec", "value", "problem"),
    [
        (dense(FLOAT32), True, "can't take True: it takes numbers that float32 can hold"),
        (dense(FLOAT32), "a", "can't take 'a': it takes numbers that float32 can hold"),
        (dense(FLOAT32), 1e39, "can't take 1e+39: it takes numbers that float32 can hold"),
        (dense(BFLOAT16), 1e39, "can't take 1e+39: it takes numbers that bfloat16 can hold"),
        (dense(HALF), 70000, "can't take 70000: it takes numbers that float16 can hold"),
        (dense(FLOAT32), None, "can't take None: it takes numbers that float32 can hold"),
        (dense(FLOAT32), {"a": 1}, "can't take {'a': 1}: it takes numbers that float32 can hold"),
        (dense(INT32), 1.0, f"can't take 1.0: {INTEGERS} -2147483648 to 2147483647"),
        (dense(INT32), 2**31, f"can't take 2147483648: {INTEGERS} -2147483648 to 2147483647"),
        (dense(INT8), -129, f"can't take -129: {INTEGERS} -128 to 127"),
        (dense(UINT8), -1, f"can't take -1: {INTEGERS} 0 to 255"),
        (dense(INT64), True, f"can't take True: {INTEGERS} {-(2**63)} to {2**63 - 1}"),
        (dense(UINT64), 2**64, f"can't take {2**64}: {INTEGERS} 0 to {2**64 - 1}"),
        (dense(BOOL), 1, "can't take 1: it takes True or False"),
        (dense(STRING), 1, "can't take 1: it takes text"),
        (dense(FLOAT32), [1.0], "can't take a constant of shape [1]; its shape must be []"),
        (
            dense(FLOAT32, N, 3),
            [1.0, 2.0],
            "can't take a constant of shape [2]; its shape must be [None, 3] or [3] or []",
        ),
        (
            dense(FLOAT32, N, 3),
            [[[1.0]]],
            "can't take a constant of shape [1, 1, 1]; its shape must be [None, 3] or [3] or []",
        ),
        (
            dense(FLOAT32, N, N),
            1.0,
            "can't take a single value, because its width isn't known; write literal([...]) with "
            "the values of one row",
        ),
        (dense(FLOAT32, N, 2), [[1.0], [2.0, 3.0]], "can't take [[1.0], [2.0, 3.0]]: its lists "
            "differ in length"),
        (sparse(), 1.0, 'can\'t take a constant; feed a column: feed={"x": "COLUMN"}'),
        (ragged(N, N), 1, 'can\'t take a constant; feed a column: feed={"x": "COLUMN"}'),
        (dense(from_code(20)), 1, "can't take 1: it takes resource, and nothing can feed that"),
        (dense(from_code(8)), 1.0, "can't take 1.0: it takes complex64, and nothing can feed that"),
    ],
)  # fmt: skip
def test_wrong_constants(spec: TensorSpec, value: Any, problem: str) -> None:
    """Another dtype, a value out of range and another shape say what the input takes."""
    with pytest.raises(ContractError) as refused:
        plan_constant(spec, Constant(value))
    assert str(refused.value).partition(") ")[2] == problem


def test_a_message_names_the_input() -> None:
    """The input comes first, with dtype and shape."""
    with pytest.raises(ContractError) as refused:
        plan_constant(dense(FLOAT32, name="keep_prob"), Constant(True))
    assert str(refused.value) == (
        'input "keep_prob" (float32 []) can\'t take True: it takes numbers that float32 can hold'
    )


@pytest.mark.parametrize(
    ("dtype", "pad"), [(FLOAT32, 0), (FLOAT32, -1.5), (INT64, -1), (STRING, ""), (BOOL, False)]
)
def test_pads_of_the_inputs_kind(dtype: DType, pad: Any) -> None:
    """A value of the input's kind fills rows up."""
    check_pad(dense(dtype, N, N), pad)


@pytest.mark.parametrize(
    ("dtype", "pad", "message"),
    [
        (INT32, 1.5, "padded with 1.5: it takes integers from -2147483648 to 2147483647"),
        (UINT8, 256, "padded with 256: it takes integers from 0 to 255"),
        (FLOAT32, "", "padded with '': it takes numbers that float32 can hold"),
        (STRING, 0, "padded with 0: it takes text"),
        (BOOL, 0, "padded with 0: it takes True or False"),
    ],
)
def test_wrong_pads(dtype: DType, pad: Any, message: str) -> None:
    """A pad that no value of the input could be is refused."""
    with pytest.raises(ContractError) as refused:
        check_pad(dense(dtype, N, N), pad)
    assert str(refused.value) == f'input "x" ({dtype} [None, None]) can\'t be {message}'


@pytest.mark.parametrize(
    ("dtype", "value"), [(FLOAT32, 1.0), (INT32, 1), (BOOL, True), (STRING, "text")]
)
def test_examples_are_constants_that_fit(dtype: DType, value: Any) -> None:
    """The example in a message is a constant of the input's dtype."""
    assert example(dense(dtype)) == Constant(value)
