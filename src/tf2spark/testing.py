"""For tests of code that uses tf2spark: a session without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field

from tf2spark.runtime.tensor import Strings, Tensor

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
