"""Constants of a StableHLO module, as MLIR writes them: a number, nested lists, or bytes in hex."""

from __future__ import annotations

import json
import re
from math import prod
from typing import Any

import numpy as np

from tf2spark.compile.stablehlo.module_text import NotOpened, TensorType

Array = np.ndarray[Any, Any]
DTYPES: dict[str, type[np.generic]] = {
    "f32": np.float32,
    "f64": np.float64,
    "i1": np.bool_,
    "i32": np.int32,
    "i64": np.int64,
}
_BITS: dict[str, type[np.generic]] = {"f32": np.uint32, "f64": np.uint64}
_HEX = re.compile(r"0x[0-9A-F]+")


def dtype_of(kind: TensorType) -> np.dtype[Any]:
    """Return the dtype of a tensor.

    Raises:
        NotOpened: Values of that type aren't translated.
    """
    if kind.element not in DTYPES:
        raise NotOpened(f"its module computes with values of type {kind.element[:20]}")
    return np.dtype(DTYPES[kind.element])


def literal(text: str, kind: TensorType) -> Array:
    """Return the value of ``dense<...>``; one number for all places takes no more memory than that.

    Raises:
        NotOpened: It is written in another form.
    """
    dtype = dtype_of(kind)
    sizes = tuple(size or 0 for size in kind.sizes)
    inner = text.strip().removeprefix("dense<").removesuffix(">")
    try:
        if not inner and 0 in sizes:
            return np.zeros(sizes, dtype)
        if inner.startswith('"0x'):
            return _from_bytes(bytes.fromhex(inner[3:-1]), dtype, sizes)
        if not inner.startswith("["):
            return np.broadcast_to(_number(inner, kind.element), sizes)
        numbers = json.loads(_HEX.sub(lambda match: f'"{match[0]}"', inner))
        values = [_number(str(number), kind.element) for number in _flat(numbers)]
        return np.array(values, dtype).reshape(sizes)
    except (KeyError, ValueError, RecursionError, OverflowError) as error:
        raise NotOpened("a constant of its module is written in another form") from error


def _from_bytes(data: bytes, dtype: np.dtype[Any], sizes: tuple[int, ...]) -> Array:
    if dtype == np.bool_:
        raise ValueError("packed bits")
    if len(data) == dtype.itemsize != prod(sizes) * dtype.itemsize:
        return np.broadcast_to(np.frombuffer(data, dtype)[0], sizes)
    return np.frombuffer(data, dtype).reshape(sizes)


def _number(text: str, element: str) -> Array:
    """Return a number; a float that has no short decimal form is written as its bits."""
    if element == "i1":
        return np.array({"true": True, "false": False, "True": True, "False": False}[text])
    if text.startswith("0x") and element in _BITS:
        return np.array(int(text, 16), _BITS[element]).view(DTYPES[element])
    return np.array(float(text) if element.startswith("f") else int(text), DTYPES[element])


def _flat(values: Any) -> list[Any]:
    if not isinstance(values, list):
        return [values]
    return [number for value in values for number in _flat(value)]
