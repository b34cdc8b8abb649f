"""Jobs of peers with a Spark session of their own: read Parquet, score, write to `noop`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pyspark.sql import DataFrame


class SessionJob:
    """A job that makes its table again for each run."""

    def __init__(
        self,
        table: Callable[[], DataFrame],
        arrays: Callable[[DataFrame], Mapping[str, Any]],
        *,
        resources: Any = None,
    ) -> None:
        """Args:
        table: Makes the table.
        arrays: Makes the arrays of the answer from it; see `peer_server.Job.answer`.
        resources: What must live as long as the job, such as a temporary folder.
        """
        self.table, self.arrays, self.resources = table, arrays, resources

    def run(self) -> None:
        self.table().write.format("noop").mode("overwrite").save()

    def answer(self, file: str) -> None:
        np.savez(file, **self.arrays(self.table()))


def scored_rows(table: DataFrame) -> dict[str, Any]:
    """Return a table's `id` and `score`."""
    rows = table.select("id", "score").toArrow()
    return {name: rows.column(name).to_numpy() for name in ("id", "score")}


def best_items(table: DataFrame) -> dict[str, Any]:
    """Return a table's `user_id`, and `item_id` and `score` [users, k], best first.

    The table has one row per user and item, and the same number of rows for each user.
    """
    rows = table.select("user_id", "item_id", "score").toArrow()
    users, items, scores = (rows.column(name).to_numpy() for name in rows.column_names)
    order = np.lexsort((items, -scores, users))
    ids, counts = np.unique(users, return_counts=True)
    shape = (len(ids), int(counts.max(initial=0)))
    return {
        "user_id": ids,
        "item_id": items[order].reshape(shape),
        "score": scores[order].reshape(shape),
    }
