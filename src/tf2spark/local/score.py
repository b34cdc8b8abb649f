"""`score` on pandas and pyarrow tables, in this process, by the worker's own loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.bind import bind
from tf2spark.binding.feeds import columns_of
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.binding.table_advice import check_table
from tf2spark.local.pandas_columns import frame_of_result, frame_to_arrow, with_row_numbers
from tf2spark.plan.score import ModelRef, Plan, columns_read_first, renumber
from tf2spark.worker.model_session import session_of
from tf2spark.worker.score_loop import score_batches

Bind = Callable[[Request, pa.Schema, Options, ModelRef], Plan]
# As many rows as Spark sends to its Python workers by default.
_BATCH_ROWS = 10_000


def score_table(
    table: Any, request: Request, options: Options, model: ModelRef, bind: Bind = bind
) -> Any:
    """Score a pandas DataFrame, a pyarrow Table or RecordBatch, and return one of the same type.

    In a pandas DataFrame, None, NA and NaT are nulls; `pandas_columns` says what NaN is. `bind` may
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
    check_table(table)
    return _score_pandas(table, request, lambda schema: bind(request, schema, options, model))


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
    paths = [column.path for fed in request.inputs for column in columns_of(fed.feed)]
    arrow = frame_to_arrow(frame, paths)
    plan = bind_to(arrow.schema)
    scored = _score(with_row_numbers(arrow), evolve(plan, keep=(len(arrow.schema),)))
    return frame_of_result(frame, plan.keep, scored)
