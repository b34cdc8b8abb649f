"""A statement of a module whose operands have been translated, as the translations take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from tf2spark.compile.stablehlo.module_text import NotOpened, Statement, TensorType, int_list
from tf2spark.compile.stablehlo.values import Known, Nodes, Rows, Size, Sizes, Value


@frozen
class Call:
    """A statement and the values of its operands."""

    nodes: Nodes
    statement: Statement
    inputs: Sequence[Value]

    @property
    def kind(self) -> TensorType:
        """The type of the result.

        Raises:
            NotOpened: It isn't a type of tensors of numbers.
        """
        if not self.statement.types:
            raise NotOpened(f"the type of its {self.statement.op} isn't translated")
        return self.statement.types[0]

    def ints(self, key: str) -> tuple[int, ...]:
        """Return the integers of an attribute."""
        return int_list(self.statement.text, key)

    def static_sizes(self) -> Sizes:
        """Return the sizes of the result.

        Raises:
            NotOpened: The module leaves some open.
        """
        sizes = tuple(size for size in self.kind.sizes if size is not None)
        if len(sizes) < len(self.kind.sizes):
            raise NotOpened(f"the sizes of its {self.statement.op} aren't known")
        return sizes

    def sizes_from(self, index: int) -> Sizes:
        """Return the sizes that an operand holds.

        Raises:
            NotOpened: They depend on more than the number of rows.
        """
        return tuple(_size(number) for number in self.known(index).array.reshape(-1).tolist())

    def known(self, index: int) -> Known:
        """Return an operand whose value is known.

        Raises:
            NotOpened: It isn't.
        """
        value = self.inputs[index]
        if not isinstance(value, Known):
            raise NotOpened(f"its {self.statement.op} depends on values that aren't constants")
        return value


def _size(number: object) -> Size:
    if isinstance(number, int | Rows):
        return number
    raise NotOpened("its module computes shapes from numbers that aren't integers")


Translation = Callable[[Call], Value]
"""Adds the nodes that compute a statement's result."""
