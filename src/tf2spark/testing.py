"""For tests of code that uses tf2spark: a session without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from attrs import define, field

from tf2spark.tensorflow_c.strings import strings_of
from tf2spark.tensorflow_c.tensor import Strings, Tensor

Model = Callable[[dict[str, Tensor]], dict[str, "Tensor | Strings"]]


@define(eq=False)
class FakeSession:
    """A session whose model is a Python function from named feeds to named fetches.

    Attributes:
        model: The function; it may raise what a real session raises.
        runs: How many rows each run had (in its first feed), for tests to check.
    """

    model: Model
    runs: list[int] = field(factory=list)

    def prepare(
        self, feeds: Sequence[str], fetches: Sequence[str]
    ) -> Callable[[Sequence[Tensor]], list[Tensor | Strings]]:
        """Return a function that runs the model on tensors in the order of `feeds`."""

        def run(tensors: Sequence[Tensor]) -> list[Tensor | Strings]:
            self.runs.append(tensors[0].shape[0] if tensors and tensors[0].shape else 0)
            fetched = self.model(dict(zip(feeds, tensors, strict=True)))
            return [fetched[name] for name in fetches]

        return run

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def fed_strings(tensor: Tensor) -> list[bytes]:
    """Return the values of a string tensor that was fed, in row-major order."""
    return strings_of(tensor.data)


def fetched_strings(values: Sequence[str | bytes], shape: tuple[int, ...] | None = None) -> Strings:
    """Make a string tensor as a session fetches it; its shape is [n] if none is given.

    Raises:
        ValueError: The shape doesn't have as many elements as there are values.
    """
    raw = [value.encode() if isinstance(value, str) else value for value in values]
    shape = (len(raw),) if shape is None else shape
    if math.prod(shape) != len(raw):
        raise ValueError(f"{len(raw)} values don't fill the shape {list(shape)}")
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    return Strings(shape, offsets, np.frombuffer(b"".join(raw), np.uint8))
