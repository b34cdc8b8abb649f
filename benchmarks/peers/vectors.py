"""Tables of vectors, and the answers of those who recommend from them; no Spark."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.served import table_files


def read_vectors(folder: str, side: str) -> tuple[Any, Any]:
    """Return the ids [rows] and the float32 vectors [rows, width] of a table of `catalogs`."""
    import pyarrow.parquet as pq

    table = pq.read_table(table_files(folder)).combine_chunks()
    ids, vectors = table.column(f"{side}_id"), table.column(side).combine_chunks()
    return ids.to_numpy(), vectors.flatten().to_numpy().reshape(len(ids), -1)


def write_best(file: str, users: Any, items: Any, scores: Any) -> None:
    """Write an answer: user ids [users], item ids and scores [users, k]."""
    np.savez(file, user_id=users, item_id=items, score=scores)
