"""Which inputs TensorFlow refuses, in the user's terms.

TensorFlow names the node that failed, such as ``GatherV2_86``: a name that its optimizer or an
exporter made up, several nodes away from any input. So the row is run again with some of its
columns taken from a row that passes. If it passes then, these columns are the cause. Half of them
are replaced at a time, so that a model of 40 inputs costs a few runs of one row; a model of one
input costs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from tf2spark.conversion.rows import RowsRefused, RowsTooLarge, RowsUneven
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.failure import TensorFlowFailure

_MAX_NAMED = 5
# What says where values lie is kept in generated rows: of MLlib's vectors, and of pairs.
_PLACES = frozenset({"type", "size", "indices"})

RunRows = Callable[[pa.RecordBatch], object]


class RefusedInputs:
    """Finds the inputs for which TensorFlow refuses rows.

    Args:
        inputs: How columns become inputs.
        run: Runs rows.
    """

    def __init__(self, inputs: Sequence[InputPlan], run: RunRows) -> None:
        self._inputs = [spec for spec in inputs if spec.sources]
        self._run = run
        # Rows that fail at the same node mostly do so for the same input: that is tried first.
        self._known: dict[str, list[int]] = {}

    @cached_property
    def _columns(self) -> list[int]:
        return sorted({fed.column for spec in self._inputs for fed in spec.sources})

    def reason(
        self, row: pa.RecordBatch, failure: TensorFlowFailure, passed: pa.RecordBatch | None
    ) -> str:
        """Say why a row can't be scored.

        Args:
            row: A batch of this row.
            failure: What TensorFlow said when it ran alone.
            passed: Rows that passed; None if none has.
        """
        columns = self._columns
        if len(columns) > 1:
            columns = self._cause(row, failure.node, passed)
        named = self._named(columns)
        inputs = f" {named}" if named else " it"
        return f"TensorFlow refused{inputs}: {failure.without_node}"

    def _cause(self, row: pa.RecordBatch, node: str, passed: pa.RecordBatch | None) -> list[int]:
        """Return the columns that are the cause, all of them if that can't be found out."""
        smallest = self._columns
        for other in _other_rows(row, passed):
            known = self._known.get(node)
            if known and self._passes(row, other, known):
                return known
            if not self._passes(row, other, self._columns):
                continue
            cause = sorted(self._needed(row, other, self._columns, []))
            if len(cause) < len(smallest):
                smallest = self._known[node] = cause
            if len(cause) == 1:
                break
        return smallest

    def _needed(
        self, row: pa.RecordBatch, other: pa.RecordBatch, columns: list[int], also: list[int]
    ) -> list[int]:
        """Return which of these columns have to be replaced, beside others, for the row to pass."""
        if len(columns) == 1:
            return columns
        first, second = columns[: len(columns) // 2], columns[len(columns) // 2 :]
        for half in (first, second):
            if self._passes(row, other, half + also):
                return self._needed(row, other, half, also)
        needed = self._needed(row, other, first, second + also)
        return needed + self._needed(row, other, second, needed + also)

    def _passes(self, row: pa.RecordBatch, other: pa.RecordBatch, columns: list[int]) -> bool:
        """Return whether a row passes with these columns of another."""
        arrays = [
            (other if index in columns else row).column(index) for index in range(row.num_columns)
        ]
        try:
            self._run(pa.RecordBatch.from_arrays(arrays, names=row.schema.names))
        except (TensorFlowFailure, RowsRefused, RowsUneven, RowsTooLarge):
            return False
        return True

    def _named(self, columns: list[int]) -> str:
        """Name the inputs that some columns feed, and the columns where their names differ."""
        fed = [spec for spec in self._inputs if any(s.column in columns for s in spec.sources)]
        names = [_input_text(spec, columns) for spec in fed]
        if len(names) <= 1:
            return "".join(f"input {name}" for name in names)
        listed = ", ".join(names[:_MAX_NAMED])
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        return f"at least one of the inputs {listed}{more}"


def _input_text(spec: InputPlan, columns: Sequence[int]) -> str:
    labels = list(dict.fromkeys(fed.label for fed in spec.sources if fed.column in columns))
    if labels == [spec.name]:
        return f'"{spec.name}"'
    shown = ", ".join(f'"{label}"' for label in labels[:_MAX_NAMED])
    more = f" and {len(labels) - _MAX_NAMED} more" if len(labels) > _MAX_NAMED else ""
    return f'"{spec.name}" (column{"s" if len(labels) > 1 else ""} {shown}{more})'


def _other_rows(row: pa.RecordBatch, passed: pa.RecordBatch | None) -> Iterator[pa.RecordBatch]:
    """Yield rows to take values from: one that passed, and generated ones of the same shapes."""
    if passed is not None:
        yield passed.slice(0, 1)
    for number in (0, 1):
        arrays = [
            pa.array([_generated(value, number) for value in column.to_pylist()], column.type)
            for column in row.columns
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=row.schema.names)


def _generated(value: Any, number: int) -> Any:
    """Return a value of the same type and shape with one number everywhere."""
    match value:
        case bool() | int() | float():
            return type(value)(number)
        case str():
            return str(number)
        case bytes():
            return str(number).encode()
        case dict():
            return {
                key: part if key in _PLACES else _generated(part, number)
                for key, part in value.items()
            }
        case tuple():  # an entry of a map
            return value[0], _generated(value[1], number)
        case list():
            return [_generated(part, number) for part in value]
        case _:
            return value
