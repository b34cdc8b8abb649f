"""`recommend` on Spark DataFrames: items eagerly, users lazily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from inspect import signature
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pyarrow as pa
import pyspark
from attrs import evolve, field, frozen
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.dtypes import DType
from tf2spark.errors import ContractError, from_spark
from tf2spark.graph_split.forms import SIDES, SideName
from tf2spark.graph_split.splitter import score_dtype
from tf2spark.plan.recommend import renumber_users
from tf2spark.plan.score import ModelRef, traveling_columns
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.bind_users import bind_result
from tf2spark.recommend.job_folder import keep_job_folder
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.sides import Schemas
from tf2spark.recommend.tables import SAMPLED_ROWS
from tf2spark.spark.jvm import collect_arrow
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.packed.transport import packed_table
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.resources import check_resources, task_cpus
from tf2spark.spark.score import (
    column,
    map_in_arrow,
    output_fields,
    score_dataframe,
    select_numbered,
)
from tf2spark.spark.shipping import ship
from tf2spark.spark.types import arrow_schema
from tf2spark.table_types import is_arrow, is_spark, type_name
from tf2spark.worker.spark_tasks import partition_recommender

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile

# A quarter of what a job may bring back by default (spark.driver.maxResultSize).
_DRIVER_BYTES = 256 << 20
T = TypeVar("T")


@frozen(eq=False)
class SparkTables:
    """Users and items as Spark DataFrames, and what Spark gives the tasks that score them."""

    user_table: DataFrame
    item_table: DataFrame
    resources: ResourceProfile | None = field(default=None, kw_only=True)
    _begun: dict[SideName, Callable[[], pa.Table]] = field(init=False, factory=dict)
    _begun_count: list[Callable[[], int]] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        for name, table in (("users", self.user_table), ("items", self.item_table)):
            if not is_spark(table):
                # Spark 3.5 has no conversion of pyarrow tables of its own.
                frame = f"{name}.to_pandas()" if is_arrow(table) else name
                raise ContractError(
                    "if one table is a Spark DataFrame, both must be, but the "
                    f"{name} are {type_name(table)}",
                    f"write spark.createDataFrame({frame})",
                )
        if self.resources is not None:
            check_resources(self.user_table, self.resources)
        check_worker_memory(self.user_table.sparkSession, resources=self.resources)
        if self.item_table.isStreaming:
            raise ContractError(
                "the items are a stream, but every user needs the whole catalog",
                "pass the items as a table; users may be a stream",
            )

    @property
    def schemas(self) -> Schemas:
        return {
            "user": arrow_schema(self.user_table.schema),
            "item": arrow_schema(self.item_table.schema),
        }

    @property
    def user_count(self) -> None:
        return None

    @property
    def cores(self) -> int | None:
        """The cores that Spark's tasks share now; None on Spark Connect, which doesn't tell."""
        spark = self.user_table.sparkSession
        return None if is_connect(spark) else int(spark.sparkContext.defaultParallelism)

    def begin_sampling(self) -> None:
        for side in SIDES:
            look = partial(self._first_rows, side, SAMPLED_ROWS)
            self._begun[side] = in_background(self.user_table.sparkSession, look)
        counted = in_background(self.item_table.sparkSession, self.item_table.count)
        self._begun_count.append(counted)

    def sample(self, side: SideName, rows: int = SAMPLED_ROWS) -> pa.Table:
        begun = self._begun.pop(side, None) if rows == SAMPLED_ROWS else None
        return self._first_rows(side, rows) if begun is None else begun()

    def _first_rows(self, side: SideName, rows: int) -> pa.Table:
        table = self.user_table if side == "user" else self.item_table
        if table.isStreaming:
            return self.schemas[side].empty_table()
        return collect(table.limit(rows))

    def items(self, columns: Sequence[str]) -> pa.Table:
        return collect(self.item_table.select(*map(column, columns)))

    def scored_items(
        self, request: Request, item_id: str, model: ModelRef, run_rows: int | None = None
    ) -> pa.Table:
        options = Options(
            keep=(item_id,), id_columns=(item_id,), audience=None, batch_rows=run_rows
        )
        scored = [
            collect(score_dataframe(items, request, options, model, resources=self.resources))
            for items in self._split_items(request, item_id)
        ]
        return pa.concat_tables(scored)

    def _split_items(self, request: Request, item_id: str) -> list[DataFrame]:
        """Split a large catalog by a hash of the ids, so that each job brings back a part of it."""
        item_bytes = 8 * sum(
            prod(size or 1 for size in output.spec.shape or ()) for output in request.outputs
        )
        count = self._begun_count[0]() if self._begun_count else self.item_table.count()
        parts = -(-count * item_bytes // _DRIVER_BYTES)
        if parts <= 1:
            return [self.item_table]
        part_of = F.pmod(F.xxhash64(column(item_id)), F.lit(parts))
        return [self.item_table.where(part_of == part) for part in range(parts)]


def in_background(spark: SparkSession, call: Callable[[], T]) -> Callable[[], T]:
    """Start a call in a thread of its own, and return the function that waits for its result.

    The call's jobs belong to the group, the pool and the tags of this thread, and its messages
    speak to the same audience.
    """
    future: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:
            future.set_exception(error)

    # PySpark's annotations leave out what it has for this; 3.5 doesn't take the session.
    inheritable = cast(Any, pyspark).InheritableThread
    takes_session = "session" in signature(inheritable.__init__).parameters
    thread = inheritable(target=run, **({"session": spark} if takes_session else {}))
    thread.daemon = True  # an interrupted call doesn't keep the process from ending
    thread.start()
    return future.result


def collect(table: DataFrame) -> pa.Table:
    """Return a DataFrame's rows as an Arrow table.

    Raises:
        Tf2SparkError: A worker raised it; Spark's exception about it is only its text.
    """
    with from_spark():
        return collect_arrow(table)


def recommended_schema(
    tables: SparkTables, arguments: RecommendArguments, score: DType
) -> StructType:
    """Return the columns of the result, before anything is computed.

    Args:
        tables: Users and items.
        arguments: The arguments of the call.
        score: The dtype of the output that ranks.

    Raises:
        ContractError: The users lack a column, or two of the result would have the same name.
    """
    plan = bind_result(arguments, tables.schemas, score_dtype(score))
    kept = [tables.user_table.schema.fields[index] for index in plan.keep]
    return StructType(kept + output_fields(plan))


def recommend_dataframe(users: DataFrame, prepared: Prepared) -> DataFrame:
    """Return the users with their recommendations; nothing runs until an action."""
    spark = users.sparkSession
    keep_job_folder(prepared.folder)
    resources = prepared.job.arguments.resources
    model = evolve(prepared.plan.users.model, threads=task_cpus(spark, resources))
    model = ship(spark, model, for_stream=users.isStreaming)
    plan = evolve(prepared.plan, users=evolve(prepared.plan.users, model=model))
    columns = traveling_columns(plan.users)
    table, packing = packed_table(select_numbered(users, columns))
    recommend = partition_recommender(renumber_users(plan, columns), packing)
    fields = [users.schema.fields[index] for index in plan.users.keep] + output_fields(plan.users)
    return map_in_arrow(table, recommend, fields, resources)
