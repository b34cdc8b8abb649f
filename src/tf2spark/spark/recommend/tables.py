"""Users and items of a call of `recommend` that are Spark DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from math import prod
from typing import TYPE_CHECKING

import pyarrow as pa
from attrs import evolve, field, frozen
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tf2spark.binding.bind import bind
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SideName
from tf2spark.plan.packed import Packing
from tf2spark.plan.score import ModelRef, read_first
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.catalog.items import item_options, score_quickly
from tf2spark.recommend.sides import Schemas, SidedInput, columns_fed, columns_read
from tf2spark.recommend.tables import SAMPLED_ROWS
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.packed.transport import packed_table
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.recommend.background import collect, collect_first, in_background
from tf2spark.spark.recommend.columns import check_columns, select_columns
from tf2spark.spark.recommend.small_catalog import BegunItems, begin_reading
from tf2spark.spark.resources import check_resources
from tf2spark.spark.score import score_dataframe, select_numbered
from tf2spark.spark.session import check_running
from tf2spark.spark.types import arrow_schema
from tf2spark.table_types import is_arrow, is_spark, type_name
from tf2spark.worker.spark_tasks import column_names

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile

# A quarter of what a job may bring back by default (spark.driver.maxResultSize).
_DRIVER_BYTES = 256 << 20


@frozen(eq=False)
class _Begun:
    """What is being read of both tables; each function waits for its part.

    Attributes:
        users: Returns the first `SAMPLED_ROWS` users.
        items: The items.
        traveling: The users' columns that will probably travel to workers.
        packed: Returns the table in which they do, and how.
    """

    users: Callable[[], pa.Table]
    items: BegunItems
    traveling: list[int]
    packed: Callable[[], tuple[DataFrame, Packing | None]]


@frozen(eq=False)
class SparkTables:
    """Users and items as Spark DataFrames, and what Spark gives the tasks that score them."""

    user_table: DataFrame
    item_table: DataFrame
    resources: ResourceProfile | None = field(default=None, kw_only=True)
    _begun: _Begun | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self._begun is not None:
            return  # these were checked before they were read
        for name, table in (("users", self.user_table), ("items", self.item_table)):
            if not is_spark(table):
                # Spark 3.5 has no conversion of pyarrow tables of its own.
                frame = f"{name}.to_pandas()" if is_arrow(table) else name
                raise ContractError(
                    "if one table is a Spark DataFrame, both must be, but the "
                    f"{name} are {type_name(table)}",
                    f"write spark.createDataFrame({frame})",
                )
            check_running(table.sparkSession)
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

    def begin_reading(
        self, inputs: Sequence[SidedInput], arguments: RecommendArguments, *, pack_users: bool
    ) -> SparkTables:
        users, schemas, spark = self.user_table, self.schemas, self.user_table.sparkSession
        check_columns({"user": users.schema, "item": self.item_table.schema}, inputs, arguments)
        items, item_names = self.item_table, schemas["item"].names
        if (read := columns_read(inputs, arguments.item_id, item_names)) != item_names:
            items = select_columns(items, read)
        fed_or_listed = _columns_read(inputs, arguments, schemas["user"].names)
        traveling = _traveling_columns(fed_or_listed, arguments, schemas["user"].names)
        numbered = cache(partial(select_numbered, users, traveling))
        needed = {*fed_or_listed, users.columns.index(arguments.user_id)}
        first_users = in_background(
            spark, lambda: _first_users(users, needed, traveling, numbered())
        )

        def pack() -> tuple[DataFrame, Packing | None]:
            first_users()  # which are needed sooner, and both are work for the JVM
            return packed_table(numbered())

        packed = in_background(spark, pack) if pack_users else pack
        begun = _Begun(first_users, begin_reading(items), traveling, packed)
        return evolve(self, item_table=items, begun=begun)

    def packed_users(
        self, users: DataFrame, columns: Sequence[int]
    ) -> tuple[DataFrame, Packing | None]:
        """Return these columns of users as they travel to workers; see `packed_table`."""
        if users is self.user_table and self._begun and self._begun.traveling == columns:
            return self._begun.packed()
        return packed_table(select_numbered(users, columns))

    def sample(self, side: SideName, rows: int = SAMPLED_ROWS) -> pa.Table:
        if self._begun is not None and rows == SAMPLED_ROWS:
            return self._begun.users() if side == "user" else self._begun.items.first()
        if side == "item" and (catalog := self._catalog()) is not None:
            return catalog.slice(0, rows)
        return collect_first(self.user_table if side == "user" else self.item_table, rows)

    def items(self, columns: Sequence[str]) -> pa.Table:
        if (catalog := self._catalog()) is not None:
            return catalog.select(list(columns))
        return collect(select_columns(self.item_table, columns))

    def _catalog(self) -> pa.Table | None:
        """Return the items where the driver has read them all."""
        return None if self._begun is None else self._begun.items.all()

    def scored_items(
        self, request: Request, item_id: str, model: ModelRef, run_rows: int | None = None
    ) -> pa.Table:
        options = item_options(item_id, run_rows)
        # Resources were asked for because this process lacks them, perhaps.
        if self.resources is None and (catalog := self._catalog()) is not None:
            plan = bind(request, catalog.schema, options, model)
            if (scored := score_quickly(catalog, plan)) is not None:
                return scored
        parts = [
            collect(score_dataframe(items, request, options, model, resources=self.resources))
            for items in self._split_items(request, item_id)
        ]
        # An empty one may say otherwise of what is never null (seen on 3.5).
        return pa.concat_tables([part for part in parts if part.num_rows] or parts[:1])

    def _split_items(self, request: Request, item_id: str) -> list[DataFrame]:
        """Split a large catalog by a hash of the ids, so that each job brings back a part of it."""
        item_bytes = 8 * sum(
            prod(size or 1 for size in output.spec.shape or ()) for output in request.outputs
        )
        count = self.item_table.count() if self._begun is None else self._begun.items.count()
        parts = -(-count * item_bytes // _DRIVER_BYTES)
        if parts <= 1:
            return [self.item_table]
        names = self.item_table.columns
        items = self.item_table.toDF(*(numbers := column_names(len(names))))
        part_of = F.pmod(F.xxhash64(F.col(numbers[names.index(item_id)])), F.lit(parts))
        return [items.where(part_of == part).toDF(*names) for part in range(parts)]


def _first_users(
    users: DataFrame, needed: Collection[int], columns: Sequence[int], numbered: DataFrame
) -> pa.Table:
    """Return the first users, of whom `numbered` has the columns that travel to workers.

    Of columns that aren't needed they have nulls. So these may be of types that the driver can't
    read, and cost nothing.
    """
    read = [index for index in columns if index in needed]
    if len(read) < len(columns):
        numbered = numbered.select(*(numbered.columns[columns.index(index)] for index in read))
    arrays = dict(zip(read, collect_first(numbered, SAMPLED_ROWS).columns, strict=True))
    rows = len(arrays[read[0]])
    return pa.Table.from_arrays(
        [
            arrays[index] if index in arrays else pa.nulls(rows, field.type)
            for index, field in enumerate(arrow_schema(users.schema))
        ],
        names=users.columns,
    )


def _columns_read(
    inputs: Sequence[SidedInput], arguments: RecommendArguments, names: Sequence[str]
) -> list[int]:
    """Return the users' columns that feed the model, or have lists of items."""
    read = {*columns_fed(inputs, "user", names), arguments.exclude, arguments.candidates}
    return [index for index, name in enumerate(names) if name in read]


def _traveling_columns(
    read: Sequence[int], arguments: RecommendArguments, names: Sequence[str]
) -> list[int]:
    """Return what `traveling_columns` gives if the plan drops no input, which isn't known yet."""
    kept = {arguments.user_id, *(arguments.options.keep or ())}
    return read_first(read, [index for index, name in enumerate(names) if name in kept])
