"""Tables of vectors, and the jobs of peers that recommend from them without Spark."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peer_server import table_files


def read_vectors(folder: str, side: str) -> tuple[Any, Any]:
    """Return the ids [rows] and the float32 vectors [rows, width] of a table made by `catalogs`."""
    import pyarrow.parquet as pq

    table = pq.read_table(table_files(folder)).combine_chunks()
    ids, vectors = table.column(f"{side}_id"), table.column(side).combine_chunks()
    return ids.to_numpy(), vectors.flatten().to_numpy().reshape(len(ids), -1)


class RecommenderJob:
    """The job of a peer that recommends from vectors to a whole table of users."""

    def __init__(self, users: str, items: str, k: int, **_: Any) -> None:
        self.users, self.items, self.k = users, items, k

    def run(self) -> None:
        self.recommend()

    def answer(self, file: str) -> None:
        users, items, scores = self.recommend()
        np.savez(file, user_id=users, item_id=items, score=scores)

    def recommend(self) -> tuple[Any, Any, Any]:
        """Return user ids [users], and item ids and scores [users, k], best first."""
        raise NotImplementedError
