"""Python functions over Arrow arrays as Spark column functions, in each release's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

Arrays = Callable[[Iterable[tuple[pa.Array, ...]]], Iterator[pa.Array]]


def arrow_udf_of(function: Arrays, returns: DataType) -> Any:
    """Make an iterator `arrow_udf` (Spark 4.1 and later).

    It is marked nondeterministic, though it isn't: Spark pushes filters on a deterministic column
    below it and computes the column again above, which would run the model twice.
    """
    from typing import Iterator as It  # noqa: UP035 - the forms that Spark's own parser knows
    from typing import Tuple  # noqa: UP035

    def arrays(batches: Any) -> Any:
        yield from function(batches)

    # Spark learns from the annotations that this takes an iterator of several arrays.
    arrays.__annotations__ = {"batches": It[Tuple[pa.Array, ...]], "return": It[pa.Array]}  # noqa: UP006
    return cast(Any, F).arrow_udf(arrays, returns).asNondeterministic()


def pandas_udf_of(function: Arrays, returns: DataType) -> Any:
    """Make an iterator `pandas_udf`, for Sparks without `arrow_udf`: the same, by way of pandas."""
    from typing import Iterator as It  # noqa: UP035
    from typing import Tuple, Union  # noqa: UP035

    import pandas as pd

    nested = returns.typeName() == "struct"

    def series(batches: Any) -> Any:
        for scored in function(_as_arrays(batch) for batch in batches):
            if nested:
                yield pa.Table.from_struct_array(scored).to_pandas()
            else:
                yield scored.to_pandas()

    one: Any = pd.DataFrame if nested else pd.Series
    columns: Any = Tuple[Union[pd.Series, pd.DataFrame], ...]  # noqa: UP006, UP007
    series.__annotations__ = {"batches": It[columns], "return": It[one]}
    return cast(Any, F).pandas_udf(series, returns).asNondeterministic()


def _as_arrays(batch: Any) -> tuple[pa.Array, ...]:
    columns = batch if isinstance(batch, tuple) else (batch,)
    return tuple(_as_array(one) for one in columns)


def _as_array(values: Any) -> pa.Array:
    import pandas as pd
    from pyspark.ml.linalg import Vector

    if isinstance(values, pd.DataFrame):
        return pa.Table.from_pandas(values, preserve_index=False).to_struct_array().combine_chunks()
    first = next((one for one in values if one is not None), None)
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
    """Write vectors, which older Sparks hand out as Python objects, as their Arrow structs."""
    from pyspark.ml.linalg import SparseVector

    rows: list[Any] = []
    for one in values:
        if one is None:
            rows.append(None)
        elif isinstance(one, SparseVector):
            rows.append((0, one.size, one.indices, one.values))
        else:
            rows.append((1, None, None, one.values))
    names = [field.name for field in _VECTOR]
    return pa.array([row and dict(zip(names, row, strict=True)) for row in rows], _VECTOR)
