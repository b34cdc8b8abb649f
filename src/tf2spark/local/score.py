"""`score` on pandas and pyarrow tables, in this process, by the worker's own loop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.binding.bind import bind
from tf2spark.binding.feeds import columns_of
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.plan.score import ModelRef, Plan, columns_read_first, renumber
from tf2spark.table_types import is_pandas, type_name
from tf2spark.worker.model_session import session_of
from tf2spark.worker.score_loop import score_batches

Bind = Callable[[Request, pa.Schema, Options, ModelRef], Plan]
# As many rows as Spark sends to its Python workers by default.
_BATCH_ROWS = 10_000


def score_table(
    table: Any, request: Request, options: Options, model: ModelRef, bind: Bind = bind
) -> Any:
    """Score a pandas DataFrame, a pyarrow Table or RecordBatch, and return one of the same type.

    In a pandas DataFrame, NaN, None and NA are missing values, as they are in Spark. `bind` may
    return plans that it has kept.

    Raises:
        ContractError: It is something else, or it doesn't fit the model.
        RowError: A row can't be scored in "failfast" mode.
    """
    if isinstance(table, pa.Table):
        return _score(table, bind(request, table.schema, options, model))
    if isinstance(table, pa.RecordBatch):
        plan = bind(request, table.schema, options, model)
        return to_batch(_score(pa.Table.from_batches([table]), plan))
    if is_pandas(table):
        return _score_pandas(table, request, lambda schema: bind(request, schema, options, model))
    has_arrow_stream = hasattr(table, "__arrow_c_stream__")
    raise ContractError(
        "score() takes a Spark DataFrame, a pandas DataFrame, a pyarrow Table or a RecordBatch, "
        f"not {type_name(table)}",
        "pyarrow.table(it) converts it to a Table" if has_arrow_stream else None,
    )


def _score(table: pa.Table, plan: Plan) -> pa.Table:
    fields = [table.schema.field(index) for index in plan.keep] + plan.output_fields()
    columns = columns_read_first(plan, table.num_columns)
    batches = table.select(columns).to_batches(max_chunksize=_BATCH_ROWS)
    schema = pa.schema(fields)
    if not table.num_rows:
        return schema.empty_table()
    scored = score_batches(renumber(plan, columns), session_of(plan.model), batches)
    return pa.Table.from_batches(scored, schema=schema)


def to_batch(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch, an empty one if it has no rows."""
    batches = table.combine_chunks().to_batches()
    if batches:
        return batches[0]
    empty = [pa.array([], field.type) for field in table.schema]
    return pa.RecordBatch.from_arrays(empty, schema=table.schema)


def _score_pandas(frame: Any, request: Request, bind_to: Callable[[pa.Schema], Plan]) -> Any:
    """Score a DataFrame; its kept columns and its index stay as they are.

    Only the columns that are fed are converted to Arrow. A column of row numbers is added, because
    it shows which rows "dropmalformed" left out.
    """
    import pandas as pd

    arrow = _to_arrow(frame, request)
    plan = bind_to(arrow.schema)
    numbered = arrow.append_column("row", pa.array(np.arange(len(frame))))
    scored = _score(numbered, evolve(plan, keep=(len(arrow.schema),)))
    kept = frame.iloc[scored.column(0).to_numpy(), list(plan.keep)]
    outputs = [_to_series(scored.column(i), kept.index) for i in range(1, scored.num_columns)]
    out = pd.concat([kept, *outputs], axis=1)
    out.columns = [*kept.columns, *scored.column_names[1:]]
    return out


def _to_arrow(frame: Any, request: Request) -> pa.Table:
    """Convert the columns that a request feeds; the others become nulls."""
    names = [str(name) for name in frame.columns]
    # A column may have dots in its own name, so each beginning of a path can be one.
    fed = {
        head
        for fed_input in request.inputs
        for column in columns_of(fed_input.feed)
        for head in accumulate(column.path.split("."), "{}.{}".format)
    }
    arrays = [
        _array_of(frame.iloc[:, index], name) if name in fed else pa.nulls(len(frame))
        for index, name in enumerate(names)
    ]
    return pa.Table.from_arrays(arrays, names=names)


def _array_of(series: Any, name: str) -> pa.Array:
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ContractError(
            f'the values of column "{name}" ({series.dtype}) are not of one type: {error}'
        ) from None


def _to_series(column: pa.ChunkedArray, index: Any) -> Any:
    import pandas as pd

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    # In a dtype without nulls, integers would become floats and lose digits.
    series = column.to_pandas(types_mapper=nullable.get if column.null_count else None)
    series.index = index
    return series
