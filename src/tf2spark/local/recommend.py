"""`recommend` on pandas and pyarrow tables, in this process, by the worker's own loop."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.advice.tables import check_table
from tf2spark.binding.request import Request
from tf2spark.graph_split.forms import SideName
from tf2spark.local.pandas_columns import (
    frame_of_result,
    frame_to_arrow,
    table_to_arrow,
    with_row_numbers,
)
from tf2spark.local.score import to_batch
from tf2spark.plan.recommend import CatalogPlan, renumber_users
from tf2spark.plan.score import Plan, columns_read_first, read_columns
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.tables import ArrowTables
from tf2spark.table_types import is_pandas
from tf2spark.worker.model_session import open_model
from tf2spark.worker.recommend.recommend_loop import recommend_batches

_BATCH_ROWS = 10_000


def to_arrow(table: Any, name: str, paths: Collection[str]) -> pa.Table:
    """Return a table of this process as a pyarrow Table.

    Args:
        table: A pandas DataFrame, or a pyarrow Table or RecordBatch.
        name: What messages call it: "users" or "items".
        paths: The columns that are read; the others of a DataFrame become nulls.

    Raises:
        ContractError: It is something else.
    """
    check_table(table, f"recommend() takes the {name} as")
    return table_to_arrow(table, paths)


def local_tables(
    users: Any, items: Any, request: Request, arguments: RecommendArguments
) -> ArrowTables:
    """Return the tables of a call of `recommend`.

    Raises:
        ContractError: One is no table, or a column of a DataFrame that is read can't be.
    """
    return ArrowTables(
        to_arrow(users, "users", _paths_of("user", request, arguments)),
        to_arrow(items, "items", _paths_of("item", request, arguments)),
    )


def _paths_of(side: SideName, request: Request, arguments: RecommendArguments) -> list[str]:
    """Return the columns of one side that a job reads; columns that are only kept aren't read."""
    other = "item" if side == "user" else "user"
    paths = [
        path.removeprefix(f"{side}:") for path in request.paths if not path.startswith(f"{other}:")
    ]
    if side == "item":
        return [*paths, arguments.item_id]
    lists = (arguments.exclude, arguments.candidates)
    return [*paths, arguments.user_id, *(name for name in lists if name is not None)]


def recommend_table(users: Any, prepared: Prepared) -> Any:
    """Return the users with their recommendations, in a table of the same type."""
    plan = prepared.plan
    if is_pandas(users):
        return _recommend_pandas(users, plan)
    result = _recommend(to_arrow(users, "users", ()), plan)
    return to_batch(result) if isinstance(users, pa.RecordBatch) else result


def _recommend_pandas(frame: Any, plan: CatalogPlan) -> Any:
    """Recommend for the users of a DataFrame; its kept columns and its index stay as they are."""
    user_id, *_ = kept = plan.users.keep
    # The id is read for messages alone.
    read = [str(frame.columns[index]) for index in {user_id, *read_columns(plan.users)}]
    table = frame_to_arrow(frame, read)
    numbered = evolve(plan, users=evolve(plan.users, keep=(table.num_columns,)))
    return frame_of_result(frame, kept, _recommend(with_row_numbers(table), numbered))


def _recommend(table: pa.Table, plan: CatalogPlan) -> pa.Table:
    schema = _result_schema(plan.users, table)
    columns = columns_read_first(plan.users, table.num_columns)
    batches = table.select(columns).combine_chunks().to_batches(max_chunksize=_BATCH_ROWS)
    if not table.num_rows:
        return schema.empty_table()
    # No other call can use the model: its catalog is part of it.
    with closing(open_model(plan.users.model, Path(plan.users.model.path))) as session:
        recommended = recommend_batches(
            renumber_users(plan, columns), session, batches, location=" of the users"
        )
        return pa.Table.from_batches(recommended, schema=schema)


def _result_schema(plan: Plan, table: pa.Table) -> pa.Schema:
    kept = [table.schema.field(index) for index in plan.keep]
    return pa.schema([*kept, *plan.output_fields()])
