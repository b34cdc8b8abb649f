"""`recommend` on pandas and pyarrow tables, in this process, by the worker's own loop."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
from attrs import field, frozen

from tf2spark.binding.bind import bind
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SideName
from tf2spark.local.score import to_batch
from tf2spark.plan.recommend import renumber_users
from tf2spark.plan.score import ModelRef, Plan, columns_read_first
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.sides import Schemas
from tf2spark.table_types import is_pandas, type_name
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.model_session import open_model
from tf2spark.worker.recommend_loop import recommend_batches
from tf2spark.worker.score_loop import score_batches

_BATCH_ROWS = 10_000


def to_arrow(table: Any, name: str) -> pa.Table:
    """Return a table of this process as a pyarrow Table.

    Args:
        table: A pandas DataFrame, or a pyarrow Table or RecordBatch.
        name: What messages call it: "users" or "items".

    Raises:
        ContractError: It is something else.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if is_pandas(table):
        return pa.Table.from_pandas(table, preserve_index=False)
    raise ContractError(
        f"recommend() takes the {name} as a Spark DataFrame (both tables then), a pandas DataFrame "
        f"or a pyarrow Table, not {type_name(table)}"
    )


def _users_to_arrow(table: Any) -> pa.Table:
    return to_arrow(table, "users")


def _items_to_arrow(table: Any) -> pa.Table:
    return to_arrow(table, "items")


@frozen(eq=False)
class LocalTables:
    """Users and items as pandas or pyarrow tables."""

    user_table: pa.Table = field(converter=_users_to_arrow)
    item_table: pa.Table = field(converter=_items_to_arrow)

    @property
    def schemas(self) -> Schemas:
        return {"user": self.user_table.schema, "item": self.item_table.schema}

    def sample(self, side: SideName, rows: int) -> pa.Table:
        return (self.user_table if side == "user" else self.item_table).slice(0, rows)

    def items(self, columns: Sequence[str]) -> pa.Table:
        return self.item_table.select(list(columns))

    def scored_items(self, request: Request, item_id: str, model: ModelRef) -> pa.Table:
        table = self.item_table
        plan = bind(request, table.schema, Options(keep=(item_id,), audience=None), model)
        schema = _result_schema(plan, table)
        if not table.num_rows:
            return schema.empty_table()
        batches = table.to_batches(max_chunksize=_BATCH_ROWS)
        with closing(_open(model)) as session:
            scored = score_batches(plan, session, batches, location=" of the items")
            return pa.Table.from_batches(scored, schema=schema)


def recommend_table(users: Any, prepared: Prepared) -> Any:
    """Return the users with their recommendations, in a table of the same type."""
    table = to_arrow(users, "users")
    plan = prepared.plan
    schema = _result_schema(plan.users, table)
    columns = columns_read_first(plan.users, table.num_columns)
    batches = table.select(columns).combine_chunks().to_batches(max_chunksize=_BATCH_ROWS)
    if table.num_rows:
        with closing(_open(plan.users.model)) as session:
            recommended = recommend_batches(renumber_users(plan, columns), session, batches)
            result = pa.Table.from_batches(recommended, schema=schema)
    else:
        result = schema.empty_table()
    if isinstance(users, pa.RecordBatch):
        return to_batch(result)
    return result.to_pandas() if is_pandas(users) else result


def _open(model: ModelRef) -> CApiSession:
    """Open the model of this call, which no other call can use: its catalog is part of it."""
    return open_model(model, Path(model.path))


def _result_schema(plan: Plan, table: pa.Table) -> pa.Schema:
    kept = [table.schema.field(index) for index in plan.keep]
    return pa.schema([*kept, *plan.output_fields()])
