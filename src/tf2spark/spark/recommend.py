"""`recommend` on Spark DataFrames: items at once, users lazily."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import pyarrow as pa
from attrs import evolve, frozen
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError, from_text
from tf2spark.graph_split.forms import SideName
from tf2spark.plan.recommend import renumber_users
from tf2spark.plan.score import ModelRef, traveling_columns
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.sides import Schemas
from tf2spark.spark.jvm import collect_arrow
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.score import (
    column,
    map_in_arrow,
    output_fields,
    score_dataframe,
    select_numbered,
    task_cpus,
)
from tf2spark.spark.shipping import ship
from tf2spark.spark.types import arrow_schema
from tf2spark.worker.spark_tasks import partition_recommender

# A quarter of what spark.driver.maxResultSize lets a job bring back by default.
_DRIVER_BYTES = 256 << 20


@frozen(eq=False)
class SparkTables:
    """Users and items as Spark DataFrames."""

    users: DataFrame
    items_table: DataFrame

    def __attrs_post_init__(self) -> None:
        for what, table in (("users", self.users), ("items", self.items_table)):
            if not hasattr(table, "mapInArrow"):
                kind = f"{type(table).__module__}.{type(table).__qualname__}"
                raise ContractError(
                    f"recommend() takes users and items both as Spark DataFrames, the {what} are "
                    f"{kind}: spark.createDataFrame(it) makes one of pandas and pyarrow tables"
                )
        check_worker_memory(self.users.sparkSession)
        if self.items_table.isStreaming:
            raise ContractError(
                "the items are a stream: the catalog is read whole, so give a table (users may be "
                "a stream)"
            )

    @property
    def schemas(self) -> Schemas:
        return {
            "user": arrow_schema(self.users.schema),
            "item": arrow_schema(self.items_table.schema),
        }

    def sample(self, side: SideName, rows: int) -> pa.Table:
        table = self.users if side == "user" else self.items_table
        if table.isStreaming:
            return self.schemas[side].empty_table()
        return collected(table.limit(rows))

    def items(self, columns: Sequence[str]) -> pa.Table:
        return collected(self.items_table.select(*map(column, columns)))

    def scored_items(self, request: Request, item_id: str, model: ModelRef) -> pa.Table:
        options, found = Options(keep=(item_id,), audience=None), []
        for items in self._cut(request, item_id):
            found.append(collected(score_dataframe(items, request, options, model)))
        return pa.concat_tables(found)

    def _cut(self, request: Request, item_id: str) -> list[DataFrame]:
        """Cut a large catalog, so that Spark's driver holds some of its values at a time."""
        item_bytes = sum(prod(size or 1 for size in one.spec.shape or ()) * 8
                         for one in request.outputs)  # fmt: skip
        parts = -(-self.items_table.count() * item_bytes // _DRIVER_BYTES)
        if parts <= 1:
            return [self.items_table]
        place = F.pmod(F.xxhash64(column(item_id)), F.lit(parts))
        return [self.items_table.where(place == part) for part in range(parts)]


def collected(table: DataFrame) -> pa.Table:
    """Return a DataFrame's rows as an Arrow table, with the errors of workers as our own.

    Raises:
        Tf2SparkError: A worker raised it.
    """
    try:
        return collect_arrow(table)
    except PySparkException as error:
        ours = from_text(str(error))
        if ours is None:
            raise
        raise ours from None


def recommend_dataframe(users: DataFrame, prepared: Prepared) -> DataFrame:
    """Return the users with their recommendations; nothing runs until an action."""
    spark = users.sparkSession
    model = evolve(prepared.plan.users.model, threads=task_cpus(spark))
    plan = evolve(prepared.plan, users=evolve(prepared.plan.users, model=ship(spark, model)))
    columns = traveling_columns(plan.users)
    recommend = partition_recommender(renumber_users(plan, columns))
    fields = [users.schema.fields[index] for index in plan.users.keep] + output_fields(plan.users)
    return map_in_arrow(select_numbered(users, columns), recommend, fields)
