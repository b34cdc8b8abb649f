"""Python functions over Arrow arrays as Spark column functions, as each release has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

Arrays = Callable[[Iterable[tuple[pa.Array, ...]]], Iterator[pa.Array]]


def arrow_udf_of(function: Arrays, return_type: DataType) -> Any:
    """Make an iterator `arrow_udf` (Spark 4.1 and later).

    It is marked nondeterministic, although it isn't: Spark pushes a filter on a deterministic
    column down, and computes the column once for the filter and once more for the result, so the
    model would run twice.
    """
    from typing import Iterator as It  # noqa: UP035 - the forms that Spark's own parser knows
    from typing import Tuple  # noqa: UP035

    def arrays(batches: Any) -> Any:
        yield from function(batches)

    # From these annotations Spark learns that the function takes an iterator of several arrays.
    arrays.__annotations__ = {"batches": It[Tuple[pa.Array, ...]], "return": It[pa.Array]}  # noqa: UP006
    return cast(Any, F).arrow_udf(arrays, return_type).asNondeterministic()


def pandas_udf_of(function: Arrays, return_type: DataType) -> Any:
    """Make an iterator `pandas_udf` for releases without `arrow_udf`: the same, through pandas."""
    from typing import Iterator as It  # noqa: UP035
    from typing import Tuple, Union  # noqa: UP035

    import pandas as pd

    is_struct = return_type.typeName() == "struct"

    def series(batches: Any) -> Any:
        for scored in function(_arguments_of(batches)):
            if is_struct:
                yield pa.Table.from_struct_array(scored).to_pandas()
            else:
                yield scored.to_pandas()

    result: Any = pd.DataFrame if is_struct else pd.Series
    columns: Any = Tuple[Union[pd.Series, pd.DataFrame], ...]  # noqa: UP006, UP007
    series.__annotations__ = {"batches": It[columns], "return": It[result]}
    return cast(Any, F).pandas_udf(series, return_type).asNondeterministic()


def _arguments_of(batches: Iterable[Any]) -> Iterator[tuple[pa.Array, ...]]:
    """Yield the arguments of a call, batch by batch.

    Assumes what PySpark 3.5 does with a call without arguments: it raises an IndexError as it looks
    for the first one. That is passed on as no arguments, which is a mistake of the query.
    """
    listed = iter(batches)
    while True:
        try:
            batch = next(listed, None)
        except IndexError:
            batch = ()
        if batch is None:
            return
        yield _as_arrays(batch)


def _as_arrays(batch: Any) -> tuple[pa.Array, ...]:
    columns = batch if isinstance(batch, tuple) else (batch,)
    return tuple(_as_array(column) for column in columns)


def _as_array(values: Any) -> pa.Array:
    import pandas as pd
    from pyspark.ml.linalg import Vector

    if isinstance(values, pd.DataFrame):
        return pa.Table.from_pandas(values, preserve_index=False).to_struct_array().combine_chunks()
    first = next((value for value in values if value is not None), None)
    if isinstance(first, Vector):
        return _vectors(values)
    return pa.Array.from_pandas(values)


_VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)


def _vectors(values: Any) -> pa.Array:
    """Convert vectors, which older releases pass as Python objects, to their Arrow structs."""
    from pyspark.ml.linalg import SparseVector

    rows: list[Any] = []
    for vector in values:
        if vector is None:
            rows.append(None)
        elif isinstance(vector, SparseVector):
            rows.append((0, vector.size, vector.indices, vector.values))
        else:
            rows.append((1, None, None, vector.values))
    names = [field.name for field in _VECTOR]
    return pa.array([row and dict(zip(names, row, strict=True)) for row in rows], _VECTOR)
