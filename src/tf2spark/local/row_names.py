"""How the rows of a DataFrame are named in messages, read from the frame when one fails.

So no column is converted for it, and columns that are not kept can name a row as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from numbers import Integral
from typing import Any
from uuid import UUID

import pyarrow as pa

from tf2spark.plan.row_names import MAX_SHOWN, is_id_name
from tf2spark.plan.score import Plan, read_columns
from tf2spark.worker.row_names import NameRow, RowName, row_name


def frame_row_namer(
    frame: Any, number_column: int, plan: Plan, explicit: Sequence[int] | None
) -> NameRow:
    """Return the function that names the rows of a DataFrame.

    Args:
        frame: The DataFrame.
        number_column: The column of the batches with the frame's row numbers.
        plan: What reads the frame's columns.
        explicit: The positions of the user's own choice of id columns; None to choose.
    """

    def name_row(batch: pa.RecordBatch, row: int) -> RowName:
        number = batch.column(number_column)[row].as_py()
        cells = [(str(name), frame.iat[number, i]) for i, name in enumerate(frame.columns)]
        if explicit is not None:
            return row_name([cells[position] for position in explicit], is_id=True)
        fed = read_columns(plan)
        order = [*(i for i in range(len(cells)) if i not in fed), *fed]
        plain = [cells[i] for i in order if _is_plain(cells[i][1])]
        ids = [cell for cell in plain if is_id_name(cell[0])]
        if not ids and (label := _index_label(frame, number)) is not None:
            ids = [label]
        return row_name((ids or plain)[:MAX_SHOWN], is_id=bool(ids))

    return name_row


def _index_label(frame: Any, number: int) -> tuple[str, object] | None:
    """Return the name and the label of a row in the frame's index, unless it only counts rows."""
    import pandas as pd

    index = frame.index
    if index.name is None and isinstance(index, pd.RangeIndex):
        return None
    names = [str(name) for name in index.names if name is not None]
    return ", ".join(names) or "index", index[number]


def _is_plain(cell: object) -> bool:
    # pandas' timestamps are dates here, and NumPy's integers are integers.
    is_number = isinstance(cell, Integral | Decimal) and not isinstance(cell, bool)
    return is_number or isinstance(cell, str | date | UUID)
