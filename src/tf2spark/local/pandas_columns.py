"""Columns of pandas as Arrow arrays, and columns of a result as those of pandas.

Missing values: None, NA and NaT are nulls. NaN among floats stays NaN, a number like any other, as
in pyarrow and Spark; among other objects (strings, lists) it is a null, as pandas itself uses it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import frozen

from tf2spark.errors import ContractError, Mistakes
from tf2spark.local.pandas_refusals import check_dtype, unconvertible


def table_to_arrow(table: Any, paths: Collection[str]) -> pa.Table:
    """Return a pyarrow Table, a RecordBatch or a DataFrame as a Table; see `frame_to_arrow`."""
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    return frame_to_arrow(table, paths)


def frame_to_arrow(frame: Any, paths: Collection[str]) -> pa.Table:
    """Convert the columns of a DataFrame that these paths read; the others become nulls.

    Raises:
        ContractError: The values of such a column are not of one type, or of one without a tensor.
    """
    layout = _layout_of(frame, paths)
    if frame.size <= _FEW_CELLS:
        arrays = _arrays_of_few_rows(frame, layout)
    else:
        read = sorted((*layout.others, *chain(*layout.numbers.values())))
        series = (frame.iloc[:, index] for index in read)
        arrays = _arrays_of(read, series, layout.names)
    return pa.Table.from_arrays(_all_arrays(frame, layout, arrays), names=list(layout.names))


def frame_with_row_numbers(
    frame: Any, paths: Collection[str]
) -> tuple[pa.Schema, pa.Table | pa.RecordBatch]:
    """Convert a DataFrame as `frame_to_arrow` does; return the schema, and the columns.

    After the columns comes one of row numbers: it shows which rows of the frame a result has.
    """
    layout = _layout_of(frame, paths)
    if layout.others or not 0 < frame.size <= _FEW_CELLS:
        table = frame_to_arrow(frame, paths)
        return table.schema, with_row_numbers(table)
    arrays = _all_arrays(frame, layout, _arrays_of_few_rows(frame, layout))
    arrays.append(pa.array(np.arange(len(frame))))
    batch = pa.RecordBatch.from_arrays(arrays, schema=layout.schema_with_row)
    return layout.schema, batch


# Up to here, a copy is faster than to have pandas return one column after the other.
_FEW_CELLS = 1 << 16


@frozen
class _Layout:
    """What the names and dtypes of a frame's columns say, for frames that come again and again.

    Attributes:
        names: The names of all columns.
        numbers: The positions of the columns of numbers and bools that are read, by their dtype.
        others: The positions of the other columns that are read.
        objects: Those of them whose dtype is object.
    """

    names: tuple[str, ...]
    numbers: dict[Any, list[int]]
    others: list[int]
    objects: list[int]

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema where all columns that are read are of numbers and bools."""
        types = dict.fromkeys(range(len(self.names)), pa.null())
        for dtype, positions in self.numbers.items():
            types |= dict.fromkeys(positions, pa.from_numpy_dtype(dtype))
        return pa.schema([pa.field(self.names[i], kind) for i, kind in types.items()])

    @cached_property
    def schema_with_row(self) -> pa.Schema:
        """That schema with the column of row numbers."""
        return self.schema.append(pa.field("row", pa.int64()))


def _layout_of(frame: Any, paths: Collection[str]) -> _Layout:
    # Other dtypes than NumPy's may have much in them, such as the categories of a column.
    dtypes = (dtype if isinstance(dtype, np.dtype) else None for dtype in frame.dtypes.tolist())
    return _layout(tuple(map(str, frame.columns)), tuple(dtypes), _beginnings(tuple(paths)))


@lru_cache(maxsize=32)
def _layout(names: tuple[str, ...], dtypes: tuple[Any, ...], read: frozenset[str]) -> _Layout:
    numbers: dict[Any, list[int]] = {}
    others: list[int] = []
    for index, (name, dtype) in enumerate(zip(names, dtypes, strict=True)):
        if name in read:
            is_number = dtype is not None and dtype.kind in "biuf" and dtype.isnative
            (numbers.setdefault(dtype, []) if is_number else others).append(index)
    objects = [i for i in others if (dtype := dtypes[i]) is not None and dtype.kind == "O"]
    return _Layout(names, numbers, others, objects)


def _arrays_of_few_rows(frame: Any, layout: _Layout) -> dict[int, pa.Array]:
    """Convert columns of a small frame: those of numbers and bools together, by their dtype."""
    rows, names = len(frame), layout.names
    arrays = _texts_of_few_rows(frame, layout.objects)
    others = [index for index in layout.others if index not in arrays]
    arrays |= _arrays_of(others, _series(frame, others), names)
    for group in layout.numbers.values():
        part = frame if len(group) == len(names) else frame.iloc[:, group]
        # One column after the other, in one array of which each is a part.
        values = pa.array(part.to_numpy().reshape(-1, order="F"), from_pandas=False)
        arrays |= {index: values.slice(i * rows, rows) for i, index in enumerate(group)}
    return arrays


def _texts_of_few_rows(frame: Any, positions: list[int]) -> dict[int, pa.Array]:
    """Convert those of some columns of objects that have nothing but strings."""
    arrays: dict[int, pa.Array] = {}
    if not positions or not len(frame):
        return arrays
    for index, cells in zip(positions, frame.iloc[:, positions].to_numpy().T, strict=True):
        values = cells.tolist()
        if all(type(value) is str for value in values):
            with suppress(UnicodeError):  # a lone surrogate: the message names its row
                arrays[index] = pa.array(values, pa.string())
    return arrays


def _series(frame: Any, positions: list[int]) -> list[Any]:
    try:
        return [series for _, series in frame.iloc[:, positions].items()] if positions else []
    except ValueError:  # pandas copies no numbers whose bytes are in the other order
        return [frame.iloc[:, position] for position in positions]


def _all_arrays(
    frame: Any, layout: _Layout, arrays: Mapping[int, pa.Array]
) -> list[pa.Array | pa.ChunkedArray]:
    """Return the arrays of all columns, nulls for those that aren't read."""
    count = len(layout.names)
    if len(arrays) == count:
        return [arrays[index] for index in range(count)]
    unread = pa.nulls(len(frame))
    return [arrays.get(index, unread) for index in range(count)]


@lru_cache(maxsize=32)
def _beginnings(paths: tuple[str, ...]) -> frozenset[str]:
    """Return what can be the name of a column in these paths: it may have dots itself."""
    return frozenset(head for path in paths for head in accumulate(path.split("."), "{}.{}".format))


def with_row_numbers(table: pa.Table) -> pa.Table:
    """Append a column of row numbers: it shows which rows of a frame a result has."""
    return table.append_column("row", pa.array(np.arange(table.num_rows)))


def frame_of_result(frame: Any, kept: Sequence[int], result: pa.Table) -> Any:
    """Return columns of a DataFrame, as they are, beside those of a result.

    Args:
        frame: The DataFrame.
        kept: The positions of the columns that are kept.
        result: The result, its first column the numbers of the frame's rows that it has.
    """
    import pandas as pd

    rows = result.column(0).to_numpy()
    outputs = _to_frame(result.select(range(1, result.num_columns)))
    outputs.index = frame.index.take(rows)
    if not kept:
        return outputs
    keeps_all = tuple(kept) == tuple(range(frame.shape[1]))
    kept_rows = (frame if keeps_all else frame.iloc[:, list(kept)]).take(rows)
    out = pd.concat([kept_rows, outputs], axis=1)
    out.columns = [*kept_rows.columns, *outputs.columns]
    return out


def _arrays_of(
    positions: Sequence[int], series: Iterable[Any], names: Sequence[str]
) -> dict[int, pa.Array]:
    mistakes, arrays = Mistakes(), {}
    for position, each in zip(positions, series, strict=True):
        with mistakes.collected():
            arrays[position] = _array_of(each, names[position])
    mistakes.raise_all()
    return arrays


def _array_of(series: Any, name: str) -> pa.Array:
    try:
        check_dtype(series, name)
        return _converted(series)
    except ContractError:
        raise
    except (pa.ArrowException, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise unconvertible(series, name, error) from None


def _converted(series: Any) -> pa.Array:
    import pandas as pd

    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        # Not the series, which takes longer, and whose NaN would be a null.
        native = series.dtype.newbyteorder("=")
        return pa.array(series.to_numpy(native), from_pandas=False)
    if isinstance(series.dtype, pd.SparseDtype):
        return _converted(series.sparse.to_dense())
    if series.dtype != object:
        return pa.array(series, from_pandas=True)
    cells = series.tolist()
    first: Any = next((cell for cell in cells if not _is_missing(cell)), None)
    if type(first).__module__ == "pyspark.ml.linalg":
        return _vectors(cells)
    if _is_array(first) and np.ndim(first) != 1:
        return _arrays(cells)
    try:
        return _objects(series)
    except pa.ArrowInvalid:
        # Lists of matrices, or arrays beside lists, of more dimensions than pyarrow reads.
        if not any(isinstance(cell, list | tuple) or _is_array(cell) for cell in cells):
            raise
        return _objects(pd.Series(map(_as_lists, cells), dtype=object))


def _objects(series: Any) -> pa.Array:
    array = pa.array(series, from_pandas=True)
    if not _may_hold_nan(array.type):
        return array
    # NaN became null. It stays if pyarrow doesn't read cells as pandas', but then NA, and NaN in
    # place of a list, are errors.
    keeps_nan = pa.types.is_floating(array.type)
    cells = [
        None if _is_missing(cell) and not (keeps_nan and isinstance(cell, float)) else cell
        for cell in series
    ]
    try:
        return pa.array(cells, from_pandas=False)
    except (pa.ArrowException, TypeError, ValueError):
        return array


def _may_hold_nan(kind: pa.DataType) -> bool:
    """Return whether a type has floats in it, or nothing but nulls, which may be NaN."""
    types = pa.types
    return bool(types.is_floating(kind) or types.is_null(kind)) or any(
        _may_hold_nan(kind.field(index).type) for index in range(kind.num_fields)
    )


def _is_missing(cell: object) -> bool:
    import pandas as pd

    is_nan = isinstance(cell, float) and cell != cell
    return cell is None or cell is pd.NA or cell is pd.NaT or is_nan


def _is_array(cell: object) -> bool:
    """Return whether a cell is an array: of NumPy, or of a library whose arrays become NumPy's."""
    return hasattr(cell, "__array__") and not isinstance(cell, np.generic)


def _as_lists(cell: Any) -> Any:
    """Return arrays, at any depth, as lists of their values."""
    if _is_array(cell):
        cell = np.asarray(cell).tolist()
    return [_as_lists(part) for part in cell] if isinstance(cell, list | tuple) else cell


def _arrays(cells: Sequence[Any]) -> pa.Array:
    """Convert cells that are arrays of several dimensions, or of none, to nested lists."""
    cells = [None if _is_missing(cell) else cell for cell in cells]
    arrays = [None if cell is None else np.asarray(cell) for cell in cells]
    present = [array for array in arrays if array is not None]
    dtype, depth = np.result_type(*{array.dtype for array in present}), present[0].ndim
    is_number = dtype.kind in "biuf" and all(array.dtype.kind in "biuf" for array in present)
    if not depth or not is_number or any(array.ndim != depth for array in present):
        return pa.array([_as_lists(cell) for cell in cells], from_pandas=False)
    shapes = np.array([array.shape for array in present], np.int64)
    flat = np.concatenate([array.reshape(-1).astype(dtype, copy=False) for array in present])
    return _nested(pa.array(flat), shapes, np.array([array is None for array in arrays]))


def _nested(values: pa.Array, shapes: npt.NDArray[np.int64], nulls: npt.NDArray[np.bool_]) -> Any:
    """Wrap flat values in as many lists as the shapes of the rows have dimensions."""
    for level in reversed(range(shapes.shape[1])):
        counts = np.prod(shapes[:, :level], axis=1)
        lengths = np.repeat(shapes[:, level], counts)
        if level == 0:
            # A null row takes no values, so that its list begins where the next one does.
            spread = np.zeros(len(nulls), np.int64)
            spread[~nulls] = lengths
            lengths = spread
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        mask = pa.array(nulls) if level == 0 and nulls.any() else None
        values = pa.LargeListArray.from_arrays(pa.array(offsets), values, mask=mask)
    return values


_VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)


def _vectors(cells: Sequence[Any]) -> pa.Array:
    """Convert MLlib's vectors, which ``toPandas`` leaves as they are, to their Arrow structs."""
    rows: list[dict[str, Any] | None] = []
    for cell in cells:
        if _is_missing(cell):
            rows.append(None)
        elif hasattr(cell, "indices"):
            size, indices = int(cell.size), cell.indices.tolist()
            rows.append(
                {"type": 0, "size": size, "indices": indices, "values": cell.values.tolist()}
            )
        else:
            rows.append({"type": 1, "values": cell.values.tolist()})
    return pa.array(rows, _VECTOR)


def _to_frame(table: pa.Table) -> Any:
    """Return a table as a DataFrame; integers and bools with nulls are of a nullable dtype."""
    import pandas as pd

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    # In a dtype without nulls, integers would become floats and lose digits. By groups, because a
    # call of `to_pandas` for each column takes milliseconds if they are many.
    has_nulls = np.array([column.null_count > 0 for column in table.columns], bool)
    if not has_nulls.any():
        return table.to_pandas(ignore_metadata=True)
    groups = np.flatnonzero(~has_nulls), np.flatnonzero(has_nulls)
    without, with_nulls = (table.select(group.tolist()) for group in groups)
    frames = [
        without.to_pandas(ignore_metadata=True),
        with_nulls.to_pandas(ignore_metadata=True, types_mapper=nullable.get),
    ]
    return pd.concat(frames, axis=1).iloc[:, np.argsort(np.concatenate(groups))]
