"""`recommend` on tables in this process: pandas and pyarrow, through the worker's own code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from attrs import field, frozen

from tf2spark.binding.bind import bind
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SideName
from tf2spark.local.score import is_pandas
from tf2spark.plan.recommend import renumber_users
from tf2spark.plan.score import ModelRef, columns_read_first
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.sides import Schemas
from tf2spark.worker.model_session import session_of
from tf2spark.worker.recommend_loop import recommend_batches
from tf2spark.worker.score_loop import score_batches

_ARROW_ROWS = 10_000


@frozen(eq=False)
class LocalTables:
    """Users and items as pandas or pyarrow tables."""

    users: Any
    items_table: Any
    _arrow: dict[SideName, pa.Table] = field(init=False)

    def __attrs_post_init__(self) -> None:
        tables = {
            "user": as_arrow(self.users, "users"),
            "item": as_arrow(self.items_table, "items"),
        }
        object.__setattr__(self, "_arrow", tables)

    @property
    def schemas(self) -> Schemas:
        return {side: table.schema for side, table in self._arrow.items()}

    def sample(self, side: SideName, rows: int) -> pa.Table:
        return self._arrow[side].slice(0, rows)

    def items(self, columns: Sequence[str]) -> pa.Table:
        return self._arrow["item"].select(list(columns))

    def scored_items(self, request: Request, item_id: str, model: ModelRef) -> pa.Table:
        table = self._arrow["item"]
        plan = bind(request, table.schema, Options(keep=(item_id,), audience=None), model)
        kept = [table.schema.field(index) for index in plan.keep]
        schema = pa.schema([*kept, *plan.output_fields()])
        batches = table.to_batches(max_chunksize=_ARROW_ROWS)
        found = score_batches(plan, session_of(model), batches, location=" of the items")
        return pa.Table.from_batches(found if table.num_rows else (), schema=schema)


def as_arrow(table: Any, what: str) -> pa.Table:
    """Return a table of this process as a pyarrow Table.

    Raises:
        ContractError: It is something else.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if is_pandas(table):
        return pa.Table.from_pandas(table, preserve_index=False)
    kind = f"{type(table).__module__}.{type(table).__qualname__}"
    raise ContractError(
        f"recommend() takes the {what} as a Spark DataFrame (both tables then), a pandas DataFrame "
        f"or a pyarrow Table, not {kind}"
    )


def recommend_table(users: Any, prepared: Prepared) -> Any:
    """Give every user of a table its recommendations; a table of the kind that came in."""
    table = as_arrow(users, "users")
    plan = prepared.plan
    columns = columns_read_first(plan.users, table.num_columns)
    kept = [table.schema.field(index) for index in plan.users.keep]
    schema = pa.schema([*kept, *plan.users.output_fields()])
    batches = table.select(columns).combine_chunks().to_batches(max_chunksize=_ARROW_ROWS)
    session = session_of(plan.users.model)
    found = (
        recommend_batches(renumber_users(plan, columns), session, batches) if table.num_rows else ()
    )
    out = pa.Table.from_batches(found, schema=schema)
    if is_pandas(users):
        return out.to_pandas()
    return out
