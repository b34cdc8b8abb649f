"""`score` on tables in this process: pandas and pyarrow, through the worker's own code."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tf2spark.binding.bind import Options, bind
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.plan import ModelRef
from tf2spark.runtime.scorer import score_batches
from tf2spark.runtime.worker_session import session_of

# As many rows a batch as Spark sends to its Python workers by default.
_ARROW_ROWS = 10_000


def score_table(table: Any, request: Request, options: Options, model: ModelRef) -> Any:
    """Score a pandas DataFrame, a pyarrow Table or a RecordBatch; the same kind comes back.

    Raises:
        ContractError: It is none of these, or it doesn't fit the model.
        RowError: A row can't be scored in "failfast" mode.
    """
    arrow = _as_arrow(table)
    plan = bind(request, arrow.schema, options, model)
    batches = arrow.to_batches(max_chunksize=_ARROW_ROWS)
    fields = [arrow.schema.field(index) for index in plan.keep] + plan.output_fields()
    scored = score_batches(plan, session_of(model), batches) if batches else ()
    out = pa.Table.from_batches(scored, schema=pa.schema(fields))
    return _as_it_came(out, table)


def _as_arrow(table: Any) -> pa.Table:
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
        return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
    raise ContractError(
        f"score() takes a Spark DataFrame, a pandas DataFrame, a pyarrow Table or a RecordBatch, "
        f"not {type(table).__module__}.{type(table).__qualname__}"
    )


def _as_it_came(out: pa.Table, table: Any) -> Any:
    if isinstance(table, pa.Table):
        return out
    if isinstance(table, pa.RecordBatch):
        return out.combine_chunks().to_batches()[0] if out.num_rows else _no_rows(out.schema)
    frame = out.to_pandas()
    if len(frame) == len(table):
        frame.index = table.index
    return frame


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
