"""Users and items as the driver sees them, whatever kind of table they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.bind import bind
from tf2spark.binding.request import Request
from tf2spark.graph_split.forms import SideName
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.catalog.items import item_options, score_items
from tf2spark.recommend.sides import Schemas, SidedInput, columns_read

SAMPLED_ROWS = 64


class Tables(Protocol):
    """The users' and the items' table: Spark DataFrames, or tables in this process."""

    @property
    def schemas(self) -> Schemas:
        """The columns of both as Arrow types."""

    @property
    def user_count(self) -> int | None:
        """The number of users; None where it takes a job to count them."""

    @property
    def cores(self) -> int | None:
        """How many cores score users at the same time; None where that isn't known."""

    def begin_reading(
        self, inputs: Sequence[SidedInput], arguments: RecommendArguments, *, pack_users: bool
    ) -> Tables:
        """Begin to read the first users and the items, where that takes jobs.

        Args:
            inputs: The model's inputs, and what the sides feed to them.
            arguments: The arguments of the call.
            pack_users: Also begin to make the table in which users travel to workers.

        Returns:
            The tables, perhaps without the items' columns that the call doesn't read.
        """

    def sample(self, side: SideName, rows: int = SAMPLED_ROWS) -> pa.Table:
        """Return at most this many rows of a table."""

    def items(self, columns: Sequence[str]) -> pa.Table:
        """Return these columns of all items."""

    def scored_items(
        self, request: Request, item_id: str, model: ModelRef, run_rows: int | None = None
    ) -> pa.Table:
        """Return the outputs of a request for every item, its id first.

        Args:
            request: What the items feed, and what is fetched.
            item_id: The items' id column.
            model: The model.
            run_rows: The most items of a run; None for the default.

        Raises:
            RowError: An item can't be scored.
        """


@frozen(eq=False)
class ArrowTables:
    """Users and items of this process, with the columns that a job reads."""

    user_table: pa.Table
    item_table: pa.Table

    @property
    def schemas(self) -> Schemas:
        return {"user": self.user_table.schema, "item": self.item_table.schema}

    @property
    def user_count(self) -> int:
        return int(self.user_table.num_rows)

    @property
    def cores(self) -> int:
        return 1

    def begin_reading(
        self, inputs: Sequence[SidedInput], arguments: RecommendArguments, *, pack_users: bool
    ) -> ArrowTables:
        names = self.item_table.column_names
        if (read := columns_read(inputs, arguments.item_id, names)) == names:
            return self
        return evolve(self, item_table=self.item_table.select(read))

    def sample(self, side: SideName, rows: int = SAMPLED_ROWS) -> pa.Table:
        return (self.user_table if side == "user" else self.item_table).slice(0, rows)

    def items(self, columns: Sequence[str]) -> pa.Table:
        return self.item_table.select(list(columns))

    def scored_items(
        self, request: Request, item_id: str, model: ModelRef, run_rows: int | None = None
    ) -> pa.Table:
        options = item_options(item_id, run_rows)
        return score_items(self.item_table, bind(request, self.schemas["item"], options, model))
