"""How a row is named in messages and in the error column: ``id=8``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa
from attrs import frozen

from tf2spark.errors import shortened
from tf2spark.plan.row_names import ShownColumn
from tf2spark.shown_text import escape

_MAX_CHARACTERS = 40


@frozen
class RowName:
    """What names one row.

    Attributes:
        values: ``id=8``, or empty where the table has no such columns.
        is_id: The values are ids. Others are shown only to help to find the row.
    """

    values: str = ""
    is_id: bool = False

    def in_message(self, number: int, location: str) -> str:
        """Name the row in a message: ``row 8 of partition 3 (id=8)``.

        Args:
            number: The row's number, counted from 0.
            location: Among which rows it was counted: " of partition 3".
        """
        counted = "" if self.is_id else "counted from 0"
        return f"row {number:,}{location} ({'; '.join(filter(None, [counted, self.values]))})"

    def before_reason(self, reason: str) -> str:
        """Return the reason for the error column: ``id=8: column "x" is null``."""
        return f"{self.values}: {reason}" if self.is_id else reason


NameRow = Callable[[pa.RecordBatch, int], RowName]
"""Names the row of a batch with this number."""


def row_namer(shown: Sequence[ShownColumn]) -> NameRow:
    """Return the function that names rows by these columns."""

    def name_row(batch: pa.RecordBatch, row: int) -> RowName:
        values = ((each.label, batch.column(each.column)[row].as_py()) for each in shown)
        return row_name(values, is_id=any(each.is_id for each in shown))

    return name_row


def row_name(values: Iterable[tuple[str, object]], *, is_id: bool) -> RowName:
    """Name a row by the values of some columns; long ones are cut off."""
    return RowName(", ".join(f"{label}={_text(value)}" for label, value in values), is_id)


def error_column(reasons: Mapping[int, str], batch: pa.RecordBatch, name_row: NameRow) -> pa.Array:
    """Return why rows of a batch can't be scored as a column, null for the others."""
    if not reasons:
        return pa.nulls(batch.num_rows, pa.string())
    # They quote names and values, which a terminal that shows the table must not act on.
    safe = {
        row: escape(name_row(batch, row).before_reason(reason)) for row, reason in reasons.items()
    }
    return pa.array([safe.get(row) for row in range(batch.num_rows)], pa.string())


def id_text(name: str, value: pa.Scalar) -> str:
    """Name an item by its id: ``item_id=17``."""
    return f"{name}={_text(value.as_py())}"


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str | bytes):
        return shortened(value, _MAX_CHARACTERS)
    text = str(value)  # dates and decimals as people write them
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 3]}..."
