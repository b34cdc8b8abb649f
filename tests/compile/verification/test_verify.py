"""`verify`: which differences between the original and the compiled model are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tf2spark.compile.original import NotCompilable
from tf2spark.compile.verification.verify import _compare, _difference, _refuse_random
from tf2spark.errors import ModelError

_NAN, _INF = float("nan"), float("inf")


def difference(expected: Any, actual: Any, dtype: Any = np.float32) -> float:
    return _difference("y", np.array(expected, dtype), np.array(actual, dtype), 1e-3)


@pytest.mark.parametrize(
    ("expected", "actual", "largest"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([_NAN, _INF, -_INF], [_NAN, _INF, -_INF], 0.0),
        ([0.0], [-0.0], 0.0),
        ([1.0, 0.5], [1.0, 0.5 + 2**-11], 2**-11),
        ([1000.0, 1.0], [1000.5, 1.0], 0.5),
        ([_NAN, 1.0], [_NAN, 1.0 - 2**-12], 2**-12),
        ([], [], 0.0),
    ],
)
def test_the_largest_difference_is_returned(
    expected: Sequence[float], actual: Sequence[float], largest: float
) -> None:
    """Small differences pass: absolute ones of small numbers, relative ones of large numbers."""
    assert difference(expected, actual) == largest


@pytest.mark.parametrize(
    ("expected", "actual", "message"),
    [
        ([1.0, 0.0], [1.0, 0.002], "is 0.00200000009, but the original gives 0: they differ"),
        ([1000.0], [1001.5], "is 1001.5, but the original gives 1000"),
        ([1.0], [_NAN], "is nan, but the original gives 1"),
        ([_NAN], [1.0], "is 1, but the original gives nan"),
        ([_INF], [-_INF], "is -inf, but the original gives inf"),
        ([1.0], [_INF], "is inf, but the original gives 1"),
        ([_INF], [1.0], "is 1, but the original gives inf"),
        ([_NAN, 1.0], [_NAN, 2.0], "is 2, but the original gives 1"),
        ([0.0, 0.0, 0.0], [0.002, 0.005, 0.0], "is 0.00499999989, but"),
    ],
)
def test_the_worst_value_is_named(
    expected: Sequence[float], actual: Sequence[float], message: str
) -> None:
    """Beyond the tolerance the message has the value that is furthest off, on both sides."""
    with pytest.raises(ModelError) as caught:
        difference(expected, actual)
    assert message in str(caught.value)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, object])
def test_exact_types_must_be_equal(dtype: Any) -> None:
    """Integers, bools and strings have no tolerance."""
    values = [b"a", b"b"] if dtype is object else [0, 1]
    assert difference(values, values, dtype) == 0.0
    with pytest.raises(
        ModelError, match=r'output "y" of the compiled model is .*, but the original'
    ):
        difference(values, values[::-1], dtype)


def test_shapes_must_be_equal() -> None:
    """Values that would broadcast don't pass, nor the same values in another shape."""
    with pytest.raises(ModelError, match=r"has shape \[1\], but that of the original has \[2\]"):
        difference([1.0, 1.0], [1.0])
    with pytest.raises(ModelError, match=r"has shape \[2, 1\], but that of the original has \[2\]"):
        difference([1.0, 1.0], [[1.0], [1.0]])
    with pytest.raises(ModelError, match=r"has shape \[1, 2\], but that of the original has \[2\]"):
        difference([1, 2], [[1, 2]], np.int64)


def test_a_difference_of_a_random_model_is_not_an_error() -> None:
    """Two models with the same seed draw other numbers, so this one can only be packed as it is."""
    arrays = np.zeros(1, np.float32), np.ones(1, np.float32)
    with pytest.raises(ModelError, match="by more than the tolerance"):
        _compare("y", *arrays, 1e-3, None)
    with pytest.raises(NotCompilable, match=r'"y" depends on random numbers \(RandomUniform\)'):
        _compare("y", *arrays, 1e-3, "RandomUniform")


def test_outputs_that_change_between_runs_are_refused() -> None:
    """The bits of both runs are compared, whatever the tolerance, and NaN equals itself."""
    same = [np.array([_NAN, 1.0], np.float32), np.array([b"a"], object)]
    _refuse_random(["x", "y"], same, [array.copy() for array in same])
    other = [same[0], np.array([b"b"], object)]
    with pytest.raises(NotCompilable, match='its output "y" changes from run to run'):
        _refuse_random(["x", "y"], same, other)
    with pytest.raises(NotCompilable, match='its output "x" changes from run to run'):
        _refuse_random(["x"], [np.zeros(1)], [np.full(1, 1e-12)])
