"""Users and items as the driver sees them, whatever holds them; and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
from attrs import frozen

from tf2spark.binding.bind import Options
from tf2spark.binding.request import Request
from tf2spark.catalog.forms import SideName
from tf2spark.catalog.sides import Schemas
from tf2spark.plan import ModelRef


class Tables(Protocol):
    """The users' and the items' table: Spark DataFrames, or tables in this process."""

    @property
    def schemas(self) -> Schemas:
        """The columns of both, as Arrow has them."""

    def sample(self, side: SideName, rows: int) -> pa.Table:
        """Return some rows of a table, at most so many."""

    def items(self, columns: Sequence[str]) -> pa.Table:
        """Return columns of all items."""

    def scored_items(self, request: Request, item_id: str, model: ModelRef) -> pa.Table:
        """Return the outputs of a request for every item, its id first.

        Raises:
            RowError: An item can't be scored.
        """


@frozen
class Asked:
    """What a call of `recommend` asks for, apart from what feeds what.

    Attributes:
        k: At most so many items a user.
        user_id: The users' column that comes first in the result.
        item_id: The items' column that the result names items by.
        exclude: The users' column of ids never to return, or None.
        candidates: The users' column of the only ids to return, or None.
        options: The users' columns that stay, and what happens to users that can't be scored.
        tolerance: How far scores may be from those of the whole graph.
    """

    k: int
    user_id: str
    item_id: str
    exclude: str | None
    candidates: str | None
    options: Options
    tolerance: float
