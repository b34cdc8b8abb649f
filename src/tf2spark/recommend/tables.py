"""Users and items as the driver sees them, whatever kind of table they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from tf2spark.binding.request import Request
from tf2spark.graph_split.forms import SideName
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.sides import Schemas


class Tables(Protocol):
    """The users' and the items' table: Spark DataFrames, or tables in this process."""

    @property
    def schemas(self) -> Schemas:
        """The columns of both as Arrow types."""

    def sample(self, side: SideName, rows: int) -> pa.Table:
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
