"""For tests of code that uses tf2spark: a session without TensorFlow."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence

import numpy as np
from attrs import define, field

from tf2spark.tensorflow_c.tensor import Strings, Tensor

Model = Callable[[dict[str, Tensor]], dict[str, "Tensor | Strings"]]


@define
class FakeSession:
    """A session whose model is a Python function from named feeds to named fetches.

    Attributes:
        model: The function; it may raise what a real session raises.
        runs: How many rows each run had (of its first feed), for tests to look at.
    """

    model: Model
    runs: list[int] = field(factory=list)

    def prepare(
        self, feeds: Sequence[str], fetches: Sequence[str]
    ) -> Callable[[Sequence[Tensor]], list[Tensor | Strings]]:
        """Return the function that runs the model on tensors in the order of `feeds`."""

        def run(tensors: Sequence[Tensor]) -> list[Tensor | Strings]:
            self.runs.append(tensors[0].shape[0] if tensors and tensors[0].shape else 0)
            fetched = self.model(dict(zip(feeds, tensors, strict=True)))
            return [fetched[name] for name in fetches]

        return run

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def fed_strings(tensor: Tensor) -> list[bytes]:
    """Return the values of a string tensor that was fed, in row-major order."""
    words = tensor.data.reshape(-1).view(np.uint64).reshape(-1, 3).tolist()
    # The "large" form holds the pointer last, after a capacity.
    places = [(first >> 2, last if first & 3 == 1 else second) for first, second, last in words]
    return [ctypes.string_at(address, size) if size else b"" for size, address in places]


def fetched_strings(values: Sequence[str | bytes], shape: tuple[int, ...] | None = None) -> Strings:
    """Make a string tensor as a session fetches it; its shape is [n] where none is given.

    Raises:
        ValueError: The shape has not as many places as there are values.
    """
    raw = [value.encode() if isinstance(value, str) else value for value in values]
    shape = (len(raw),) if shape is None else shape
    if math.prod(shape) != len(raw):
        raise ValueError(f"{len(raw)} values don't fill the shape {list(shape)}")
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    return Strings(shape, offsets, np.frombuffer(b"".join(raw), np.uint8))
