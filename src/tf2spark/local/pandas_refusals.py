"""Why a column of pandas has no Arrow array, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tf2spark.binding.advice.expressions import pandas_column
from tf2spark.errors import ContractError, shortened

_TEXT = (str, bytes, bytearray)


def check_dtype(series: Any, name: str) -> None:
    """Check that a column is not of a dtype that would be fed as numbers which nobody meant.

    Raises:
        ContractError: It has periods, which pandas stores as counts of them, or complex numbers.
    """
    import pandas as pd

    column, dtype = pandas_column((name,)), series.dtype
    if isinstance(dtype, pd.PeriodDtype):
        raise ContractError(
            f'column "{name}" ({dtype}) has periods, and no input takes those',
            f'write {column} = {column}.astype("string") to feed text, or '
            f'{column}.astype("int64") to feed the number of each period',
        )
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise ContractError(
            f'column "{name}" ({dtype}) has complex numbers, and no input takes those from a table',
            f'feed their parts: df["real"], df["imag"] = np.real({column}), np.imag({column})',
        )


def check_index(frame: Any, wanted: Iterable[str]) -> None:
    """Check that no column that a call needs is in the index, as after ``groupby(...).agg(...)``.

    Args:
        frame: The DataFrame.
        wanted: The names of the columns that feed inputs.

    Raises:
        ContractError: One is.
    """
    index = set(map(str, filter(None, frame.index.names)))
    hidden = [name for name in wanted if name in index and name not in frame.columns]
    if hidden:
        raise ContractError(
            f'the table has no column "{hidden[0]}": it is in the index', "write df.reset_index()"
        )


def unconvertible(series: Any, name: str, error: Exception) -> ContractError:
    """Return the error of a column of objects that have no common type.

    Args:
        series: The column.
        name: Its name.
        error: What pyarrow says.
    """
    column = pandas_column((name,))
    cells = [(row, cell) for row, cell in enumerate(series) if not _is_missing(cell)]
    for row, cell in cells:
        if isinstance(cell, int) and not -(1 << 63) <= cell < 1 << 64:
            return ContractError(
                f'column "{name}" has {cell} in row {row}, and integers have 64 bits',
                f'write {column} = {column}.astype("float64"), or {column}.astype("string")',
            )
    examples = _one_of_each_type(cells)
    if len(examples) < 2:
        return ContractError(
            f'the values of column "{name}" ({series.dtype}) can\'t become a tensor: {error}'
        )
    shown = ", ".join(
        f"{type(cell).__name__} in row {row} ({shortened(cell, 30)})" for row, cell in examples
    )
    text = f'{column}.astype("string") for text'
    has_text = any(isinstance(cell, _TEXT) for _, cell in examples)
    numbers = f' or pd.to_numeric({column}, errors="coerce") for numbers' if has_text else ""
    return ContractError(
        f'the values of column "{name}" are not of one type: {shown}',
        f"make them one type first: {column} = {text}{numbers}",
    )


def _one_of_each_type(cells: Iterable[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Return the first value of each of the first three types."""
    first: dict[type, tuple[int, Any]] = {}
    for row, cell in cells:
        first.setdefault(type(cell), (row, cell))
    return list(first.values())[:3]


def _is_missing(cell: Any) -> bool:
    import pandas as pd

    is_nan = isinstance(cell, float) and cell != cell
    return cell is None or cell is pd.NA or cell is pd.NaT or is_nan
