"""Constants, and the values that short rows are padded with, checked against an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tf2spark.binding.advice.feeds import feed_advice
from tf2spark.binding.feeds import Column, Constant, Example, Feed
from tf2spark.binding.messages import input_text, near_names
from tf2spark.dtypes import DType, Shape, shape_text
from tf2spark.errors import Advice, ContractError, shortened
from tf2spark.plan.score import Form, InputPlan
from tf2spark.saved_model.contract import TensorSpec


def plan_constant(spec: TensorSpec, feed: Constant) -> InputPlan:
    """Decide how a constant feeds an input.

    A constant of the input's own shape is fed unchanged, one of a row's shape is repeated for every
    row, and a single value fills the rows of any input whose dimensions are known.

    Raises:
        ContractError: Its dtype or shape isn't the input's.
    """
    text = input_text(spec)
    if spec.kind != "dense":
        raise ContractError(
            f"{text} can't take a constant",
            "feed a column: " + feed_advice({spec.name: Column("COLUMN")}),
        )
    array = _as_array(text, spec.dtype, feed.value)
    if spec.shape is None or _matches(array.shape, spec.shape):
        return _plan(spec, "constant", _as_given(feed.value))
    dims = spec.shape[1:]
    if not spec.shape or not (array.shape == () or _matches(array.shape, dims)):
        shapes = dict.fromkeys([shape_text(spec.shape), shape_text(dims), "[]"])
        raise ContractError(
            f"{text} can't take a constant of shape {shape_text(array.shape)}",
            "its shape must be " + (" or ".join(shapes) if spec.shape else "[]"),
        )
    row: Any = _as_given(feed.value)
    if array.shape == ():
        for size in reversed(_known_sizes(spec, dims)):
            row = [row] * size
    if spec.shape[0] is not None:
        return _plan(spec, "constant", [row] * spec.shape[0])
    return _plan(spec, "broadcast", row)


def _plan(spec: TensorSpec, form: Form, value: Any) -> InputPlan:
    return InputPlan(spec.name, spec.tensors, form, spec.dtype, value=value)


def _as_given(value: Any) -> Any:
    # Plain Python values pickle and compare. Text never goes through NumPy, which strips trailing
    # NULs.
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def check_pad(spec: TensorSpec, pad: Any) -> None:
    """Check that an input can be padded with `pad`.

    Raises:
        ContractError: It has another dtype.
    """
    text = input_text(spec)
    try:
        _as_array(text, spec.dtype, pad)
    except ContractError:
        raise ContractError(
            f"{text} can't be padded with {pad!r}: it takes {_accepted(spec.dtype)}"
        ) from None


def likely_feed(spec: TensorSpec, names: Sequence[str]) -> Feed:
    """Return the most likely feed of an input, for a table with these columns."""
    if spec.example is not None and not set(spec.example.keys).isdisjoint(names):
        return Example(every_key=True)
    if nearest := near_names(spec.name, names):
        return Column(nearest[0])
    return example(spec) if spec.shape == () else Column("COLUMN")


def example(spec: TensorSpec) -> Constant:
    """Return a constant that an input would take."""
    if spec.dtype.name == "string":
        return Constant("text")
    if spec.dtype.name == "bool":
        return Constant(True)
    return Constant(1 if spec.dtype.is_integer else 1.0)


def _known_sizes(spec: TensorSpec, dims: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return a row's dimensions, which the value is repeated to fill; refuse unknown ones."""
    if None in dims:
        row = Advice("literal([...])", f"--feed {spec.name}:=[...]")
        raise ContractError(
            f"{input_text(spec)} can't take a single value, because its width isn't known",
            "write " + row + " with the values of one row",
        )
    return tuple(size for size in dims if size is not None)


def _as_array(text: str, dtype: DType, value: Any) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ContractError(f"{text} can't take {value!r}: its lists differ in length") from None
    if not _fits(array, dtype):
        raise ContractError(f"{text} can't take {shortened(value)}: it takes {_accepted(dtype)}")
    return array


def _fits(array: npt.NDArray[Any], dtype: DType) -> bool:
    kind, target = array.dtype.kind, dtype.numpy
    if dtype.name == "string":
        return kind in "US"
    if target is None:
        return False
    if dtype.name == "bool":
        return kind == "b"
    if dtype.is_floating:
        return kind in "iuf" and _within_float(array, dtype)
    if kind not in "iu":
        return False
    low, high = _limits(dtype)
    return array.size == 0 or (int(array.min()) >= low and int(array.max()) <= high)


def _within_float(array: npt.NDArray[Any], dtype: DType) -> bool:
    # bfloat16 has the range of float32, up to rounding.
    target = np.dtype(np.float32) if dtype.name == "bfloat16" else dtype.numpy
    with np.errstate(over="ignore"):
        return bool((np.isfinite(array) <= np.isfinite(array.astype(target))).all())


def _limits(dtype: DType) -> tuple[int, int]:
    assert dtype.numpy is not None
    info = np.iinfo(dtype.numpy.str)
    return int(info.min), int(info.max)


def _accepted(dtype: DType) -> str:
    if dtype.name == "string":
        return "text"
    if dtype.name == "bool":
        return "True or False"
    if dtype.is_floating:
        return f"numbers that {dtype} can hold"
    if dtype.is_integer:
        low, high = _limits(dtype)
        return f"integers from {low} to {high}"
    return f"{dtype}, and nothing can feed that"


def _matches(shape: tuple[int, ...], expected: Shape) -> bool:
    return expected is not None and len(shape) == len(expected) and all(
        size in (None, actual) for size, actual in zip(expected, shape, strict=True)
    )  # fmt: skip
