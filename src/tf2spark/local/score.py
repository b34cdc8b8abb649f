"""`score` on pandas and pyarrow tables, in this process, by the worker's own loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.advice.tables import check_table
from tf2spark.binding.bind import Bind, bind
from tf2spark.binding.feeds import columns_of
from tf2spark.binding.kept_results import KeptByObject
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.local.pandas_columns import frame_of_result, frame_with_row_numbers
from tf2spark.local.pandas_refusals import check_index
from tf2spark.local.row_names import frame_row_namer
from tf2spark.plan.row_names import shown_columns
from tf2spark.plan.score import ModelRef, Plan, columns_read_first, read_columns, renumber
from tf2spark.worker.model_session import session_of
from tf2spark.worker.row_names import NameRow
from tf2spark.worker.run_conversion import Conversion, conversion_of
from tf2spark.worker.score_loop import score_batches

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
        plan = bind(request, table.schema, options, model)
        return _score(table, plan, plan.keep)
    if isinstance(table, pa.RecordBatch):
        return to_batch(score_table(pa.Table.from_batches([table]), request, options, model, bind))
    check_table(table)
    return _score_pandas(
        table, request, options, lambda schema: bind(request, schema, options, model)
    )


def _score(
    table: pa.Table | pa.RecordBatch,
    plan: Plan,
    keep: tuple[int, ...],
    namer: Callable[[Plan], NameRow] | None = None,
) -> pa.Table:
    """Score a table; `plan` is what was bound to it, and `keep` the columns that are kept.

    `namer` is called with the plan for the batches that are scored, and returns what names rows.
    """
    fields = [table.schema.field(index) for index in keep] + plan.output_fields()
    schema = pa.schema(fields)
    if not table.num_rows:
        return schema.empty_table()
    prepared = _prepared(plan, table.schema, keep)
    ordered = table if prepared.columns is None else table.select(prepared.columns)
    batches = _batches(ordered)
    session = session_of(plan.model)
    scored = score_batches(
        prepared.plan,
        session,
        batches,
        location=" of the table",
        conversion=prepared.conversion,
        name_row=namer(prepared.plan) if namer else None,
    )
    return pa.Table.from_batches(scored, schema=schema)


def _batches(table: pa.Table | pa.RecordBatch) -> list[pa.RecordBatch]:
    if isinstance(table, pa.RecordBatch):
        if table.num_rows <= _BATCH_ROWS:
            return [table]
        table = pa.Table.from_batches([table])
    batches: list[pa.RecordBatch] = table.to_batches(max_chunksize=_BATCH_ROWS)
    return batches


@frozen
class _Prepared:
    """What all calls with one plan share: it takes longer than to score a row of many columns.

    Attributes:
        columns: The columns of the table, those that are read first; None if they are that already.
        plan: The plan for tables of these columns.
        conversion: What feeds a run, and makes columns of what it fetched.
    """

    columns: list[int] | None
    plan: Plan
    conversion: Conversion


_kept: KeptByObject[_Prepared] = KeptByObject()


def _prepared(plan: Plan, schema: pa.Schema, keep: tuple[int, ...]) -> _Prepared:
    count = len(schema)
    return _kept.get(plan, lambda: _prepare(plan, schema, keep), count, keep)


def _prepare(plan: Plan, schema: pa.Schema, keep: tuple[int, ...]) -> _Prepared:
    count = len(schema)
    columns = columns_read_first(plan, count)
    # Here columns that aren't kept are at hand as well.
    has_ids = any(each.is_id for each in plan.shown)
    shown = plan.shown if has_ids else shown_columns(schema, range(count), read_columns(plan))
    renumbered = renumber(evolve(plan, keep=keep, shown=shown), columns)
    in_order = columns == list(range(count))
    return _Prepared(None if in_order else columns, renumbered, conversion_of(renumbered))


def to_batch(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch, an empty one if it has no rows."""
    batches = table.combine_chunks().to_batches()
    if batches:
        return batches[0]
    empty = [pa.array([], field.type) for field in table.schema]
    return pa.RecordBatch.from_arrays(empty, schema=table.schema)


def _score_pandas(
    frame: Any, request: Request, options: Options, bind_to: Callable[[pa.Schema], Plan]
) -> Any:
    """Score a DataFrame; its kept columns and its index stay as they are.

    Only the columns that are fed are converted to Arrow. A column of row numbers is added, because
    it shows which rows "dropmalformed" left out.
    """
    if any(name is not None for name in frame.index.names):
        needed = (fed.feed for fed in request.inputs if not fed.optional)
        check_index(frame, [column.path for feed in needed for column in columns_of(feed)])
    schema, table = frame_with_row_numbers(frame, request.paths)
    plan = bind_to(schema)
    explicit = None if options.id_columns is None else [each.column for each in plan.shown]
    scored = _score(
        table,
        plan,
        (len(schema),),
        lambda renumbered: frame_row_namer(frame, renumbered.keep[0], plan, explicit),
    )
    return frame_of_result(frame, plan.keep, scored)
